"""What a policy is worth over a user's days: estimators of whole trajectories.

Notation: a user's decisions are steps t = 0, 1, …, holds among them; w is a step's weight, W the
product of the weights up to and with it, γ the discount. A value is the mean over users of Σ γᵗ r
under the target policy, from the state in which each user's trajectory starts. A user who has
fewer steps than others earns nothing in the rest, with the weight of the last.

`first` is the value of the first step alone: what the policy does before its own sends have
changed anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from evaluation.estimators import Terms
from evaluation.intervals import LEVEL, PLAIN, Interval, Intervals, closed_form
from evaluation.sample import HUGE, Sample
from evaluation.sums import Sums, sums_of
from mdp.errors import BadInput

_RIDGE = 1e-3
"""Of the fitted Q's least squares, times the number of rows."""
_FOLDS = 5
REFITS = 200
"""Most resamples that an estimator is fitted again to."""
_BLOCK = 10
"""Of them, those that share a random generator and are made in one place."""


@dataclass(frozen=True, eq=False)
class Trajectories:
    """n decisions of U users, step by step; in any order."""

    sample: Sample
    """Rewards, propensities and users; its q_logged and v_target, where given, are of the target
    policy's rewards from there on (γ included), for `sdr`."""
    step: np.ndarray
    """Place of each decision in its user's trajectory (n,) int64, from 0 without gaps."""
    discount: float = 1.0
    """γ, above 0 and at most 1"""
    state: np.ndarray | None = None
    """A code of the state that each decision met (n,) int64 from 0, for `mis`."""
    logged_features: np.ndarray | None = None
    """φ of state and logged action (n, F) float64, for `fqe`."""
    target_features: np.ndarray | None = None
    """Mean of φ under the target policy (n, F) float64, for `fqe`."""
    cells: np.ndarray = field(init=False)
    """Row of each user's step (U, T) int64, -1 past a trajectory's end."""

    def __post_init__(self) -> None:
        user, step = self.sample.user, np.asarray(self.step)
        if len(step) != len(user) or (step < 0).any():
            raise BadInput(f"step has {len(step)} rows for {len(user)}, or a negative one")
        if not 0 < self.discount <= 1:
            raise BadInput(f"the discount is {self.discount}: use one above 0 and at most 1")
        cells = np.full((self.sample.users, int(step.max()) + 1), -1, np.int64)
        cells[user, step] = np.arange(len(user))
        filled = cells >= 0
        if filled.sum() != len(user) or (filled[:, 1:] & ~filled[:, :-1]).any():
            raise BadInput("step must count each user's decisions from 0, without gap or repeat")
        object.__setattr__(self, "cells", cells)

    def table(self, values: np.ndarray, rest: float = 0.0) -> np.ndarray:
        """Values (n,) as (U, T); `rest` past the end of a trajectory."""
        return np.where(self.cells >= 0, values[self.cells], rest)

    @cached_property
    def cumulative(self) -> np.ndarray:
        """W (U, T) float64. Raises `BadInput` where no number holds it."""
        with np.errstate(over="ignore"):
            found = np.cumprod(self.table(self.sample.weights, 1.0), axis=1)
        if not found.max() <= HUGE:
            raise BadInput(
                f"a user's weights multiply to more than {HUGE:g} over the days: are the "
                "propensities right? If so, ask for fewer days, or for no --days"
            )
        return found

    @cached_property
    def discounts(self) -> np.ndarray:
        """γᵗ (T,) float64."""
        return self.discount ** np.arange(self.cells.shape[1])


def pdis(given: Trajectories) -> Sums:
    """Per-decision importance sampling, mean of Σ γᵗ W r. Precup, Sutton & Singh (2000),
    "Eligibility traces for off-policy policy evaluation"."""
    earned = given.cumulative * given.table(given.sample.reward)
    return _by_user(earned @ given.discounts)


def sn_pdis(given: Trajectories) -> Sums:
    """Self-normalised per-decision importance sampling, Σ γᵗ (Σ W r / Σ W) over users each step."""
    earned = given.cumulative * given.table(given.sample.reward)
    users, steps = earned.shape
    columns = np.concatenate([np.ones((users, 1)), earned * given.discounts, given.cumulative], 1)
    return Sums(columns, (tuple((1 + t, 1 + steps + t) for t in range(steps)),))


def sdr(given: Trajectories) -> Sums:
    """Sequential doubly robust, mean of Σ γᵗ (W₋ v + W (r - q)), W₋ being the W of the step
    before. Jiang & Li (2016), "Doubly robust off-policy value evaluation for reinforcement
    learning". Needs q_logged and v_target."""
    sample = given.sample
    if sample.q_logged is None or sample.v_target is None:
        raise BadInput(
            "sdr needs q_logged and v_target of the rewards from each step on (of a table: the "
            "columns q_to_go and v_to_go, or features)"
        )
    before = np.concatenate([np.ones((len(given.cells), 1)), given.cumulative[:, :-1]], 1)
    gained = before * given.table(sample.v_target)
    gained += given.cumulative * given.table(sample.reward - sample.q_logged)
    return _by_user(gained @ given.discounts)


def first_step(given: Trajectories) -> Sums:
    """The first step alone, self-normalised: Σ w r / Σ w over users."""
    rows = given.cells[:, 0]
    weights = given.sample.weights[rows]
    return sums_of([Terms(weights * given.sample.reward[rows], weights)], np.arange(len(rows)))


def _by_user(values: np.ndarray) -> Sums:
    return sums_of([Terms(values)], np.arange(len(values)))


def mis(given: Trajectories, counts: np.ndarray | None = None) -> float:
    """Marginalised (state-density) importance sampling: how probable each state is under the
    target, step by step from the logged transitions, times what it earns there. Its variance does
    not grow with the product of weights. Xie, Ma & Wang (2019), "Towards optimal off-policy
    evaluation for reinforcement learning with marginalized importance sampling".

    counts: (U,) how often each user counts (default once). Needs `state`; right where the state
    says all that the past tells of the future.
    """
    if given.state is None:
        raise BadInput("mis needs the state that each decision met (of a table: the column state)")
    cells, weights, reward = given.cells, given.sample.weights, given.sample.reward
    often = np.ones(len(cells)) if counts is None else counts
    states = int(given.state.max()) + 1
    alive = cells[:, 0] >= 0
    density = np.bincount(given.state[cells[alive, 0]], often[alive], states) / often.sum()
    value = 0.0
    for t in range(cells.shape[1]):
        here = cells[:, t] >= 0
        rows, own = cells[here, t], often[here]
        s, w = given.state[rows], weights[rows]
        met = np.bincount(s, own, states)
        share = np.divide(density, met, out=np.zeros(states), where=met > 0)
        mass = share[s] * own * w
        value += given.discounts[t] * float((mass * reward[rows]).sum())
        if t + 1 == cells.shape[1]:
            break
        after = cells[here, t + 1]
        on = after >= 0
        density = np.bincount(given.state[after[on]], mass[on], states)
        # Weights of a finite log don't sum to what they should: keep the share that goes on.
        total, expected = mass.sum(), share[s] @ own
        if total > 0:
            density *= expected / total
    return value


def fqe(given: Trajectories, counts: np.ndarray | None = None) -> float:
    """Fitted Q evaluation: from the last step back, rewards and the next step's fitted value are
    regressed on features of state and action; the value is that of the first states. Le, Voloshin &
    Yue (2019), "Batch policy learning under constraints".

    counts: (U,) how often each user counts (default once). Needs both features; no weight enters,
    and it is as biased as a linear Q is.
    """
    logged, target = _features(given)
    fitted = _fitted(given, logged, target, counts)
    first = given.cells[:, 0]
    often = np.ones(len(first)) if counts is None else counts
    return float(((target[first] @ fitted[0]) * often).sum() / often.sum())


def cross_fitted_q(given: Trajectories) -> tuple[np.ndarray, np.ndarray]:
    """q_logged and v_target (n,) float64 for `sdr`, of Q functions that were fitted by `fqe` on
    other users."""
    logged, target = _features(given)
    q, v = np.zeros(len(logged)), np.zeros(len(logged))
    fold = np.arange(len(given.cells)) % _FOLDS
    for number in range(_FOLDS):
        fitted = _fitted(given, logged, target, (fold != number).astype(np.float64))
        for t in range(given.cells.shape[1]):
            rows = given.cells[fold == number, t]
            rows = rows[rows >= 0]
            q[rows], v[rows] = logged[rows] @ fitted[t], target[rows] @ fitted[t]
    return q, v


def _features(given: Trajectories) -> tuple[np.ndarray, np.ndarray]:
    if given.logged_features is None or given.target_features is None:
        raise BadInput(
            "fqe needs logged_features and target_features (of a table: columns feature_NAME and "
            "target_feature_NAME)"
        )
    ones = np.ones((len(given.logged_features), 1))
    return np.hstack([ones, given.logged_features]), np.hstack([ones, given.target_features])


def _fitted(
    given: Trajectories, logged: np.ndarray, target: np.ndarray, counts: np.ndarray | None
) -> np.ndarray:
    """Coefficients (T, F + 1) of the Q function at each step."""
    cells, reward = given.cells, given.sample.reward
    often = np.ones(len(cells)) if counts is None else counts
    steps, size = cells.shape[1], logged.shape[1]
    out = np.zeros((steps, size))
    for t in reversed(range(steps)):
        here = (cells[:, t] >= 0) & (often > 0)
        rows, own = cells[here, t], often[here]
        aim = reward[rows].copy()
        if t + 1 < steps:
            after = cells[here, t + 1]
            on = after >= 0
            aim[on] += given.discount * (target[after[on]] @ out[t + 1])
        design = logged[rows]
        gram = (design * own[:, None]).T @ design
        gram[np.diag_indices(size)] += _RIDGE * max(own.sum(), 1.0)
        out[t] = np.linalg.solve(gram, design.T @ (own * aim))
    return out


SUMS = {"first": first_step, "pdis": pdis, "sn_pdis": sn_pdis, "sdr": sdr}
REFITTED: dict[str, Callable[[Trajectories, np.ndarray | None], float]] = {"mis": mis, "fqe": fqe}


def estimate(given: Trajectories, name: str, how: Intervals = PLAIN) -> Interval:
    """An estimator's value per user with its 95 % interval.

    name: first, pdis, sn_pdis, sdr, mis or fqe; the last two are fitted again to resamples of the
    users, at most `REFITS` of them, so their intervals hold the fit's error (not that of a wrong
    state or a wrong form). Raises `BadInput` for another name, or where columns are missing.
    """
    if name in SUMS:
        return how.of(SUMS[name](given)).interval(0)
    if name not in REFITTED:
        raise BadInput(f"there is no estimator {name!r}: use {', '.join([*SUMS, *REFITTED])}")
    value, refits = REFITTED[name](given, None), min(REFITS, how.replicates)
    parts = [(how.seed, first, min(_BLOCK, refits - first)) for first in range(0, refits, _BLOCK)]
    drawn = np.concatenate(list(how.spread(_refitted, (given, name), parts)))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))


def _refitted(shared: tuple[Trajectories, str], part: tuple[int, int, int]) -> np.ndarray:
    """Values of some resamples (rows,); part: seed, number of the first one, and how many."""
    given, name = shared
    seed, first, rows = part
    rng, users = np.random.default_rng([seed, first]), len(given.cells)
    counts = (
        np.bincount(rng.integers(0, users, users), minlength=users).astype(np.float64)
        for _ in range(rows)
    )
    return np.array([REFITTED[name](given, often) for often in counts])


def logged_value(given: Trajectories) -> Interval:
    """What the logging policy earned per user, mean of Σ γᵗ r, with its interval."""
    return closed_form(_by_user(given.table(given.sample.reward) @ given.discounts)).interval(0)


def effective_users(given: Trajectories) -> np.ndarray:
    """Effective number of users (T,) float64 at each step, (Σ W)² / Σ W²: how fast the log loses
    sight of the policy."""
    top = given.cumulative.max(0)
    scaled = given.cumulative / np.where(top > 0, top, 1.0)
    squares = (scaled**2).sum(0)
    total = scaled.sum(0) ** 2
    return np.divide(total, squares, out=np.zeros_like(squares), where=squares > 0)
