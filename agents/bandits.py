"""Bandits, learned from logged pushes: they look one step ahead and plan nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from agents.logged import Logged
from agents.ranges import Finite, InRange, Positive, Range
from mdp.actions import decode
from mdp.observation import VARIANT
from policies.bandits import FEATURES, LinearThompson, LinearUCB, sent_features
from policies.baselines import StaticRule
from policies.composition import split_mask
from policies.recovering import RecoveringSoftmax

DRAWS = 256
"""Draws of θ that Thompson sampling decides by: propensities are multiples of 1 / `DRAWS`."""
_RECENT = VARIANT.index("style_recent_sends")


@dataclass(frozen=True)
class LinUCBSettings(InRange):
    """Settings of LinUCB."""

    alpha: Finite = 1.0
    """standard deviations added to the mean; below 0 the bandit is pessimistic"""
    ridge: Positive = 1.0
    """strength of the prior, in pushes of a standardised feature's unit"""


@dataclass(frozen=True)
class ThompsonSettings(InRange):
    """Settings of linear Thompson sampling."""

    ridge: Positive = 1.0
    """strength of the prior, in pushes of a standardised feature's unit"""


@dataclass(frozen=True)
class RecoveringSettings(InRange):
    """Settings of the recovering difference softmax."""

    spread: Annotated[float | None, Range(0, above=True)] = None
    """temperature of the softmax; default: the scores' mean standard error, so that copy is told
    apart as far as the log tells it apart"""


@dataclass(frozen=True)
class _Posterior:
    """θ given the log."""

    center: np.ndarray
    scale: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    @property
    def arrays(self) -> dict[str, Any]:
        """What every linear policy holds of it."""
        return {"center": self.center, "scale": self.scale, "mean": self.mean}


def linucb(data: Logged, settings: LinUCBSettings, seed: int) -> LinearUCB:
    """LinUCB on the log's pushes; nothing is drawn."""
    found = _posterior(data, settings.ridge)
    return LinearUCB(**found.arrays, covariance=found.covariance, alpha=settings.alpha)


def thompson(data: Logged, settings: ThompsonSettings, seed: int) -> LinearThompson:
    """Thompson sampling on the log's pushes, its `DRAWS` draws made here and now."""
    found = _posterior(data, settings.ridge)
    root = np.linalg.cholesky(found.covariance)
    noise = np.random.default_rng([seed, 15]).standard_normal((DRAWS, FEATURES))
    return LinearThompson(**found.arrays, table=found.mean + noise @ root.T)


def _posterior(data: Logged, ridge: float) -> _Posterior:
    """Bayesian ridge regression of the pushes' rewards, over what holds earn on average."""
    rows = np.flatnonzero(data.usable & data.sent)
    x = sent_features(data.some(rows), data.action[rows])
    holds = data.reward[data.usable & ~data.sent]
    reward = data.reward[rows] - (holds.mean() if len(holds) else 0.0)
    center, spread = x.mean(0), x.std(0)
    scale = np.where(spread > 1e-6, spread, 1.0)
    center[0] = 0.0  # the constant
    x = ((x - center) / scale).clip(-8.0, 8.0)
    precision = x.T @ x + ridge * np.eye(FEATURES)
    mean = np.linalg.solve(precision, x.T @ reward)
    noise = float(np.mean((reward - x @ mean) ** 2))
    return _Posterior(center, scale, mean, max(noise, 1e-12) * np.linalg.inv(precision))


def recovering(data: Logged, settings: RecoveringSettings, rule: StaticRule) -> RecoveringSoftmax:
    """The recovering difference softmax on the log's pushes.

    A variant's score is how often pushes with it were clicked minus how often pushes without it
    were where it might have been sent, over the latter. Pushes count by one over their propensity
    where the log knows it, as the paper's do. The penalty is fitted to the same clicks: how much
    lower they are where the style was sent lately.
    """
    rows = np.flatnonzero(data.usable & data.sent)
    seen = data.some(rows)
    K, V = seen["pairs"].shape[1:3]
    _, variant, _ = decode(data.action[rows], K, V)
    there = split_mask(seen["action_mask"], K)[1]
    clicked = data.clicked[rows].astype(np.float64)
    logged = data.propensity[rows]
    weight = np.where(np.isnan(logged), 1.0, 1.0 / np.where(np.isnan(logged), 1.0, logged))
    arms, errors = np.zeros(V), np.zeros(V)
    for arm in range(V):
        mine, other = variant == arm, (variant != arm) & there[:, arm]
        with_it, first = _mean(clicked, weight * mine)
        without, second = _mean(clicked, weight * other)
        if without > 0 and np.isfinite(first + second):
            arms[arm] = (with_it - without) / without
            errors[arm] = np.hypot(first, second) / without
    spread = settings.spread
    if spread is None:
        known = errors[errors > 0]
        spread = float(known.mean()) if len(known) else 1.0
    worn = np.expm1(seen["variants"][np.arange(len(rows)), variant, _RECENT].astype(np.float64))
    return RecoveringSoftmax(
        arms=arms,
        penalty=_penalty(clicked, variant, worn, weight),
        spread=spread,
        hour=rule.hour,
        every_days=rule.every_days,
    )


def _mean(values: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Weighted mean and its standard error; 0 and infinity where nothing weighs."""
    total = weight.sum()
    if total <= 0:
        return 0.0, float("inf")
    mean = float((weight * values).sum() / total)
    return mean, float(np.sqrt((weight**2 * (values - mean) ** 2).sum()) / total)


def _penalty(
    clicked: np.ndarray, variant: np.ndarray, worn: np.ndarray, weight: np.ndarray
) -> float:
    """By how much, relative to the mean, a send of the same style just before lowers clicks; not
    below 0. Least squares within variants."""
    total = np.bincount(variant, weight)

    def within(values: np.ndarray) -> np.ndarray:
        return np.asarray(values - (np.bincount(variant, weight * values) / total)[variant])

    x, y = within(worn), within(clicked)
    mean, variance = np.average(clicked, weights=weight), (weight * x * x).sum()
    if mean <= 0 or variance <= 0:
        return 0.0
    return max(0.0, -float((weight * x * y).sum() / variance / mean))
