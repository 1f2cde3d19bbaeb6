"""Diagnostics: whether a log can carry an estimate at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.intervals import Interval
from evaluation.sample import Sample

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
    model_gap: Interval | None = None
    """Mean of v - w q, 0 where v is q's mean under the target and the weights are right: only then
    may v stand in for what w q says. 99 % interval; None without predictions."""
    coverage: Coverage | None = None
    """None for a plain table."""


def diagnose(
    sample: Sample,
    mean_weight: Interval,
    pull: np.ndarray,
    model_gap: Interval | None = None,
    coverage: Coverage | None = None,
) -> Diagnostics:
    """Diagnostics of a sample. pull: (n,) float64, each row's pull on the difference."""
    weights = sample.weights
    rows, users = len(weights), sample.users
    size = effective_size(weights)
    held = np.sort(np.bincount(sample.user, weights=weights))[::-1]
    heaviest = max(1, round(HEAVIEST * users))
    pulls = np.abs(np.bincount(sample.user, weights=pull))
    return Diagnostics(
        rows=rows,
        users=users,
        mean_weight=mean_weight,
        max_weight=float(weights.max()),
        effective_sample_size=size,
        effective_share=size / rows,
        effective_users=effective_size(pulls) if pulls.any() else float(users),
        heaviest_users=float(held[:heaviest].sum() / held.sum()) if held.any() else 0.0,
        zero_target=float((sample.target_propensity == 0).mean()),
        model_gap=model_gap,
        coverage=coverage,
    )


def effective_size(weights: np.ndarray) -> float:
    """(Σ w)² / Σ w² of weights (n,) that are not negative; 0 where all are 0."""
    top = weights.max(initial=0.0)
    if top == 0:
        return 0.0
    scaled = weights / top
    return float(scaled.sum() ** 2 / (scaled**2).sum())


def pull_of(sample: Sample, top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Each row's pull (n,) float64 on a ratio estimate less the logged mean: its influence
    function, up to 1/n."""
    total = bottom.sum()
    if total == 0:
        return np.zeros(len(top))
    own = (top - top.sum() / total * bottom) * len(bottom) / total
    return own - (sample.reward - sample.reward.mean())
