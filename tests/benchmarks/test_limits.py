"""The tables of what limits a world's result, of worths whose differences are known."""

import numpy as np
import pytest

from benchmarks.limits import (
    FITTED,
    OBSERVED,
    ORACLE,
    SHARED,
    TRUE_GREEDY,
    Shop,
    difference,
    in_units_of,
    losses,
    sentence,
    shares,
)
from benchmarks.limits import FITTED_GREEDY as GREEDY
from mdp.state import TASTE
from simulator.worlds import known_world


@pytest.fixture
def worth():
    """By who decides, of four users; no DQN was trained."""
    means = {GREEDY: 5.0, FITTED: 6.0, SHARED: 7.0, OBSERVED: 7.5, TRUE_GREEDY: 9.0, ORACLE: 10.0}
    own = np.array([-2.0, -1.0, 1.0, 2.0])
    values = {name: mean + own for name, mean in means.items()}
    return values | {"ppo": values[FITTED] + np.array([0.5, 0.5, 0.5, -0.3])}


def test_what_is_lost_adds_up(worth):
    table = losses({"logit": worth})
    cell = {row.split(" | ")[0].strip("| "): row.split(" | ")[1] for row in table.splitlines()[2:]}
    names = ("information: oracle − observer", "the model: observer − planner on the fit")
    lost = [float(cell[name].split()[0]) for name in names]
    assert lost == [25.0, 15.0]
    assert cell["· of it users' effects"] == "5.0 ±0.0 |"
    assert cell["· of it what users share"] == "10.0 ±0.0 |"
    assert cell["dqn − planner on the fit"] == "– |"
    assert "| 60.0% |" in shares({"logit": worth})


def test_intervals_are_of_paired_users(worth):
    gain, half = difference(worth, "ppo", FITTED)
    assert gain == pytest.approx(3.0)
    assert half == pytest.approx(1.96 * 10 * np.std([0.5, 0.5, 0.5, -0.3], ddof=1) / 2)


def test_a_sentence_says_what_is_left(worth):
    said = sentence("logit", worth)
    assert "25.0 are lost to information and 15.0 to the model" in said
    assert "the planner on the fit has 60.0" in said
    assert "(ppo) +3.0" in said


@pytest.mark.slow
def test_a_fit_that_is_the_truth_loses_nothing(tmp_path):
    truth = known_world("hazard").simulator(60, 0)
    fitted = truth.believing(truth)
    shop = Shop(tmp_path, 0, truth, fitted, np.arange(60), 14)
    oracle = [shop.worth(each) for each in shop.seen(truth.response, truth.traits)]
    np.testing.assert_array_equal([shop.worth(each) for each in shop.fit()], oracle)
    as_fitted = shop.seen(truth.response, shop.users_as_fitted())
    np.testing.assert_allclose([shop.worth(each) for each in as_fitted], oracle, rtol=0.01)
    nobody = truth.traits.copy()
    nobody["hours"] = nobody["hours"].mean(0)
    less = [shop.worth(each).mean() for each in shop.seen(truth.response, nobody)]
    assert (np.array(less) < np.mean(oracle, axis=1)).all()


def test_a_fits_units_and_axes_are_nobodys():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(50, TASTE)) + 1.0
    turn, _ = np.linalg.qr(rng.normal(size=(TASTE, TASTE)))
    np.testing.assert_allclose(in_units_of(true, 3.0 * true @ turn - 2.0), true)
    openness = rng.normal(size=50)
    np.testing.assert_allclose(in_units_of(openness, 4.0 - openness / 3.0), openness)
