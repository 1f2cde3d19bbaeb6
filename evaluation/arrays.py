"""Off-policy evaluation from Python: arrays or a DataFrame in, an assessment out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from evaluation.assessment import Assessment, assess
from evaluation.days import evaluated
from evaluation.intervals import REPLICATES, Intervals, Method
from evaluation.specification import divided
from evaluation.steps import FEATURE, TARGET_FEATURE, trajectories_of
from evaluation.table import KNOWN, WITHOUT_USERS, sample_of
from ingestion.spread import Spread, in_turn
from mdp.errors import BadInput, BadSetting


def evaluate(
    data: pd.DataFrame | None = None,
    *,
    estimators: str | None = None,
    name: str = "data",
    seed: int = 0,
    replicates: int = REPLICATES,
    method: Method = "bootstrap",
    comparisons: int = 1,
    days: bool = False,
    discount: float = 1.0,
    spread: Spread = in_turn,
    **columns: Any,
) -> Assessment:
    """What a log of n decisions says of a target policy: estimates, intervals, verdict.

    Either a DataFrame with the columns below, or each column as an array of shape (n,):

    - reward: float, what followed the decision
    - propensity: float in (0, 1], probability of the logged action under the logging policy
    - target_propensity: float in [0, 1], its probability under the target policy
    - q_logged, v_target: float, optional; a reward model's expected reward of the logged action
      and under the target policy, Σ_a π(a|x) q(x, a)
    - user_id: text or number, optional; whose decision it was (else each row is a user)
    - marginal_weight: float, optional, for `mips`; or item, variant, hour: text or number
    - segment: text, optional; reported one by one
    - sent, opened, clicked, purchased, revenue, unsubscribed: float, optional; reported
    - decision_id, decided_at: optional; ids that repeat are refused, times split the log in halves

    days: also what a user's days are worth, holds among their steps, discounted by `discount` a
    step; so too where `estimators` names first, pdis, sn_pdis, sdr, mis or fqe. Needs user_id and

    - step, day or decided_at: number or time, puts a user's decisions in order
    - q_to_go, v_to_go: float, optional, for `sdr`; expected rewards from the step on, discounted,
      of the logged action and under the target policy
    - state: text or number, optional, for `mis`; which state the decision met
    - feature_NAME, target_feature_NAME: float, optional, for `fqe` (and `sdr`, which then needs no
      q_to_go); features of state and logged action, and their means under the target policy

    estimators: as `--estimators`, such as "snips,dr,switch_dr:10"; method: "bootstrap" over users
    or "analytic"; comparisons: number of policies compared with the logging one; spread: where
    resamples are made (`ingestion.spread`). The result's `estimates`, `diagnostics`, `verdict`
    and `days` are described in their classes; `evaluation.report.to_json` makes plain values of
    it. Raises `BadInput`, `BadSetting` or `NotEnoughData`.
    """
    if data is not None and columns:
        raise BadInput(f"give a DataFrame or arrays, not both: {', '.join(columns)}")
    frame = _frame(columns) if data is None else data
    if not isinstance(frame, pd.DataFrame):
        raise BadInput(f"data is a {type(frame).__name__}: give a DataFrame, or columns by name")
    if not isinstance(estimators, str | None):
        raise BadSetting(f"estimators is {estimators!r}: give one text, such as 'snips,dr'")
    chosen, named = ((), ()) if estimators is None else divided(estimators)
    how = Intervals(method, seed, replicates, spread)
    sample = sample_of(frame)
    notes = () if "user_id" in frame.columns else (WITHOUT_USERS,)
    found = assess(sample, name, chosen, notes=notes, how=how, comparisons=comparisons)
    if not days and not named:
        return found
    return replace(found, days=evaluated(trajectories_of(frame, sample, discount), named, how))


def _frame(columns: dict[str, Any]) -> pd.DataFrame:
    for name in columns:
        if name not in KNOWN and not name.startswith((FEATURE, TARGET_FEATURE)):
            raise BadInput(f"there is no column {name!r}: use {', '.join(KNOWN)}")
    # asanyarray keeps the mask of a masked array, whose masked values are then missing ones.
    given = {name: np.asanyarray(values) for name, values in columns.items() if values is not None}
    shapes = {name: values.shape for name, values in given.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        raise BadInput(f"every array must have the shape (n,) with one n: they have {shapes}")
    return pd.DataFrame(given)


def of_distributions(
    action: np.ndarray, target: np.ndarray, q: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """The columns of `evaluate` that whole distributions give.

    action: (n,) int64, the logged actions; target: (n, K) float64, the target policy's
    probabilities; q: (n, K) float64, a reward model's expected rewards. Returns target_propensity
    (n,) and, with q, q_logged and v_target (n,): `evaluate(reward=r, propensity=p,
    **of_distributions(a, pi, q))`. Raises `BadInput` for shapes that don't fit, rows that are no
    distribution, or actions that are not among the K.
    """
    action, target = np.asarray(action), np.asarray(target)
    q = None if q is None else np.asarray(q)
    rows = np.arange(len(action))
    for name, values in (("target", target), ("q", q)):
        if values is not None and (values.ndim != 2 or len(values) != len(rows)):
            raise BadInput(f"{name} has shape {values.shape}: give (n, K) with n = {len(rows)}")
    if q is not None and q.shape != target.shape:
        raise BadInput(f"q has shape {q.shape} and target {target.shape}: give one K")
    off = ~((np.abs(target.sum(1) - 1.0) <= 1e-6) & (target >= 0).all(1))
    if off.any():
        row = int(off.argmax())
        raise BadInput(
            "target's probabilities must not be negative and sum to 1: "
            f"row {row}'s sum to {target[row].sum():g}, the least is {target[row].min():g}"
        )
    among = np.isin(action, np.arange(target.shape[1])).all()
    if action.ndim != 1 or action.dtype.kind not in "iu" or not among:
        raise BadInput(f"action must be (n,) whole numbers from 0 to {target.shape[1] - 1}")
    found = {"target_propensity": target[rows, action]}
    if q is not None:
        found |= {"q_logged": q[rows, action], "v_target": (target * q).sum(1)}
    return found
