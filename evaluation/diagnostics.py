"""Diagnostics: whether a log can carry an estimate at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from evaluation.intervals import Interval
from evaluation.overlap import Level
from evaluation.tally import PROPENSITY_EDGES, Tally

HEAVIEST = 0.01
"""Share of the users that counts as the heaviest."""


@dataclass(frozen=True)
class Coverage:
    """What only a log, and no plain table, can say of the target; shares between 0 and 1."""

    untried: float
    """Mean probability with which the target sends what the log never tried: an item, variant or
    hour that no logged send has."""
    executed: float
    """Share of logged sends that went out as decided: not failed, moved or cancelled."""
    unlisted: float = 0.0
    """Share of the drawn decisions that had to be left out: sends of an item or a variant that is
    not on their own list."""
    silent: float = 0.0
    """Share of logged sends before the first response to any or after the last, where chance does
    not explain it: their outcomes are missing."""
    holdout: HoldoutRatio | None = None
    """Whether the holdout is as large as it should be; None without one."""


@dataclass(frozen=True)
class HoldoutRatio:
    """The check of a holdout's size: its share of the users against the one that was set."""

    users: int
    """in the holdout"""
    share: float
    """of all users with decisions"""
    expected: float
    """as `log.json` says that it was set"""
    p_value: float
    """how likely a share so far off is by chance; below 0.001 something decides who is held out"""


@dataclass(frozen=True)
class Diagnostics:
    """Of n rows and U users."""

    rows: int
    users: int
    mean_weight: Interval
    """1 where the propensities are right and the log has support; 99 % interval."""
    max_weight: float
    effective_sample_size: float
    """(Σ w)² / Σ w²: rows that would say as much if all weighed alike. Kish (1965), "Survey
    sampling"."""
    effective_share: float
    """Of the rows."""
    effective_users: float
    """(Σ |φ|)² / Σ φ² over users, φ being a user's pull on the difference to the logged value:
    how many users that difference rests on."""
    heaviest_users: float
    """Share of all weight that the heaviest 1 % of the users hold (at least one user)."""
    zero_target: float
    """Share of rows whose action the target never takes."""
    certain: float = 0.0
    """Share of rows with a propensity of 1 that the target is not as sure of: nothing was left to
    chance, or 1 was filled in. A hold that guardrails force is sure under both."""
    constant_reward: float | None = None
    """The reward, where all rows have the same."""
    model_gap: Interval | None = None
    """Mean of v - w q, 0 where v is q's mean under the target and the weights are right: only then
    may v stand in for what w q says. 99 % interval; None without predictions."""
    reward_drift: Interval | None = None
    """Mean reward of the log's second half less the first's; 99 % interval."""
    weight_drift: Interval | None = None
    """Mean weight of the log's second half less the first's; 99 % interval."""
    propensities: Mapping[str, int] = field(default_factory=dict)
    """Rows by propensity: those up to each number, and above the one before."""
    overlap: Mapping[str, tuple[Level, ...]] = field(default_factory=dict)
    """By feature (item, variant, hour)."""
    coverage: Coverage | None = None
    """None for a plain table."""


def effective_size(weights: np.ndarray) -> float:
    """(Σ w)² / Σ w² of weights (n,) that are not negative; 0 where all are 0."""
    top = weights.max(initial=0.0)
    if top == 0:
        return 0.0
    scaled = weights / top
    return float(scaled.sum() ** 2 / (scaled**2).sum())


def heaviest_share(held: np.ndarray) -> float:
    """Share of all weight that the heaviest 1 % of the users hold; held: (U,) float64."""
    if not held.any():
        return 0.0
    heaviest = max(1, round(HEAVIEST * len(held)))
    return float(np.partition(held, -heaviest)[-heaviest:].sum() / held.sum())


def histogram(tally: Tally) -> dict[str, int]:
    """Rows by the upper edge of their propensity's bin, without empty bins."""
    return {
        f"{edge:.2g}": int(count)
        for edge, count in zip(PROPENSITY_EDGES[1:], tally.propensities, strict=True)
        if count
    }
