"""What off-policy evaluation needs of a log: rewards, propensities and who the rows belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from evaluation.marginal import cell_weights
from mdp.errors import BadInput, NotEnoughData


@dataclass(frozen=True, eq=False)
class Labels:
    """A name for each row: an item, a variant, a segment."""

    codes: np.ndarray
    """Place of each row's name (n,) int64"""
    names: tuple[str, ...]
    """(L,), the most frequent first"""


def joint(features: Iterable[Labels]) -> np.ndarray:
    """One code (n,) int64 for all features of a row together."""
    code = np.zeros(1, np.int64)
    for each in features:
        code = code * len(each.names) + each.codes
    return np.unique(code, return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True, eq=False)
class Measure:
    """Something else than the reward that a report shows: a count, or a rate of two counts."""

    top: np.ndarray
    """(n,) float64"""
    bottom: np.ndarray | None = None
    """(n,) float64; None: per decision"""


@dataclass(frozen=True, eq=False)
class Sample:
    """n logged decisions of U users. Raises `BadInput` or `NotEnoughData` for impossible values."""

    reward: np.ndarray
    """What followed each decision (n,) float64."""
    propensity: np.ndarray
    """Probability with which the logging policy took the logged action (n,) float64, in (0, 1]."""
    target_propensity: np.ndarray
    """Probability with which the target policy takes it (n,) float64, in [0, 1]."""
    user: np.ndarray
    """Code of each row's user (n,) int64, 0 … U - 1."""
    q_logged: np.ndarray | None = None
    """A model's expected reward of the logged action (n,) float64."""
    v_target: np.ndarray | None = None
    """The same model's expected reward under the target policy (n,) float64: Σ π(a) q(a)."""
    marginal_weight: np.ndarray | None = None
    """Target over logging probability of the action's features (n,) float64, not negative; None:
    that of `features`, from the rows."""
    late: np.ndarray | None = None
    """Whether a row is of the log's second half (n,) bool; None: the second half of the rows."""
    per_day: float | None = None
    """Decisions a day, where times are known."""
    features: Mapping[str, Labels] = field(default_factory=dict)
    """What the actions were by feature (item, variant, hour), to see where weights come from."""
    segments: Mapping[str, Labels] = field(default_factory=dict)
    """Parts of the users to report by."""
    measures: Mapping[str, Measure] = field(default_factory=dict)
    """What else to report: opens, clicks, revenue."""

    def __post_init__(self) -> None:
        if not len(self.reward):
            raise NotEnoughData("there are no rows to evaluate on")
        for name, rule in _RULES.items():
            values = getattr(self, name)
            if values is None:
                continue
            if len(values) != len(self.reward):
                raise BadInput(f"{name} has {len(values)} rows and reward {len(self.reward)}")
            checked(name, values, rule)

    @cached_property
    def weights(self) -> np.ndarray:
        """Importance weights (n,) float64: target propensity over logged propensity."""
        return self.target_propensity / self.propensity

    @cached_property
    def marginal(self) -> np.ndarray | None:
        """Weights (n,) float64 of the actions' features; None where the rows have none."""
        if self.marginal_weight is not None or not self.features:
            return self.marginal_weight
        return cell_weights(self.weights, joint(self.features.values()))

    @cached_property
    def users(self) -> int:
        """Number of users U."""
        return int(self.user.max()) + 1

    @property
    def has_model(self) -> bool:
        """Whether there are predictions for the estimators that need a reward model."""
        return self.q_logged is not None and self.v_target is not None


_ROUNDING = 1e-9
HUGE = 1e100
"""A weighted reward, and its square over all rows, stays a number up to here."""
_Rule = tuple[str, Callable[[np.ndarray], np.ndarray]]
_FINITE: _Rule = (f"a finite number, {HUGE:g} at most either way", lambda x: np.abs(x) <= HUGE)


def checked(name: str, values: np.ndarray, rule: _Rule = _FINITE) -> np.ndarray:
    """The values (n,); raises `BadInput`, naming rows, where they break a rule."""
    said, holds = rule
    wrong = np.flatnonzero(~holds(values))
    if len(wrong):
        where = ", ".join(str(row) for row in wrong[:5])
        first = values[wrong[0]]
        held = "missing" if np.isnan(first) else f"{first:g}"
        raise BadInput(
            f"{name} must be {said}: {len(wrong)} of {len(values)} rows are not, the first is "
            f"{held} (rows {where}, counted from 0)"
        )
    return values


_RULES: dict[str, _Rule] = {
    "reward": _FINITE,
    "propensity": (
        f"above 0 (at least {1 / HUGE:g}) and at most 1",
        lambda p: (p >= 1 / HUGE) & (p <= 1 + _ROUNDING),
    ),
    "target_propensity": ("from 0 to 1", lambda p: (p >= 0) & (p <= 1 + _ROUNDING)),
    "q_logged": _FINITE,
    "v_target": _FINITE,
    "marginal_weight": ("a finite number, not negative", lambda w: (w >= 0) & (w <= HUGE)),
}
