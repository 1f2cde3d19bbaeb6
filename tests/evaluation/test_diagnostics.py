"""Diagnostics by hand."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation.assessment import assess
from evaluation.diagnostics import effective_size
from evaluation.estimators import ips, logged, sndr, snips
from evaluation.sample import Sample
from evaluation.sums import sums_of


def test_effective_size():
    assert effective_size(np.ones(7)) == 7.0
    assert effective_size(np.array([1.0, 0.0, 0.0])) == 1.0
    assert effective_size(np.array([3.0, 1.0])) == pytest.approx(1.6)
    assert effective_size(np.full(3, 1e-200)) == 3.0
    assert effective_size(np.zeros(3)) == 0.0


def test_by_hand():
    sample = Sample(
        reward=np.array([1.0, 0.0, 2.0, 0.0]),
        propensity=np.full(4, 0.5),
        target_propensity=np.array([0.5, 0.0, 1.0, 0.5]),  # weights 1, 0, 2, 1
        user=np.array([0, 0, 1, 1]),
    )
    found = assess(sample, "by hand").diagnostics
    assert found is not None
    assert (found.rows, found.users, found.max_weight, found.zero_target) == (4, 2, 2.0, 0.25)
    assert found.mean_weight.value == 1.0
    assert found.effective_sample_size == pytest.approx(16 / 6)
    assert found.effective_share == pytest.approx(4 / 6)
    assert found.heaviest_users == pytest.approx(0.75)
    assert found.coverage is None


@pytest.mark.parametrize("estimator", [ips, snips, sndr])
def test_pull_is_what_a_row_does_to_the_difference(sample, estimator):
    """The influence function against leaving one row out."""

    def difference(kept: np.ndarray) -> float:
        columns = {
            name: getattr(sample, name)[kept]
            for name in ("reward", "propensity", "target_propensity", "q_logged", "v_target")
        }
        some = Sample(user=sample.user[kept], **columns)
        return estimator(some).value - some.reward.mean()

    pulls = sums_of([logged(sample), estimator(sample)], np.arange(len(sample.reward))).pulls()
    pull = pulls[:, 1] - pulls[:, 0]
    assert abs(pull.sum()) < 1e-8
    everything = np.ones(len(sample.reward), bool)
    for row in (0, 7, int(pull.argmax())):
        without = everything.copy()
        without[row] = False
        moved = difference(everything) - difference(without)
        assert pull[row] == pytest.approx(moved, rel=0.02, abs=1e-8)


def test_a_difference_that_rests_on_few_users_says_so(sample):
    rare = np.zeros(len(sample.reward))
    rare[:12] = 50.0
    found = assess(replace(sample, reward=rare, q_logged=None, v_target=None), "rare")
    assert found.diagnostics is not None
    assert found.diagnostics.effective_users < 50
    assert found.verdict.answer == "cannot_tell"
    assert any("the difference rests on about" in reason for reason in found.verdict.reasons)


def test_no_weight_at_all_is_no_number(sample):
    never = replace(sample, target_propensity=np.zeros(len(sample.reward)), q_logged=None)
    found = assess(never, "never")
    assert found.verdict.answer == "cannot_tell"
    assert np.isnan(next(e for e in found.estimates if e.estimator == "snips").value.value)


def test_what_both_policies_are_sure_of_is_no_doubt(sample):
    """Holds that guardrails force have probability 1 under both: two thirds of a log may be so."""
    forced = np.arange(2000) % 3 > 0
    sure = replace(
        sample,
        propensity=np.where(forced, 1.0, sample.propensity),
        target_propensity=np.where(forced, 1.0, sample.target_propensity),
    )
    found = assess(replace(sure, q_logged=None, v_target=None), "forced")
    assert found.diagnostics is not None
    assert found.diagnostics.certain == 0.0
    assert found.verdict.answer == "better"
    filled = assess(replace(sample, propensity=np.ones(2000)), "filled")
    assert filled.diagnostics is not None
    assert filled.diagnostics.certain == 1.0
