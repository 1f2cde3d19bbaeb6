"""Reports: JSON, terminal, page and picture say the same."""

import io
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

from evaluation.assessment import Assessment, assess
from evaluation.glossary import glossary
from evaluation.intervals import Interval
from evaluation.page import page, write_report
from evaluation.report import dumps, show, to_json
from evaluation.sample import Labels
from evaluation.specification import PARAMETRIC, PLAIN, SEQUENTIAL, parse, shape
from evaluation.verdict import Verdict


@pytest.fixture(scope="module")
def unknown() -> Assessment:
    nothing = Interval(float("nan"), float("nan"), float("nan"))
    verdict = Verdict("cannot_tell", ("nothing is known",))
    return Assessment("<b>nothing</b>", verdict, 0, 0, nothing)


@pytest.fixture
def known(sample) -> Assessment:
    return assess(sample, "target & co")


def test_json_holds_everything_and_no_nan(known, unknown, sample):
    values = json.loads(dumps(to_json(known)), parse_constant=pytest.fail)
    assert list(values)[:3] == ["name", "verdict", "reasons"]
    assert values["verdict"] == "better"
    assert values["logged"]["value"] == sample.reward.mean()
    names = ["ips", "snips", "ips:clip=10", "dm", "dr", "sndr"]
    assert list(values["estimators"]) == list(values["differences"]) == names
    for estimate in known.estimates:
        assert values["estimators"][estimate.estimator] == asdict(estimate.value)
        assert values["differences"][estimate.estimator] == asdict(estimate.difference)
    assert set(values["estimators"]["ips"]) == {"value", "low", "high"}
    assert values["diagnostics"]["effective_sample_size"] > 100
    bare = json.loads(dumps(to_json(unknown)), parse_constant=pytest.fail)
    assert bare["logged"] == {"value": None, "low": None, "high": None}
    assert bare["diagnostics"] is None
    assert bare["estimators"] == {}


def test_the_terminal_shows_verdict_numbers_and_caveat(known, unknown):
    out = io.StringIO()
    for assessment in (known, unknown):
        show(assessment, Console(file=out, width=100))
    for text in ("target & co: better", "snips", "effective sample size", "values are per decision",
                 "<b>nothing</b>: cannot_tell"):  # fmt: skip
        assert text in out.getvalue()


def test_the_directory_holds_json_picture_and_page(known, unknown, tmp_path):
    written = write_report(tmp_path / "a" / "b", [known, unknown], {"policies": []})
    assert [path.name for path in written] == [
        "report.json", "report.png", "report.md", "report.html"
    ]  # fmt: skip
    assert json.loads(written[0].read_text()) == {"policies": []}
    picture = imread(written[1])
    assert picture.shape[1] > 1000
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 20
    text = written[3].read_text()
    assert "target &amp; co" in text
    assert "&lt;b&gt;nothing&lt;/b&gt;" in text
    assert 'src="data:image/png;base64,iVBOR' in text
    assert "http" not in text
    for meaning in ("It would have earned +", "This log can&#x27;t say"):
        assert meaning in text
    for name in ("ips", "snips", "ips:clip=N", "dm", "dr", "sndr"):
        assert f"<dt>{name}</dt>" in text


def test_weights_of_0_and_1_only_can_be_drawn(sample, tmp_path):
    never = replace(sample, target_propensity=np.zeros(len(sample.reward)))
    same = replace(sample, target_propensity=sample.propensity)
    found = [assess(never, "never"), assess(same, "same")]
    assert write_report(tmp_path, found, {})[1].stat().st_size > 10_000


def test_the_page_is_the_same_each_time(known):
    assert page([known], b"png") == page([known], b"png")


def test_names_are_drawn_as_they_are(sample, tmp_path):
    """A formula, letters of another script, and markup: all are names like any other."""
    names = (r"$\frac{$", "中文", "<b>", "a|b")
    items = Labels(np.arange(2000) % 4, names)
    found = assess(replace(sample, features={"item": items}), names[0])
    written = {path.name for path in write_report(tmp_path, [found], {})}
    assert {"report.png", "overlap.png"} <= written


def test_the_page_explains_the_estimators_that_it_shows(sample):
    found = assess(sample, "t", parse("snips,switch_dr:10,ips:clip=slope"))
    words = dict(glossary([found]))
    assert {"reward", "snips", "switch_dr:N", "ips:clip=N", "…:slope"} <= set(words)
    assert "dm" not in words
    labels = [*PLAIN, *(shape(name, "2") for name in PARAMETRIC), *SEQUENTIAL]
    first = found.estimates[0]
    every = replace(found, estimates=tuple(replace(first, estimator=label) for label in labels))
    assert len(glossary([every])) == len(words) - 4 + len(labels)
