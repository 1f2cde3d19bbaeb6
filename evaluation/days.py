"""What a saved policy is worth over a user's days in a log, and on the first of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from evaluation.intervals import REPLICATES, Interval
from evaluation.replayed import Replayed
from evaluation.sample import Sample
from evaluation.sequential import (
    REFITTED,
    Trajectories,
    cross_fitted_q,
    effective_users,
    estimate,
    logged_value,
)
from mdp.clock import DAY

ESTIMATORS = ("first", "pdis", "sn_pdis", "sdr", "mis", "fqe")
ENOUGH = 50.0
"""Effective users that a step needs."""
_WEEK, _MOST_SENDS = 7 * DAY, 7
_REFITS = 200


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
    seed: int = 0,
) -> Days:
    """Evaluate n decisions by index as trajectories of their users.

    logged_features, target_features: (n, F) float64, of state and action, for the fitted Q. The
    state of `mis` is the number of sends of the last seven days.
    """
    at = replay.decisions.decided_at[rows]
    given = Trajectories(
        sample=replace(sample, features={}, segments={}, measures={}),
        step=steps_of(sample.user, at),
        state=recent_sends(replay, rows),
        logged_features=logged_features,
        target_features=target_features,
    )
    q, v = cross_fitted_q(given)
    given = replace(given, sample=replace(given.sample, q_logged=q, v_target=v))
    found = {
        name: estimate(given, name, seed, _REFITS if name in REFITTED else REPLICATES)
        for name in ESTIMATORS
    }
    # Where the log loses sight of the policy, sdr is the fitted Q, whose own error it doesn't see.
    found["sdr"] = found["sdr"].joined(found["fqe"])
    return Days(
        steps=given.cells.shape[1],
        users=len(given.cells),
        logged=logged_value(given),
        estimates=found,
        effective_users=tuple(float(size) for size in effective_users(given)),
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
