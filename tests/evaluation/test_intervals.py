"""The bootstrap: what it resamples, pairing, and coverage."""

import numpy as np
import pytest

from benchmarks.coverage import NEAR, study
from evaluation.estimators import logged
from evaluation.intervals import bootstrap
from evaluation.sample import Sample


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


def test_the_seed_decides_and_chunks_do_not(monkeypatch):
    rng = np.random.default_rng(0)
    terms = [(rng.normal(size=50), np.ones(50))]
    whole = bootstrap(terms, np.arange(50), seed=3, replicates=100)
    monkeypatch.setattr("evaluation.intervals._CELLS", 7 * 50)
    chunked = bootstrap(terms, np.arange(50), seed=3, replicates=100)
    np.testing.assert_allclose(whole.replicates, chunked.replicates)
    other = bootstrap(terms, np.arange(50), seed=4, replicates=100)
    assert not np.array_equal(whole.replicates, other.replicates)


def test_nothing_to_divide_by_is_unknown():
    found = bootstrap([(np.zeros(9), np.zeros(9))], np.arange(9), seed=0).interval(0)
    assert np.isnan([found.value, found.low, found.high]).all()
    assert not found.excludes(0.0)


def test_logged_is_the_mean_reward(sample: Sample):
    top, bottom = logged(sample)
    assert top.sum() / bottom.sum() == sample.reward.mean()


def test_intervals_hold_the_truth_as_often_as_they_say():
    found = study(NEAR, runs=80, seed=11)
    for name in ("ips", "snips", "dr"):
        assert 0.87 <= found.covered[name] <= 1.0
    assert found.covered["dm"] < 0.8  # the model's own error is in no interval
    assert found.wrong == 0.0
