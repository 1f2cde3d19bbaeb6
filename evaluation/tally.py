"""What is counted of rows beside the estimators' sums; counts of batches add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.sample import Sample

WEIGHT_EDGES = np.concatenate([[0.0], np.geomspace(1e-3, 1e4, 71), [np.inf]])
"""Of the histogram of weights above 0: ten bins a decade."""
_ROUNDING = 1e-9
PROPENSITY_EDGES = np.concatenate([[0.0], np.geomspace(1e-5, 1.0, 26)])
"""Of the histogram of propensities: five bins a decade."""


@dataclass(frozen=True, eq=False)
class Tally:
    """Of n rows."""

    rows: int
    weight: float
    """Σ w"""
    squares: float
    """Σ w²"""
    max_weight: float
    zeros: int
    """rows that the target would never take"""
    certain: int
    """rows with a propensity of 1 that the target is not as sure of"""
    least_reward: float
    largest_reward: float
    weights: np.ndarray
    """Rows by weight above 0, (len(WEIGHT_EDGES) - 1,) int64"""
    propensities: np.ndarray
    """Rows by propensity, (len(PROPENSITY_EDGES) - 1,) int64"""

    @property
    def effective_size(self) -> float:
        """(Σ w)² / Σ w²: rows that would say as much if all weighed alike. Kish (1965), "Survey
        sampling"."""
        return self.weight**2 / self.squares if self.squares > 0 else 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            rows=self.rows + other.rows,
            weight=self.weight + other.weight,
            squares=self.squares + other.squares,
            max_weight=max(self.max_weight, other.max_weight),
            zeros=self.zeros + other.zeros,
            certain=self.certain + other.certain,
            least_reward=min(self.least_reward, other.least_reward),
            largest_reward=max(self.largest_reward, other.largest_reward),
            weights=self.weights + other.weights,
            propensities=self.propensities + other.propensities,
        )


def tally(sample: Sample) -> Tally:
    """Count a sample."""
    weights = sample.weights
    return Tally(
        rows=len(weights),
        weight=float(weights.sum()),
        squares=float(weights @ weights),
        max_weight=float(weights.max()),
        zeros=int((weights == 0).sum()),
        certain=int(((sample.propensity >= 1.0) & (weights < 1.0 - _ROUNDING)).sum()),
        least_reward=float(sample.reward.min()),
        largest_reward=float(sample.reward.max()),
        weights=_histogram(weights, WEIGHT_EDGES),
        propensities=_histogram(sample.propensity, PROPENSITY_EDGES),
    )


def _histogram(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Values above 0 by bin; each bin holds its upper edge."""
    place = np.searchsorted(edges, values, side="left") - 1
    return np.bincount(np.minimum(place[place >= 0], len(edges) - 2), minlength=len(edges) - 1)
