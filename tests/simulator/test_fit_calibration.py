"""Calibration finds what was planted: heads too sure of themselves, and levels that are off."""

import numpy as np
import pytest

from mdp.response import HEADS
from mdp.state import TRAITS
from simulator.fit_calibration import calibrated, shifts, slopes
from simulator.fit_heads import Sizes, fit_heads, predicted
from simulator.sends import OPEN, Sends
from simulator.widths import Widths
from tests.simulator.planted import pushes

S, U = 6000, 200


def seen(logit: np.ndarray, rng: np.random.Generator) -> Sends:
    """Pushes of which the profile is the only thing that matters."""
    profile = logit.astype(np.float32)
    return pushes(logit, rng, profile=profile, user=np.arange(S) % U)


@pytest.mark.parametrize(("too_sure", "expected"), [(2.0, 0.5), (1.0, 1.0), (0.5, 1.0)])
def test_the_slope_says_how_much_too_sure_a_head_is(too_sure, expected):
    rng = np.random.default_rng(0)
    logit = rng.normal(-1.0, 1.0, S)
    claimed = 1 / (1 + np.exp(-(-1.0 + too_sure * (logit + 1.0))))
    found = slopes(seen(logit, rng), np.repeat(claimed[:, None], len(HEADS), 1))
    assert found[OPEN] == pytest.approx(expected, abs=0.1)


def test_a_head_that_is_sure_and_wrong_is_told_so_however_sure_it_is():
    rng = np.random.default_rng(0)
    logit = 10.0 * rng.standard_t(1.5, S)
    claimed = 1 / (1 + np.exp(np.clip(-logit, -15, 15)))
    found = slopes(seen(np.full(S, -1.0), rng), np.repeat(claimed[:, None], len(HEADS), 1))
    assert found[OPEN] == pytest.approx(0, abs=0.05)


def test_levels_agree_with_the_later_pushes_over_draws_of_the_users():
    rng = np.random.default_rng(1)
    sends = seen(rng.normal(-2.0, 1.0, S), rng)
    heads = fit_heads(sends, Sizes(U, 1, 1), Widths(), (OPEN,))
    traits = np.zeros(U, TRAITS)
    traits["openness_var"] = 1.5
    slope = np.array([0.6, 1.0, 1.0, 1.0, 1.0])
    shift = shifts(calibrated(heads, sends, slope), sends, traits)
    out = calibrated(heads, sends, slope, shift)
    np.testing.assert_allclose(out["hours_weight"], heads["hours_weight"] * slope, rtol=1e-6)
    later = sends.only(np.arange(S) >= S // 2)
    drawn = []
    for _ in range(40):
        openness = heads["openness"] + np.sqrt(1.5) * rng.normal(size=U)
        drawn.append(predicted(out | {"openness": openness.astype(np.float32)}, later)[:, OPEN])
    observed = later.outcome[:, OPEN].mean()
    assert np.mean(drawn) == pytest.approx(observed, rel=0.04)
    assert predicted(out, later)[:, OPEN].mean() < 0.95 * observed


def test_levels_are_those_of_users_as_often_as_they_count():
    rng = np.random.default_rng(2)
    sends = seen(rng.normal(-1.0, 0.5, S), rng)
    heads = fit_heads(sends, Sizes(U, 1, 1), Widths(), (OPEN,), 10)
    traits, counted = np.zeros(U, TRAITS), np.arange(U) % 3 == 0
    shift = shifts(heads, sends, traits, counted.astype(np.float32))
    expected = shifts(heads, sends.only(counted[sends.user]), traits)
    np.testing.assert_allclose(shift, expected, atol=2e-3)
    assert abs(shift[OPEN] - shifts(heads, sends, traits)[OPEN]) > 0.01
