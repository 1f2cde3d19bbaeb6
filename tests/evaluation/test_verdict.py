"""Verdicts: each gate alone turns an answer into cannot_tell, and says which and why."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.coverage import NEAR
from evaluation.assessment import assess, with_estimated
from evaluation.diagnostics import Coverage, Diagnostics
from evaluation.intervals import Interval
from evaluation.sample import Sample
from evaluation.specification import parse
from evaluation.verdict import Estimate, judge

GOOD = Diagnostics(
    rows=5000,
    users=800,
    mean_weight=Interval(1.0, 0.95, 1.05),
    max_weight=8.0,
    effective_sample_size=2000.0,
    effective_share=0.4,
    effective_users=300.0,
    heaviest_users=0.03,
    zero_target=0.1,
    coverage=Coverage(untried=0.01, executed=0.99),
)
LOGGED = 2.0


def estimate(low: float, high: float, estimator: str = "snips") -> Estimate:
    """An estimate whose difference has this interval."""
    middle = (low + high) / 2
    difference = Interval(middle, low, high)
    return Estimate(estimator, Interval(LOGGED + middle, LOGGED + low, LOGGED + high), difference)


@pytest.mark.parametrize(
    ("low", "high", "answer", "because"),
    [
        (0.1, 0.3, "better", "all above 0"),
        (-0.3, -0.1, "worse", "all below 0"),
        (-0.05, 0.09, "no_difference", "all within ±0.1, 5% of the logged mean"),
        (-0.05, 0.11, "cannot_tell", "not within ±0.1"),
        (1e-9, 2e-9, "no_difference", "all within ±0.1"),
    ],
)
def test_the_interval_decides(low, high, answer, because):
    verdict = judge(LOGGED, [estimate(low, high)], GOOD)
    assert verdict.answer == answer
    assert len(verdict.reasons) == 1
    assert because in verdict.reasons[0]
    assert f"{(low + high) / 2:+.4g}" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("changed", "because"),
    [
        ({"users": 29}, "the number of users is 29, and intervals need at least 30"),
        ({"effective_sample_size": 99.0}, "the effective sample size is 99.0 of 5000 rows"),
        ({"effective_users": 12.0}, "the difference rests on about 12 users, fewer than 50"),
        ({"heaviest_users": 0.4}, "the heaviest 1 % of the users hold 40% of the weight"),
        ({"mean_weight": Interval(0.8, 0.7, 0.9)}, "the mean weight is 0.800"),
        ({"mean_weight": Interval(1.2, 1.1, 1.3)}, "which leaves 1 out"),
        ({"coverage": Coverage(0.01, 1.0, 0.02)}, "2.0% of the drawn decisions, more than 1%, are"),
        (
            {"coverage": Coverage(0.01, 1.0, silent=0.2)},
            "20% of the sends are before the first resp",
        ),
        (
            {"rows": 60, "effective_sample_size": 50.0},
            "at least 100 is needed: more rows are needed",
        ),
        ({"coverage": Coverage(0.2, 1.0)}, "20.0% of its probability to sends that the log never"),
    ],
)
def test_every_gate(changed, because):
    verdict = judge(LOGGED, [estimate(0.1, 0.3)], replace(GOOD, **changed))
    assert verdict.answer == "cannot_tell"
    assert len(verdict.reasons) == 1
    assert because in verdict.reasons[0]


def test_rounded_propensities_are_no_doubt():
    rounded = replace(GOOD, mean_weight=Interval(0.9999, 0.9998, 0.99995))
    assert judge(LOGGED, [estimate(0.1, 0.3)], rounded).answer == "better"


def test_all_doubts_are_named():
    doubtful = replace(GOOD, users=5, effective_sample_size=3.0)
    assert len(judge(LOGGED, [estimate(0.1, 0.3)], doubtful).reasons) == 2


def test_estimators_that_contradict_one_another():
    verdict = judge(LOGGED, [estimate(0.1, 0.3, "ips"), estimate(-0.3, -0.1, "dr")], GOOD)
    assert verdict.answer == "cannot_tell"
    assert "the estimators contradict one another: ips says +0.2 and dr" in verdict.reasons[0]


def test_dr_leads_and_biased_estimators_contradict_nobody():
    others = [estimate(-0.3, -0.1, "ips:clip=2"), estimate(-0.3, -0.1, "dm")]
    verdict = judge(LOGGED, [*others, estimate(0.0, 0.5, "snips"), estimate(0.1, 0.3, "dr")], GOOD)
    assert verdict.answer == "better"
    assert verdict.reasons[0].startswith("dr puts")


@pytest.mark.parametrize("estimator", ["dm", "ips:clip=10"])
def test_a_model_or_clipped_weights_alone_are_not_believed(estimator):
    verdict = judge(LOGGED, [estimate(0.1, 0.3, estimator)], GOOD)
    assert verdict.answer == "cannot_tell"
    assert "add dr, snips or ips" in verdict.reasons[0]


@pytest.mark.parametrize("estimators", ["ips:clip=0.5", "dm", "dr", "ips", "ips,snips,dm,dr"])
def test_the_logging_policy_itself_is_no_different_whatever_is_asked(sample, estimators):
    same = replace(sample, target_propensity=sample.propensity)
    verdict = assess(same, "logging", parse(estimators)).verdict
    assert verdict.answer == "no_difference"
    assert "the probability that it was drawn with" in verdict.reasons[0]
    few = replace(same, user=np.arange(2000) % 20)
    assert assess(few, "logging", parse(estimators)).verdict.answer == "cannot_tell"


def test_clipping_decides_nothing(sample):
    """Clipped at 0.5 the better policy would look worse than the logging one; its interval holds
    what clipping may have cost."""
    found = assess(sample, "target", parse("ips:clip=0.5"))
    assert found.estimates[0].difference.value < 0 < found.estimates[0].difference.high
    assert found.verdict.answer == "cannot_tell"


@pytest.mark.parametrize("change", ["another model's value", "weights that mean nothing"])
def test_predictions_that_do_not_fit_the_weights_are_found(sample, change):
    wrong = replace(sample, v_target=sample.v_target + 0.1)
    if change == "weights that mean nothing":
        shuffled = np.random.default_rng(0).permutation(sample.weights)
        wrong = replace(sample, target_propensity=np.minimum(shuffled * sample.propensity, 1.0))
    for estimators in ("dr", "ips,dr"):
        verdict = assess(wrong, "target", parse(estimators)).verdict
        assert verdict.answer == "cannot_tell"
        assert any("v_target and the weighted q_logged are +0." in why for why in verdict.reasons)
    without = assess(wrong, "target", parse("snips")).verdict
    assert not any("v_target" in why for why in without.reasons)


def test_a_policy_close_to_the_logging_one_is_not_lost_in_the_noise_of_dr():
    verdict = judge(LOGGED, [estimate(-0.01, 0.02), estimate(-0.2, 0.3, "dr")], GOOD)
    assert verdict.answer == "no_difference"
    assert verdict.reasons[0].startswith("snips puts")
    decided = judge(LOGGED, [estimate(-0.01, 0.02), estimate(0.2, 0.3, "dr")], GOOD)
    assert decided.answer == "better"
    clipped = judge(LOGGED, [estimate(-0.01, 0.02, "ips:clip=3"), estimate(-0.2, 0.3, "dr")], GOOD)
    assert clipped.answer == "cannot_tell"


def test_rounded_predictions_are_no_doubt():
    rounded = replace(GOOD, model_gap=Interval(0.019, 0.018, 0.0195))
    assert judge(LOGGED, [estimate(0.1, 0.3, "dr")], rounded).answer == "better"
    wrong = replace(GOOD, model_gap=Interval(0.021, 0.02, 0.022))
    assert judge(LOGGED, [estimate(0.1, 0.3, "dr")], wrong).answer == "cannot_tell"


def test_rewards_of_0_only_cannot_tell_what_another_policy_would_change(sample):
    nothing = replace(sample, reward=np.zeros(len(sample.reward)))
    for estimators in ("ips,snips", "ips,dr"):
        verdict = assess(nothing, "target", parse(estimators)).verdict
        assert verdict.answer == "cannot_tell"
        assert any("no reward other than 0" in why for why in verdict.reasons)
    same = replace(nothing, target_propensity=sample.propensity)
    assert assess(same, "logging", parse("ips,snips")).verdict.answer == "no_difference"


def test_a_rare_loss_that_large_weights_have_not_met_is_no_gain():
    """One decision in a hundred loses 4, whatever was done, and so both policies are worth the
    same; but none of the few rows that weigh 8 has met it."""
    rng = np.random.default_rng(0)
    logging, target = np.array([0.55, 0.25, 0.15, 0.05]), np.array([0.1, 0.2, 0.3, 0.4])
    action = rng.choice(4, 2000, p=logging)
    reward = np.where(rng.random(2000) < 0.01, -4.0, 0.2 * (rng.random(2000) < 0.1))
    reward[action == 3] = np.maximum(reward[action == 3], 0.0)
    lucky = Sample(reward, logging[action], target[action], user=np.arange(2000) // 5)
    found = assess(lucky, "target", parse("ips,snips"))
    assert found.estimates[1].difference.low > 0 > found.estimates[1].tested.low
    assert found.verdict.answer == "cannot_tell"
    assert "as noisy on rows of large weight as on all) -0.0" in found.verdict.reasons[0]


def test_a_better_target_on_a_sample(sample):
    assert assess(sample, "target").verdict.answer == "better"
    swapped = replace(sample, reward=1.0 - sample.reward)
    assert assess(swapped, "target", parse("snips")).verdict.answer == "worse"


def test_wrong_propensities_are_found(sample):
    wrong = replace(sample, propensity=np.minimum(sample.propensity * 1.3, 1.0))
    verdict = assess(wrong, "target").verdict
    assert verdict.answer == "cannot_tell"
    assert any("propensities are wrong" in reason for reason in verdict.reasons)


def test_a_mean_weight_that_may_be_luck_is_not_laid_to_propensities():
    """Right propensities, but only a few rows of 400 did what the policy would do."""
    rng = np.random.default_rng(2)
    logging, target = np.array([0.99, 0.01]), np.array([0.05, 0.95])
    action = rng.choice(2, 400, p=logging)
    rare = Sample(rng.random(400), logging[action], target[action], user=np.arange(400))
    found = assess(rare, "target", parse("ips,snips"))
    assert found.diagnostics is not None
    mean = found.diagnostics.mean_weight
    assert mean.low < 1.0 < mean.high
    assert abs(mean.value - 1.0) > 0.1
    (said,) = (reason for reason in found.verdict.reasons if "mean weight" in reason)
    assert "by luck or because" in said


@pytest.mark.parametrize("column", ["propensity", "target_propensity"])
@pytest.mark.parametrize("nonsense", ["shuffled", "drawn", "constant"])
@pytest.mark.parametrize("estimators", ["ips,snips", "ips,snips,dm,dr"])
def test_propensities_that_mean_nothing_decide_nothing(column, nonsense, estimators):
    """The target is truly better, and the model truly says so, but the weights know nothing."""
    for run in range(3):
        rng = np.random.default_rng([7, run])
        logged = NEAR.draw(rng)
        n = len(logged.reward)
        numbers = {
            "shuffled": rng.permutation(getattr(logged, column)),
            "drawn": 1.0 - rng.random(n),
            "constant": np.full(n, 0.5),
        }[nonsense]
        changed: dict[str, Any] = {column: numbers}
        verdict = assess(replace(logged, **changed), "nonsense", parse(estimators)).verdict
        assert verdict.answer == "cannot_tell"


def test_estimated_propensities_decide_nothing(sample):
    found = with_estimated(assess(sample, "policy"), "off by 1% at most")
    assert found.verdict.answer == "cannot_tell"
    assert "the log has no propensities" in found.verdict.reasons[0]
    assert found.warning is not None
    assert found.warning.endswith("off by 1% at most")
    assert found.estimates == assess(sample, "policy").estimates
