"""Propensities estimated from a log that did not keep them.

Whether something was sent is a logistic regression on what a policy sees of the user; which place
in the list, which variant and which hour, are choices by fixed weights among those that were
there (Luce 1959, "Individual choice behavior"). Both are fitted on other users' decisions. Such an
estimate is right only where the log's policy looked at nothing else, and no check can show that;
the calibration says at least whether it sends as often as it is said to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.regression import logistic
from evaluation.replayed import Replayed

_FOLDS, _BINS, _ROUNDS = 5, 10, 30
_STRENGTH = 1.0
"""Inverse of the regression's penalty, on standardised features."""
_LEAST = 1e-6
"""Estimated probabilities are at least this."""


@dataclass(frozen=True)
class Calibration:
    """Of the estimated probability of a send, on users that it was not fitted on."""

    predicted: tuple[float, ...]
    """Mean by tenth of the decisions, ascending."""
    observed: tuple[float, ...]
    """Share of those that were sends."""
    largest_gap: float
    gain: float
    """Nats per decision that the whole estimate is better than equal chances for all that was
    allowed."""

    def __str__(self) -> str:
        if min(self.observed) == 1.0:  # regressed on sends alone, a send is always expected
            return (
                "of the decisions that had a list to choose from none held, so whether to send is "
                "not estimated"
            )
        return (
            f"by tenths of the decisions it expects sends {self.predicted[0]:.0%} to "
            f"{self.predicted[-1]:.0%} of the time, and is off by {self.largest_gap:.1%} at most"
        )


@dataclass(frozen=True, eq=False)
class Estimated:
    """Propensities of n decisions."""

    propensity: np.ndarray
    """(n,) float64"""
    calibration: Calibration


def estimated_propensities(
    replay: Replayed, rows: np.ndarray, features: np.ndarray, user: np.ndarray
) -> Estimated:
    """Estimate how probable n decisions by index were.

    features: (n, U) float64, what a policy sees of the user; user: (n,) int64 codes from 0.
    """
    decisions = replay.decisions.only(rows)
    hours = replay.hours[rows]
    lists = (decisions.items >= 0, _present(decisions.variants), hours)
    catalog_variant = np.where(
        decisions.sent, _at(decisions.variants, np.maximum(decisions.v, 0)), -1
    )
    taken = (decisions.k, catalog_variant, np.where(decisions.sent, decisions.h, -1))
    could = np.all([part.any(1) for part in lists], axis=0)
    fold = user % _FOLDS
    send = np.zeros(len(rows))
    chosen = np.ones(len(rows))
    for number in range(_FOLDS):
        own, others = fold == number, fold != number
        send[own] = _sends(features, decisions.sent, others & could, own)
        for present, choice in zip(lists, taken, strict=True):
            chosen[own] *= _chosen(present, choice, others & decisions.sent, own)
    propensity = np.where(decisions.sent, send * chosen, 1.0 - send)
    propensity = np.where(could, np.clip(propensity, _LEAST, 1.0), 1.0)
    return Estimated(propensity, _calibration(propensity, send, decisions.sent, could, lists))


def _present(variants: np.ndarray) -> np.ndarray:
    """Which catalogue variants are in each list (n, C) bool."""
    size = int(variants.max(initial=-1)) + 1
    out = np.zeros((len(variants), size), bool)
    row, slot = np.nonzero(variants >= 0)
    out[row, variants[row, slot]] = True
    return out


def _at(lists: np.ndarray, slots: np.ndarray) -> np.ndarray:
    if not lists.shape[1]:
        return np.full(len(lists), -1)
    return np.take_along_axis(lists, slots[:, None], 1)[:, 0]


def _sends(
    features: np.ndarray, sent: np.ndarray, fitted_on: np.ndarray, own: np.ndarray
) -> np.ndarray:
    """Probability of a send of some rows, by a regression on others."""
    if not fitted_on.any():
        return np.full(own.sum(), 0.5)
    center, scale = features[fitted_on].mean(0), features[fitted_on].std(0)
    keep = scale > 1e-9
    standard = (features[:, keep] - center[keep]) / scale[keep]
    design = np.column_stack([np.ones(len(standard)), np.clip(standard, -5, 5)])
    fitted = logistic(design[fitted_on], sent[fitted_on].astype(float), _STRENGTH)
    return np.asarray(1 / (1 + np.exp(-(design[own] @ fitted))))


def _chosen(
    present: np.ndarray, choice: np.ndarray, fitted_on: np.ndarray, own: np.ndarray
) -> np.ndarray:
    """Probability of some rows' choices among what was there, by weights fitted on others: by
    minorising and maximising (Hunter 2004, "MM algorithms for generalized Bradley-Terry models").
    """
    there = present[fitted_on].astype(np.float64)
    counts = np.bincount(choice[fitted_on], minlength=present.shape[1]) + 0.1
    weights = np.ones(present.shape[1])
    for _ in range(_ROUNDS):
        total = there @ weights
        exposure = there.T @ (1.0 / np.maximum(total, 1e-12)) + 0.1
        weights = counts / exposure
        weights /= weights.mean()
    total = present[own] @ weights
    picked = np.where(choice[own] >= 0, weights[np.maximum(choice[own], 0)], 0.0)
    return picked / np.maximum(total, 1e-12)


def _calibration(
    propensity: np.ndarray,
    send: np.ndarray,
    sent: np.ndarray,
    could: np.ndarray,
    lists: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> Calibration:
    if not could.any():
        return Calibration((0.0,), (0.0,), 0.0, 0.0)
    order = np.argsort(send[could], kind="stable")
    parts = [part for part in np.array_split(order, _BINS) if len(part)]
    predicted = tuple(float(send[could][part].mean()) for part in parts)
    observed = tuple(float(sent[could][part].mean()) for part in parts)
    size = np.prod([part[could].sum(1) for part in lists], axis=0) + 1.0
    gaps = [abs(p - o) for p, o in zip(predicted, observed, strict=True)]
    gain = float((np.log(propensity[could]) + np.log(size)).mean())
    return Calibration(predicted, observed, max(gaps), gain)
