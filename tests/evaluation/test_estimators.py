"""Estimators: by hand, against the truth, and what a specification may say."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.coverage import NEAR
from evaluation.assessment import assess
from evaluation.estimators import WITH_MODEL, WITHOUT_MODEL, Estimator, parse
from evaluation.sample import Sample
from mdp.errors import BadSetting


def value(specification: str, sample: Sample) -> float:
    """The estimate of one estimator."""
    (estimator,) = parse(specification)
    top, bottom = estimator.terms(sample)
    return top.sum() / bottom.sum()


def test_by_hand():
    by_hand = Sample(
        reward=np.array([1.0, 0.0, 2.0]),
        propensity=np.array([0.5, 0.25, 0.1]),
        target_propensity=np.array([0.25, 0.5, 0.4]),  # weights 0.5, 2, 4
        user=np.arange(3),
        q_logged=np.array([0.5, 0.5, 1.0]),
        v_target=np.array([1.0, 0.0, 1.5]),
    )
    assert value("ips", by_hand) == pytest.approx((0.5 + 0 + 8) / 3)
    assert value("snips", by_hand) == pytest.approx(8.5 / 6.5)
    assert value("clipped:2", by_hand) == pytest.approx((0.5 + 0 + 4) / 3)
    assert value("dm", by_hand) == pytest.approx(2.5 / 3)
    assert value("dr", by_hand) == pytest.approx((2.5 + 0.25 - 1.0 + 4.0) / 3)


@pytest.mark.parametrize("estimator", ["ips", "snips", "clipped:1"])
def test_the_logging_policy_itself_is_worth_its_mean_reward(sample, estimator):
    same = replace(sample, target_propensity=sample.propensity)
    found = assess(same, "logging", parse(estimator))
    (estimate,) = found.estimates
    assert estimate.value.value == sample.reward.mean()
    assert (estimate.difference.low, estimate.difference.high) == (0.0, 0.0)
    assert found.verdict.answer == "no_difference"


def test_snips_moves_with_a_constant_added_to_rewards_and_ips_does_not(sample):
    moved = replace(sample, reward=sample.reward + 3.0)
    assert value("snips", moved) == pytest.approx(value("snips", sample) + 3.0)
    assert value("ips", moved) != pytest.approx(value("ips", sample) + 3.0, abs=1e-3)


def test_no_clipping_is_ips_and_clipping_all_is_too_low(sample):
    assert value("clipped:1000", sample) == value("ips", sample)
    assert value("clipped:0.5", sample) < value("ips", sample)


def biased(sample: Sample, by: float) -> Sample:
    """The sample with predictions that are all too high."""
    assert sample.q_logged is not None
    assert sample.v_target is not None
    return replace(sample, q_logged=sample.q_logged + by, v_target=sample.v_target + by)


def test_a_model_that_knows_makes_dr_less_variable_and_a_wrong_one_leaves_it_unbiased():
    far = replace(NEAR, shift=0.9)
    truth = far.truth(far.target())
    samples = [far.draw(np.random.default_rng([1, run])) for run in range(150)]
    wrong = [biased(s, 0.2) for s in samples]
    ips, dr = (np.array([value(name, s) for s in samples]) for name in ("ips", "dr"))
    misled = np.array([value("dr", s) for s in wrong])
    assert dr.std() < 0.97 * ips.std()
    for estimates in (ips, dr, misled):
        assert abs(estimates.mean() - truth) < 4 * estimates.std() / np.sqrt(len(estimates))
    assert abs(np.mean([value("dm", s) for s in wrong]) - truth) > 0.15


def test_specifications():
    assert parse("ips, clipped:10.0,ips") == (
        Estimator("ips", "ips"),
        Estimator("clipped:10.0", "clipped", 10.0),
    )
    assert parse("IPS,Clipped:3") == (
        Estimator("IPS", "ips"),
        Estimator("Clipped:3", "clipped", 3.0),
    )
    for text in (WITH_MODEL, WITHOUT_MODEL):
        assert ",".join(estimator.label for estimator in parse(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("magic", "there is no estimator 'magic': use ips, snips, dm, dr, clipped:NUMBER"),
        ("", "there is no estimator ''"),
        ("ips:3", "there is no estimator 'ips:3'"),
        ("clipped", "estimator 'clipped' needs a number above 0, such as clipped:10"),
        ("ips,clipped:0", "estimator 'clipped:0' needs a number above 0"),
        ("clipped:nan", "needs a number above 0"),
        ("clipped:x", "needs a number above 0"),
    ],
)
def test_bad_specifications(text, message):
    with pytest.raises(BadSetting) as caught:
        parse(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["dm", "dr"])
def test_estimators_with_a_model_need_its_columns(sample, name):
    with pytest.raises(BadSetting, match=f"estimator {name} needs a reward model's predictions"):
        assess(replace(sample, v_target=None), "table", parse(name))


DATA = Path(os.environ.get("PUSHWISE_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.mark.skipif(
    not (DATA / "open_bandit").is_dir(),
    reason=f"{DATA}/open_bandit is not there: set PUSHWISE_DATA",
)
def test_open_bandit_random_log_evaluates_the_thompson_sampler():
    """Its logged propensities, averaged by item and position, stand for the sampler's policy."""
    random, bts = (
        pd.read_csv(
            DATA / "open_bandit" / policy / "men" / "men.csv",
            usecols=["item_id", "position", "click", "propensity_score"],
        )
        for policy in ("random", "bts")
    )
    cells = bts.groupby(["position", "item_id"]).size()
    target = cells / cells.groupby("position").transform("sum")
    rows = pd.MultiIndex.from_frame(random[["position", "item_id"]])
    sample = Sample(
        reward=random["click"].to_numpy(float),
        propensity=random["propensity_score"].to_numpy(),
        target_propensity=target.reindex(rows).fillna(0.0).to_numpy(),
        user=np.arange(len(random)),
    )
    found = assess(sample, "bts", parse("ips,snips"))
    for estimate in found.estimates:
        assert not estimate.value.excludes(bts["click"].mean())
    assert found.diagnostics is not None
    assert not found.diagnostics.mean_weight.excludes(1.0)
    assert 500 < found.diagnostics.effective_sample_size < len(random)
