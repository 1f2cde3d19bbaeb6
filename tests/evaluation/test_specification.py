"""What `--estimators` may say."""

import numpy as np
import pytest

from evaluation.specification import WITH_MODEL, WITHOUT_MODEL, Estimator, candidates, parse
from mdp.errors import BadSetting


def test_names_numbers_and_labels():
    assert parse("ips, ips:clip=10.0,ips") == (
        Estimator("ips", "ips"),
        Estimator("ips:clip=10.0", "ips", 10.0),
    )
    assert parse("IPS,Switch_DR:3") == (
        Estimator("IPS", "ips"),
        Estimator("Switch_DR:3", "switch_dr", 3.0),
    )
    assert parse("dros:lambda=4,sg_ips:0.5,dros:slope") == (
        Estimator("dros:lambda=4", "dros", 4.0),
        Estimator("sg_ips:0.5", "sg_ips", 0.5),
        Estimator("dros:slope", "dros", None, tuned=True),
    )
    assert parse("clipped:10") == (Estimator("clipped:10", "ips", 10.0),)
    for text in (WITH_MODEL, WITHOUT_MODEL):
        assert ",".join(estimator.label for estimator in parse(text)) == text


def test_what_decides_and_what_checks_the_rest():
    names = parse("ips,snips,dm,dr,sndr,mips,ips:clip=2,switch_dr:2,dros:2,sg_ips:0.1,sg_dr:slope")
    assert [each.label for each in names if each.unbiased] == ["ips", "snips", "dr", "sndr"]
    checked = {each.label: each.checked_by for each in names if each.checked_by}
    assert checked == {
        "dm": "dr",
        "mips": "ips",
        "ips:clip=2": "ips",
        "switch_dr:2": "dr",
        "dros:2": "dr",
        "sg_ips:0.1": "ips",
        "sg_dr:slope": "dr",
    }


def test_what_slope_chooses_from_includes_unchanged_weights():
    weights = np.arange(1.0, 101.0)
    assert candidates("ips", weights)[-1] == np.inf
    assert candidates("dros", weights)[0] == pytest.approx(50.5**2)
    assert candidates("sg_dr", weights)[-1] == 1.0
    assert candidates("ips", np.zeros(3)) == [1.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "magic",
            "there is no estimator 'magic': use ips, snips, dm, dr, sndr, mips, snmips, ips",
        ),
        ("", "there is no estimator ''"),
        ("ips:3", "estimator 'ips:3' must be written ips:clip=NUMBER"),
        ("ips:tau=3", "must be written ips:clip=NUMBER"),
        ("switch_dr:lambda=3", "must be written switch_dr:NUMBER"),
        ("snips:3", "there is no estimator 'snips:3'"),
        ("dros", "estimator 'dros' needs a number above 0, such as dros:10"),
        ("ips,ips:clip=0", "estimator 'ips:clip=0' needs a number above 0, such as ips:clip=10"),
        ("switch_dr:nan", "needs a number above 0"),
        ("dros:x", "needs a number above 0"),
        ("sg_ips:2", "needs a number above 0, at most 1, such as sg_ips:0.1"),
    ],
)
def test_bad_specifications(text, message):
    with pytest.raises(BadSetting) as caught:
        parse(text)
    assert message in str(caught.value)
