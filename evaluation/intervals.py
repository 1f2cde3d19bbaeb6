"""Intervals by bootstrap over users: a user's rows are resampled together, because they are alike.

One set of replicates serves every estimator, so that differences between them, and to the logging
policy, are paired: what moves both alike cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.estimators import Terms

REPLICATES = 1000
LEVEL = 0.95
_CELLS = 4_000_000
"""Counts drawn at a time: 32 MB."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; NaN where there is nothing to divide by."""

    value: float
    low: float
    high: float

    def excludes(self, number: float) -> bool:
        """Whether a number lies outside; never for an interval that is not known."""
        return number < self.low or number > self.high


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Estimates of E ratios and their R replicates."""

    value: np.ndarray
    """(E,) float64"""
    replicates: np.ndarray
    """(R, E) float64"""

    def interval(self, which: int, less: int | None = None, level: float = LEVEL) -> Interval:
        """Percentile interval of a ratio, or of its difference to another one."""
        value, replicates = self.value[which], self.replicates[:, which]
        if less is not None:
            value, replicates = value - self.value[less], replicates - self.replicates[:, less]
        known = replicates[np.isfinite(replicates)]
        if not np.isfinite(value) or not len(known):
            return Interval(float("nan"), float("nan"), float("nan"))
        low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
        return Interval(float(value), float(low), float(high))


def bootstrap(
    terms: Sequence[Terms], user: np.ndarray, seed: int, replicates: int = REPLICATES
) -> Bootstrap:
    """Resample users with replacement, `replicates` times.

    terms: E pairs of (n,) numerators and denominators; user: (n,) int64 codes from 0. Multinomial
    counts of users: Efron & Tibshirani (1993), "An introduction to the bootstrap", chapter 8.
    """
    tops = np.stack([np.bincount(user, weights=top) for top, _ in terms], 1)
    bottoms = np.stack([np.bincount(user, weights=bottom) for _, bottom in terms], 1)
    U = len(tops)
    rng = np.random.default_rng(seed)
    drawn = []
    for start in range(0, replicates, size := max(1, _CELLS // U)):
        rows = min(size, replicates - start)
        counts = rng.multinomial(U, np.full(U, 1.0 / U), size=rows).astype(np.float64)
        drawn.append(_ratio(counts @ tops, counts @ bottoms))
    return Bootstrap(_ratio(tops.sum(0), bottoms.sum(0)), np.concatenate(drawn))


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)
