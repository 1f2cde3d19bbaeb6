"""Half-lives and the knee come back as planted, and move as little as the log does."""

from collections.abc import Callable

import numpy as np
import pytest

from simulator.fit_half_lives import USUAL, fitted_half_lives
from simulator.fit_heads import Sizes
from simulator.sends import Sends
from tests.simulator.planted import pushes

pytestmark = pytest.mark.slow
S, BEFORE = 4_000, 4
PLANTED = np.array([5.6, 4.0, 20.0, 30.0])
WEIGHTS = np.array([-0.9, -0.9, -0.9])


def recalling(
    weights: np.ndarray,
    which: slice | np.ndarray = slice(None),
    knee: float = 0.0,
    S: int = S,
) -> Callable[[np.ndarray], Sends]:
    """Pushes after `BEFORE` others, some of their style and some of their item, opened by weights
    (3,) of what `PLANTED` half-lives leave of these, of fatigue what is above a knee."""
    rng = np.random.default_rng(8)
    age = rng.exponential(6.0, (3, S, BEFORE))
    counted = rng.random((3, S, BEFORE)) < np.array([1.0, 0.5, 0.5])[:, None, None]

    def left(lives: np.ndarray) -> np.ndarray:
        decayed = counted * 2.0 ** (-age / lives[:3, None, None])
        return decayed.sum(2).astype(np.float32)

    felt = left(PLANTED)
    felt[0] = np.maximum(felt[0] - knee, 0)
    sends = pushes(2.5 + weights @ felt, rng)

    def remembered(lives: np.ndarray) -> Sends:
        own = dict(zip(("fatigue", "wear", "repetition"), left(lives), strict=True))
        return Sends(**vars(sends) | own).only(which)

    return remembered


def found(weights: np.ndarray, which: slice | np.ndarray = slice(None)) -> np.ndarray:
    return fitted_half_lives(recalling(weights, which), Sizes(1, 1, 1))[0].lives


def test_planted_half_lives_come_back():
    np.testing.assert_allclose(found(WEIGHTS), PLANTED, rtol=0.25)


def test_what_tires_nobody_keeps_its_usual_half_life():
    np.testing.assert_allclose(found(0.0 * WEIGHTS), USUAL, rtol=0.25)


@pytest.mark.parametrize("knee", [0.0, 1.5])
def test_a_planted_knee_comes_back_and_none_where_there_is_none(knee):
    fitted = fitted_half_lives(recalling(WEIGHTS, knee=knee, S=4 * S), Sizes(1, 1, 1))[0]
    assert fitted.knee == pytest.approx(knee, abs=0.3)
    assert fitted.lives[0] == pytest.approx(PLANTED[0], rel=0.3)


def test_who_are_not_tired_have_no_knee():
    assert fitted_half_lives(recalling(0.0 * WEIGHTS, knee=1.5), Sizes(1, 1, 1))[0].knee == 0


def test_half_lives_move_as_little_as_the_log_does():
    every = found(WEIGHTS)
    rng = np.random.default_rng(2)
    other_order = found(WEIGHTS, rng.permutation(S))
    np.testing.assert_allclose(other_order, every, rtol=0.01)
    without_some = found(WEIGHTS, rng.random(S) > 0.02)
    np.testing.assert_allclose(without_some, every, rtol=0.2)
    assert (without_some != every)[:3].all()
