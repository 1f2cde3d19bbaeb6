"""The planner prices a send by what it costs later, from the observation alone."""

import numpy as np
import pytest

from mdp.observation import NAMES, USER
from policies.planner import Planner


def _observation(values, fatigue=0.0, unsubscribe=0.0, habit=0.0):
    """One item, one variant; a click brings all of the value."""
    size = len(values)
    seen: dict[str, np.ndarray] = {
        "user": np.zeros((size, len(USER)), np.float32),
        "candidates": np.zeros((size, 1, len(NAMES["candidates"])), np.float32),
        "variants": np.zeros((size, 1, len(NAMES["variants"])), np.float32),
        "hours": np.zeros((size, 24, len(NAMES["hours"])), np.float32),
        "pairs": np.zeros((size, 1, 1, 6), np.float32),
        "action_mask": np.ones((size, 26), np.int8),
    }
    seen["user"][:, USER.index("fatigue")] = fatigue
    seen["user"][:, USER.index("habit_mean")] = habit
    click = np.asarray(values) / 10.0
    seen["pairs"][:, 0, 0, 1], seen["pairs"][:, 0, 0, 2] = 0.5, click
    seen["pairs"][:, 0, 0, 5] = unsubscribe
    seen["pairs"][:, 0, 0, 0] = 10.0 * click - 4.0 * unsubscribe
    seen["hours"][..., 3] = seen["pairs"][:, 0, :, 0]
    return seen


def _planner(tiring=0.0, gamma=0.99):
    fatigue = np.array([-tiring, 0.0, 0.0, 0.0, 0.0])
    weights = np.array([1.0, 10.0, 0.0, -4.0, 0.0])
    return Planner(half_life=4.0, fatigue=fatigue, weights=weights, gamma=gamma)


def test_a_send_without_consequences_costs_nothing():
    np.testing.assert_allclose(_planner().price(_observation([0.5, 1.0])), 0.0, atol=1e-9)


def test_a_myopic_planner_charges_nothing():
    assert (_planner(tiring=2.0, gamma=0.0).price(_observation([1.0])) == 0).all()


def test_price_rises_with_how_much_sends_tire():
    seen = _observation([1.0])
    prices = [float(_planner(tiring).price(seen)[0]) for tiring in (0.0, 0.2, 0.6)]
    assert prices[0] < prices[1] < prices[2]


def test_price_of_an_unsubscribe_is_the_future_lost():
    """A tenth of the users leave after a send, which risks all later rewards."""
    planner, value = _planner(), 1.0
    price = planner.price(_observation([value], unsubscribe=0.1))[0]
    quiet = planner.price(_observation([value], unsubscribe=0.001))[0]
    # Every day a send at 1 - 0.4 and 0.1 lost: the future is worth 0.6 / (1 - 0.99 · 0.9).
    future = (value - 0.4) / (1.0 - 0.99 * 0.9)
    assert price == pytest.approx(0.99 * 0.1 * future, rel=0.02)
    assert 0 < quiet < price


def test_scores_send_exactly_where_the_reward_exceeds_the_price():
    seen = _observation(np.linspace(0.01, 2.0, 60), fatigue=1.0, habit=0.8)
    planner = _planner(tiring=0.5)
    sends = planner.probabilities(seen)[:, 0] < 0.5
    expected = seen["pairs"][:, 0, 0, 0] > planner.price(seen)
    assert (sends == expected).all()
    assert 0 < sends.mean() < 1


def test_rested_is_today_s_reward_without_fatigue():
    planner = _planner(tiring=0.5)
    fresh = _observation([0.7])
    np.testing.assert_allclose(planner.rested(fresh), 0.7, rtol=1e-5)
    assert planner.rested(_observation([0.7], fatigue=2.0))[0] > 0.7
    fresh["action_mask"][:] = 0
    assert planner.rested(fresh)[0] == 0
