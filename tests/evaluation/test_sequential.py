"""Whole trajectories, in a world where sends tire users and the truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation.intervals import Intervals
from evaluation.sample import Sample
from evaluation.sequential import (
    Trajectories,
    cross_fitted_q,
    effective_users,
    estimate,
    first_step,
    fqe,
    logged_value,
    mis,
    pdis,
    sdr,
    sn_pdis,
)
from mdp.errors import BadInput

STEPS, USERS = 6, 800
LOGGING = np.array([0.5, 0.5])
"""Probability of a send when fresh and when tired."""
TARGET = np.array([0.8, 0.2])
WORTH = np.array([[0.05, 0.6], [0.05, 0.1]])
"""Of hold and send, in state fresh and tired."""
TIRING = np.array([[0.1, 0.7], [0.3, 0.9]])
"""Probability of being tired next, by state and action."""


def value(policy: np.ndarray, steps: int = STEPS, discount: float = 1.0) -> float:
    """By dynamic programming, from fresh."""
    v = np.zeros(2)
    chance = np.stack([1 - policy, policy], 1)
    for _ in range(steps):
        q = WORTH + discount * (TIRING * v[1] + (1 - TIRING) * v[0])
        v = (chance * q).sum(1)
    return float(v[0])


def drawn(seed: int, users: int = USERS, discount: float = 1.0) -> Trajectories:
    rng = np.random.default_rng(seed)
    state = np.zeros(users, np.int64)
    columns: list[list[np.ndarray]] = [[], [], []]
    for _ in range(STEPS):
        send = (rng.random(users) < LOGGING[state]).astype(np.int64)
        reward = (rng.random(users) < WORTH[state, send]).astype(float)
        for column, values in zip(columns, (state, send, reward), strict=True):
            column.append(values)
        state = (rng.random(users) < TIRING[state, send]).astype(np.int64)
    states, sends, rewards = (np.concatenate(column) for column in columns)
    sample = Sample(
        reward=rewards,
        propensity=np.where(sends == 1, LOGGING[states], 1 - LOGGING[states]),
        target_propensity=np.where(sends == 1, TARGET[states], 1 - TARGET[states]),
        user=np.tile(np.arange(users), STEPS),
    )
    tired = states.astype(float)

    def features(send: np.ndarray) -> np.ndarray:
        return np.stack([tired, send, tired * send], 1)

    return Trajectories(
        sample,
        np.repeat(np.arange(STEPS), users),
        discount,
        states,
        features(sends.astype(float)),
        features(TARGET[states]),
    )


def with_q(given: Trajectories) -> Trajectories:
    q, v = cross_fitted_q(given)
    return replace(given, sample=replace(given.sample, q_logged=q, v_target=v))


@pytest.mark.parametrize("discount", [1.0, 0.8])
def test_every_estimator_finds_the_truth(discount):
    truth, found = value(TARGET, discount=discount), []
    for seed in range(40):
        given = with_q(drawn(seed, discount=discount))
        sums = [f(given) for f in (pdis, sn_pdis, sdr)]
        values = [float(s.ratios(s.columns.sum(0))[0]) for s in sums]
        found.append([*values, mis(given), fqe(given)])
    mean, spread = np.mean(found, axis=0), np.std(found, axis=0)
    assert (np.abs(mean - truth) < 4 * spread / 40**0.5 + 0.01).all(), (mean, truth, spread)
    assert spread[2] < 0.8 * spread[0]  # a Q function helps
    assert spread[3] < 0.8 * spread[0]  # and so does knowing the state


def test_the_first_day_is_another_question():
    """Sending more pays at first, and its price comes later."""
    given = drawn(1, users=4000)
    (day,) = first_step(given).ratios(first_step(given).columns.sum(0))
    assert day == pytest.approx(value(TARGET, steps=1), abs=0.05)
    assert value(TARGET, steps=1) == pytest.approx(0.49)


def test_intervals_hold_the_truth():
    truth = value(TARGET)
    for name in ("pdis", "sn_pdis", "sdr", "mis", "fqe"):
        held = 0
        for seed in range(20):
            given = drawn(100 + seed, users=300)
            if name == "sdr":
                given = with_q(given)
            held += not estimate(given, name, Intervals(seed=seed, replicates=100)).excludes(truth)
        assert held >= 16, name


def test_the_logging_policy_itself_is_worth_what_it_earned():
    given = drawn(3)
    same = replace(given, sample=replace(given.sample, target_propensity=given.sample.propensity))
    earned = logged_value(given)
    assert not earned.excludes(value(LOGGING))
    for name in ("pdis", "sn_pdis", "mis"):
        assert estimate(same, name, Intervals(replicates=100)).value == pytest.approx(earned.value)
    np.testing.assert_allclose(effective_users(same), USERS)
    lost = effective_users(given)
    assert (np.diff(lost) < 0).all()
    assert lost[0] < USERS


def test_trajectories_of_any_length_and_order():
    """By hand: user 0 has two steps, user 1 one; weights 2, then 0.5."""
    sample = Sample(
        reward=np.array([3.0, 1.0, 4.0]),
        propensity=np.array([0.5, 0.25, 0.5]),
        target_propensity=np.array([0.25, 0.5, 1.0]),
        user=np.array([0, 0, 1]),
    )
    given = Trajectories(sample, np.array([1, 0, 0]), discount=0.5)
    plain = pdis(given)
    assert plain.columns[:, 1].tolist() == [2 * 1.0 + 0.5 * (2 * 0.5) * 3.0, 2 * 4.0]
    normal = sn_pdis(given)
    by_step = (2 * 1 + 2 * 4) / (2 + 2) + 0.5 * (1 * 3.0) / (1 + 2)
    assert normal.ratios(normal.columns.sum(0))[0] == pytest.approx(by_step)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": np.zeros(STEPS * USERS, np.int64)}, "without gap or repeat"),
        ({"step": np.zeros(3, np.int64)}, "step has 3 rows for 4800"),
        ({"discount": 0.0}, "the discount is 0.0: use one above 0"),
    ],
)
def test_what_is_no_trajectory_is_refused(change, message):
    with pytest.raises(BadInput, match=message):
        replace(drawn(0), **change)


def test_estimators_say_what_they_need():
    bare = Trajectories(drawn(0).sample, drawn(0).step)
    for name, message in (
        ("sdr", "sdr needs q_logged"),
        ("mis", "mis needs the state"),
        ("fqe", "fqe needs logged_features"),
        ("magic", "there is no estimator 'magic': use first, pdis, sn_pdis, sdr, mis, fqe"),
    ):
        with pytest.raises(BadInput, match=message):
            estimate(bare, name)


def test_weights_that_no_number_holds_are_refused():
    rows = np.arange(40)
    huge = Sample(np.ones(40), np.full(40, 1e-60), np.ones(40), user=rows // 4)
    with pytest.raises(BadInput, match=r"weights multiply to more than 1e\+100 over the days"):
        estimate(Trajectories(huge, rows % 4), "pdis")
