"""The columns of a plain table that make trajectories of its rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.days import steps_of
from evaluation.sample import Sample, checked, joint
from evaluation.sequential import Trajectories
from evaluation.table import STATE, STEP, TO_GO, labels, numbers, times
from mdp.errors import BadInput

ORDER = (*STEP, "decided_at")
"""The first of them that a table has puts a user's decisions in order."""
FEATURE, TARGET_FEATURE = "feature_", "target_feature_"
"""Prefixes of the features of state and logged action, and of their means under the target."""
_MOST_CELLS = 100_000_000
"""Users times decisions of the one who has most: 800 MB a number."""


def trajectories_of(frame: pd.DataFrame, sample: Sample, discount: float = 1.0) -> Trajectories:
    """Trajectories of a table's rows; raises `BadInput`, naming the column.

    Columns: user_id; `step`, `day` or `decided_at`; where there are, q_to_go and v_to_go (for
    `sdr`), state (for `mis`), feature_NAME and target_feature_NAME (for `fqe` and `sdr`).
    """
    step = _steps(frame, sample.user)
    if (cells := sample.users * (int(step.max()) + 1)) > _MOST_CELLS:
        raise BadInput(
            f"one user has {int(step.max()) + 1:,} decisions, which with {sample.users:,} users "
            f"are {cells:,} steps, more than {_MOST_CELLS:,}: is its user_id a placeholder?"
        )
    q, v = (_optional(frame, name) for name in TO_GO)
    if (q is None) != (v is None):
        raise BadInput(f"the table has one of {' and '.join(TO_GO)}: sdr needs both, or neither")
    state = None
    if STATE in frame.columns:
        state = joint([labels(frame[STATE])])
    logged, target = _features(frame)
    bare = Sample(sample.reward, sample.propensity, sample.target_propensity, sample.user, q, v)
    return Trajectories(bare, step, discount, state, logged, target)


def _steps(frame: pd.DataFrame, user: np.ndarray) -> np.ndarray:
    """Place (n,) int64 of each row among its user's."""
    if "user_id" not in frame.columns:
        raise BadInput("what days are worth needs a column user_id, and the table has none")
    order = next((name for name in ORDER if name in frame.columns), None)
    if order is None:
        raise BadInput(
            f"what days are worth needs a column {ORDER[0]}, {ORDER[1]} or {ORDER[2]} that puts "
            "a user's decisions in order, and the table has none"
        )
    if order == "decided_at":
        at = times(frame).to_numpy("datetime64[us]").astype(np.int64)  # type: ignore[union-attr]
    else:
        at = checked(order, numbers(frame[order]))
    place = np.lexsort((at, user))
    twice = (np.diff(user[place]) == 0) & (np.diff(at[place]) == 0)
    if twice.any():
        row = int(place[1:][twice][0])
        raise BadInput(
            f"user {str(frame['user_id'].iloc[row])!r} has two decisions with the {order} "
            f"{str(frame[order].iloc[row])!r} ({int(twice.sum())} such rows): number each user's "
            "decisions in a column step"
        )
    return steps_of(user, at)


def _optional(frame: pd.DataFrame, name: str) -> np.ndarray | None:
    return checked(name, numbers(frame[name])) if name in frame.columns else None


def _features(frame: pd.DataFrame) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Both (n, F) float64; None where the table has none."""
    columns = [str(name) for name in frame.columns]
    logged, target = (
        [name.removeprefix(prefix) for name in columns if name.startswith(prefix)]
        for prefix in (FEATURE, TARGET_FEATURE)
    )
    if set(logged) != set(target):
        alone = sorted(set(logged) ^ set(target))[0]
        raise BadInput(
            f"feature {alone!r} is there once: give {FEATURE}{alone} of the logged action and "
            f"{TARGET_FEATURE}{alone}, its mean under the target policy"
        )
    if not logged:
        return None, None
    both = (
        np.column_stack([checked(p + name, numbers(frame[p + name])) for name in logged])
        for p in (FEATURE, TARGET_FEATURE)
    )
    return next(both), next(both)
