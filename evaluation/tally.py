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
    reward: float
    """Σ r"""
    reward_squares: float
    """Σ r²"""
    miss_squares: float
    """Σ (r - q)²; NaN without predictions"""
    weights: np.ndarray
    """Rows by weight above 0, (len(WEIGHT_EDGES) - 1,) int64"""
    propensities: np.ndarray
    """Rows by propensity, (len(PROPENSITY_EDGES) - 1,) int64"""

    @property
    def effective_size(self) -> float:
        """(Σ w)² / Σ w²: rows that would say as much if all weighed alike. Kish (1965), "Survey
        sampling"."""
        return self.weight**2 / self.squares if self.squares > 0 else 0.0

    def noise(self, with_model: bool) -> float:
        """Standard error of a difference to the logged mean, were rewards as noisy on rows of
        large weight as on others: √(Σ (w - 1)² s²) / n, s being the rewards' spread, or what is
        left of it by the model."""
        away = max(self.squares - 2 * self.weight + self.rows, 0.0)
        spread = self.miss_squares if with_model else self.reward_squares
        if not with_model:
            spread -= self.reward * (self.reward / self.rows)
        return float(np.sqrt(away / self.rows) * np.sqrt(max(spread, 0.0) / self.rows**2))

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
            reward=self.reward + other.reward,
            reward_squares=self.reward_squares + other.reward_squares,
            miss_squares=self.miss_squares + other.miss_squares,
            weights=self.weights + other.weights,
            propensities=self.propensities + other.propensities,
        )


def tally(sample: Sample) -> Tally:
    """Count a sample."""
    weights = sample.weights
    missed = np.full(1, np.nan) if sample.q_logged is None else sample.reward - sample.q_logged
    return Tally(
        rows=len(weights),
        weight=float(weights.sum()),
        squares=float(weights @ weights),
        max_weight=float(weights.max()),
        zeros=int((weights == 0).sum()),
        certain=int(((sample.propensity >= 1.0) & (weights < 1.0 - _ROUNDING)).sum()),
        least_reward=float(sample.reward.min()),
        largest_reward=float(sample.reward.max()),
        reward=float(sample.reward.sum()),
        reward_squares=float(sample.reward @ sample.reward),
        miss_squares=float(missed @ missed),
        weights=_histogram(weights, WEIGHT_EDGES),
        propensities=_histogram(sample.propensity, PROPENSITY_EDGES),
    )


def _histogram(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Values above 0 by bin; each bin holds its upper edge."""
    place = np.searchsorted(edges, values, side="left") - 1
    return np.bincount(np.minimum(place[place >= 0], len(edges) - 2), minlength=len(edges) - 1)
