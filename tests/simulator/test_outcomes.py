"""Outcomes follow the chain of heads, at the rates asked for, within their windows."""

import numpy as np
import pytest

from mdp.clock import DAY, HOUR, NEVER
from mdp.state import ATTRIBUTION
from simulator.description import Delays
from simulator.outcomes import draw_outcomes
from simulator.randomness import RESPONSE, keys

AT = 20_000 * DAY


def drawn(probability: list[float], size: int = 5000):
    user = np.arange(size).astype(np.uint64)
    key = keys(np.zeros(size, np.uint64), RESPONSE, user, np.zeros(size, np.int64))
    chances = np.tile(probability, (size, 1))
    return draw_outcomes(chances, np.full(size, AT), key, Delays())


def test_certain_outcomes_all_happen_in_their_order_and_windows():
    out = drawn([1, 1, 1, 1, 1])
    assert (out.opened > AT).all()
    assert (out.opened <= AT + 24 * HOUR).all()
    assert (out.clicked > out.opened).all()
    assert (out.purchased > out.clicked).all()
    assert (out.purchased - out.clicked < ATTRIBUTION).all()
    assert (out.dismissed == NEVER).all()  # what is opened is not dismissed
    assert (out.unsubscribed > AT).all()


def test_nothing_follows_a_hold_or_what_did_not_happen():
    assert (drawn([0, 1, 1, 0, 0]).purchased == NEVER).all()
    assert (drawn([1, 0, 1, 0, 0]).purchased == NEVER).all()
    key = np.ones(3, np.uint64)
    held = draw_outcomes(np.ones((3, 5)), np.full(3, NEVER), key, Delays())
    assert (held.opened == NEVER).all()


@pytest.mark.parametrize("head", ["opened", "dismissed", "unsubscribed"])
def test_rates_are_those_asked_for(head):
    out = drawn([0.3, 0.5, 0.5, 0.3, 0.3], 20_000)
    expected = 0.7 * 0.3 if head == "dismissed" else 0.3
    assert (getattr(out, head) != NEVER).mean() == pytest.approx(expected, abs=0.015)


def test_the_median_delay_is_the_one_given():
    out = drawn([1, 1, 1, 0, 0], 20_000)
    assert np.median(out.purchased - out.clicked) / HOUR == pytest.approx(1.5, rel=0.05)
