"""The bootstrap: what it resamples, pairing, and coverage."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.coverage import NEAR, study
from evaluation.assessment import assess
from evaluation.estimators import Terms, logged
from evaluation.intervals import Bootstrap, Intervals, closed_form, long_tail, resampled
from evaluation.sample import Sample
from evaluation.specification import parse
from evaluation.sums import sums_of


def bootstrap(terms, user: np.ndarray, seed: int, replicates: int = 1000) -> Bootstrap:
    sums = sums_of([Terms(*each) for each in terms], user)
    return resampled(sums, Intervals(seed=seed, replicates=replicates))


def test_users_are_resampled_and_not_rows():
    """Copies of a user's row say nothing new: the interval must not shrink."""
    rng = np.random.default_rng(0)
    values, ones = rng.normal(size=200), np.ones(200)
    once = bootstrap([(values, ones)], np.arange(200), seed=1).interval(0)
    tenfold = bootstrap(
        [(np.repeat(values, 10), np.ones(2000))], np.repeat(np.arange(200), 10), seed=1
    ).interval(0)
    naive = bootstrap([(np.repeat(values, 10), np.ones(2000))], np.arange(2000), seed=1).interval(0)
    assert tenfold.low == pytest.approx(once.low)
    assert tenfold.high == pytest.approx(once.high)
    assert naive.high - naive.low < 0.5 * (once.high - once.low)


def test_width_is_that_of_the_normal_interval():
    rng = np.random.default_rng(0)
    values = rng.normal(size=1000)
    found = bootstrap([(values, np.ones(1000))], np.arange(1000), seed=1, replicates=4000).interval(
        0
    )
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 1000**0.5, rel=0.05)


def test_differences_are_paired():
    rng = np.random.default_rng(0)
    values, ones = rng.normal(size=300), np.ones(300)
    drawn = bootstrap([(values, ones), (values + 1.0, ones)], np.arange(300), seed=1)
    difference = drawn.interval(1, less=0)
    assert difference.low == pytest.approx(1.0)
    assert difference.high == pytest.approx(1.0)


def test_the_seed_decides_and_not_where_resamples_are_made():
    rng = np.random.default_rng(0)
    sums = sums_of([Terms(rng.normal(size=50))], np.arange(50))

    def backwards(work, shared, parts):
        return iter([work(shared, part) for part in reversed(parts)][::-1])

    whole = resampled(sums, Intervals(seed=3, replicates=250))
    assert whole.replicates.shape == (250, 1)
    assert len(np.unique(whole.replicates)) == 250
    spread = resampled(sums, Intervals(seed=3, replicates=250, spread=backwards))
    np.testing.assert_array_equal(whole.replicates, spread.replicates)
    other = resampled(sums, Intervals(seed=4, replicates=250))
    assert not np.array_equal(whole.replicates, other.replicates)


def test_where_influence_is_skewed_the_interval_reaches_towards_the_long_tail():
    """Means of 60 draws of rare amounts: percentiles alone miss the truth from below."""
    covered = {"plain": 0, "found": 0}
    truth = np.exp(0.5) * 0.2
    for run in range(150):
        rng = np.random.default_rng([5, run])
        values = rng.lognormal(size=60) * (rng.random(60) < 0.2)
        drawn = bootstrap([(values,)], np.arange(60), seed=run, replicates=400)
        found = drawn.interval(0)
        low, high = np.quantile(drawn.replicates[:, 0], [0.025, 0.975])
        assert found.low <= low + 1e-9
        assert found.high > high
        assert found.high - found.value > found.value - found.low
        covered["plain"] += low <= truth <= high
        covered["found"] += found.low <= truth <= found.high
    assert covered["found"] > covered["plain"] + 5
    even = bootstrap([(np.r_[-np.ones(200), np.ones(200)],)], np.arange(400), seed=0)
    assert long_tail(0.0, even.pulls[:, 0], 0.95) is None
    skewed = np.r_[-np.full(300, 1.0), np.full(30, 10.0)] / 330
    up, down = long_tail(0.0, skewed, 0.95), long_tail(0.0, -skewed, 0.95)
    assert up is not None
    assert down is not None
    assert up.low == down.high == 0.0
    assert up.high == -down.low > 1.96 * (skewed**2).sum() ** 0.5


def test_nothing_to_divide_by_is_unknown():
    found = bootstrap([(np.zeros(9), np.zeros(9))], np.arange(9), seed=0).interval(0)
    assert np.isnan([found.value, found.low, found.high]).all()
    assert not found.excludes(0.0)


def test_logged_is_the_mean_reward(sample: Sample):
    assert logged(sample).value == sample.reward.mean()


def test_intervals_hold_the_truth_as_often_as_they_say():
    found = study(NEAR, runs=80, seed=11)
    for name, share in found.covered.items():
        assert 0.87 <= share <= 1.0, name
    assert found.wrong == 0.0


def test_a_model_that_is_wrong_widens_its_own_interval(sample: Sample):
    """`dm` alone would be sure of a wrong value: its interval holds what `dr` says, too."""
    assert sample.q_logged is not None
    assert sample.v_target is not None
    wrong = replace(sample, q_logged=sample.q_logged + 0.3, v_target=sample.v_target + 0.3)
    dm, dr = (each.value for each in assess(wrong, "wrong", parse("dm,dr")).estimates)
    assert dm.low <= dr.low
    assert dr.high <= dm.high
    assert dm.value > dr.high
    alone = assess(sample, "right", parse("dm")).estimates[0].value
    assert alone.high - alone.low < 0.6 * (dm.high - dm.low)


def test_the_closed_form_agrees_with_the_bootstrap(sample: Sample):
    for specification in ("ips", "snips", "dr", "sndr", "dros:2"):
        terms = [logged(sample), parse(specification)[0].terms(sample)]
        sums = sums_of(terms, sample.user)
        exact, drawn = closed_form(sums), resampled(sums, Intervals(seed=2, replicates=4000))
        for less in (None, 0):
            one, two = exact.interval(1, less), drawn.interval(1, less)
            assert one.value == two.value
            assert one.high - one.low == pytest.approx(two.high - two.low, rel=0.06)
            assert one.low == pytest.approx(two.low, abs=0.15 * (one.high - one.low))


def test_more_users_than_are_resampled_are_put_together_at_random(monkeypatch, sample: Sample):
    sums = sums_of([logged(sample)], np.arange(len(sample.reward)))
    exact = closed_form(sums).interval(0)
    monkeypatch.setattr("evaluation.intervals.CLUSTERS", 300)
    grouped = resampled(sums, Intervals(seed=1, replicates=2000)).interval(0)
    assert grouped.value == exact.value
    assert grouped.high - grouped.low == pytest.approx(exact.high - exact.low, rel=0.15)


def test_intervals_widen_with_the_number_of_policies_compared(sample: Sample):
    one, five = (assess(sample, "t", parse("snips"), comparisons=m).estimates[0] for m in (1, 5))
    assert one.difference == five.difference
    assert one.tested.joined(one.difference) == one.tested
    assert five.tested.low < one.tested.low < one.tested.high < five.tested.high
    verdict = assess(sample, "t", parse("snips"), comparisons=5).verdict
    assert "99 % interval (95 % for all 5 policies together)" in verdict.reasons[0]
