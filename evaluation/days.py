"""What a policy is worth over a user's days, and on the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evaluation.intervals import PLAIN, Interval, Intervals
from evaluation.replayed import Replayed
from evaluation.sample import Sample
from evaluation.sequential import (
    Trajectories,
    cross_fitted_q,
    effective_users,
    estimate,
    logged_value,
)
from evaluation.specification import SEQUENTIAL
from mdp.clock import DAY

ENOUGH = 50.0
"""Effective users that a step needs."""
_WEEK, _MOST_SENDS = 7 * DAY, 7


@dataclass(frozen=True)
class Days:
    """Values per user, over as many decisions as the log has of them."""

    steps: int
    """of the longest trajectory"""
    users: int
    logged: Interval
    """What the logging policy earned."""
    estimates: dict[str, Interval]
    """By estimator; `first` is the first decision alone."""
    effective_users: tuple[float, ...]
    """By step: how many users' trajectories still look like the policy's."""
    named: tuple[str, ...] = ()
    """Estimators that were asked for by name."""

    @property
    def believed(self) -> int:
        """Steps in which the log still has enough of the policy."""
        enough = np.array(self.effective_users) >= ENOUGH
        return int(np.argmin(enough)) if not enough.all() else self.steps


def over_days(
    replay: Replayed,
    rows: np.ndarray,
    sample: Sample,
    logged_features: np.ndarray,
    target_features: np.ndarray,
    named: Sequence[str] = (),
    discount: float = 1.0,
    how: Intervals = PLAIN,
) -> Days:
    """Evaluate n decisions of a log by index as trajectories of their users.

    logged_features, target_features: (n, F) float64, of state and action, for the fitted Q. The
    state of `mis` is the number of sends of the last seven days.
    """
    at = replay.decisions.decided_at[rows]
    given = Trajectories(
        sample=replace(sample, q_logged=None, v_target=None, features={}, segments={}, measures={}),
        step=steps_of(sample.user, at),
        discount=discount,
        state=recent_sends(replay, rows),
        logged_features=logged_features,
        target_features=target_features,
    )
    return evaluated(given, named, how)


def evaluated(given: Trajectories, named: Sequence[str] = (), how: Intervals = PLAIN) -> Days:
    """Values of trajectories by the named estimators (default: all that columns are there for).

    Without q_logged and v_target of its own, `sdr` takes the fitted Q, cross-fitted. Raises
    `BadInput` for a name that columns are missing for.
    """
    fitted = given.logged_features is not None
    if fitted and not given.sample.has_model:
        q, v = cross_fitted_q(given)
        given = replace(given, sample=replace(given.sample, q_logged=q, v_target=v))
    there = {"sdr": given.sample.has_model, "mis": given.state is not None, "fqe": fitted}
    names = named or [name for name in SEQUENTIAL if there.get(name, True)]
    found = {name: estimate(given, name, how) for name in names}
    if "sdr" in found and fitted:
        # Where the log loses sight of the policy, sdr is the fitted Q, whose own error it doesn't
        # see.
        found["sdr"] = found["sdr"].joined(found.get("fqe") or estimate(given, "fqe", how))
    return Days(
        steps=given.cells.shape[1],
        users=len(given.cells),
        logged=logged_value(given),
        estimates=found,
        effective_users=tuple(float(size) for size in effective_users(given)),
        named=tuple(named),
    )


def steps_of(user: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Place (n,) int64 of each decision among its user's, by time."""
    order = np.lexsort((at, user))
    sorted_user = user[order]
    starts = np.flatnonzero(np.r_[True, sorted_user[1:] != sorted_user[:-1]])
    lengths = np.diff(np.r_[starts, len(user)])
    step = np.empty(len(user), np.int64)
    step[order] = np.arange(len(user)) - np.repeat(starts, lengths)
    return step


def recent_sends(replay: Replayed, rows: np.ndarray) -> np.ndarray:
    """Sends (n,) int64 of the seven days before each decision to its user, 7 at most."""
    decisions = replay.decisions
    order = np.lexsort((decisions.decided_at, decisions.owner))
    sends = np.r_[0, np.cumsum(decisions.sent[order])]
    # One ascending key of user and time: a user's decisions are next to one another in it.
    span = int(decisions.decided_at.max() - decisions.decided_at.min()) + 2 * _WEEK
    since = decisions.decided_at - decisions.decided_at.min() + _WEEK
    key = decisions.owner.astype(np.int64) * span + since
    ordered = key[order]
    until = np.searchsorted(ordered, key[rows])
    start = np.searchsorted(ordered, key[rows] - _WEEK)
    return np.minimum(sends[until] - sends[start], _MOST_SENDS).astype(np.int64)
