"""Hours: when each user is about, from the few visits that a log shows.

A user's hours are a mixture of 24 bumps round the clock, one around each hour, whose weights have a
Dirichlet prior around the average user's weights: expectation-maximisation as for topics (Blei, Ng,
Jordan: Latent Dirichlet Allocation, 2003) with the topics given. The bumps' width and the prior's
strength are those under which visits that were kept apart are likeliest, of some users where there
are many.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from mdp.actions import HOURS
from simulator.fit_visits import evenly

WIDTHS = (0.5, 1.0, 1.5, 2.0, 3.0)
"""Standard deviations of the bumps that are tried, hours."""
STRENGTHS = (2.0, 4.0, 8.0, 16.0)
"""Strengths of the prior that are tried, visits."""
ANY_HOUR = 0.02
"""Share of the visits that come at any hour alike."""
ENOUGH = 50
"""Visits that must be kept apart for a choice; with fewer, the middle of what would be tried."""
APART, ITERATIONS = 5, 60


def fit_hours(users: int, owner: np.ndarray, hour: np.ndarray) -> np.ndarray:
    """Probability of each local hour for a visit (users, 24) float64.

    owner: rows of users (M,) int64. hour: of their visits (M,) int64, each user's in order.
    """
    apart = np.arange(len(owner)) % APART == 0
    width, strength = 1.5, 4.0
    if apart.sum() >= ENOUGH:
        some = evenly(users)
        known = _counts(users, owner[~apart], hour[~apart])[some]
        judged = _counts(users, owner[apart], hour[apart])[some]
        width, strength = max(
            product(WIDTHS, STRENGTHS),
            key=lambda tried: float((judged * np.log(_mixture(known, *tried))).sum()),
        )
    return _mixture(_counts(users, owner, hour), width, strength)


def _counts(users: int, owner: np.ndarray, hour: np.ndarray) -> np.ndarray:
    counts = np.zeros((users, HOURS))
    np.add.at(counts, (owner, hour), 1.0)
    return counts


def _mixture(counts: np.ndarray, width: float, strength: float) -> np.ndarray:
    """Users' hours (U, 24) from counts of visits (U, 24)."""
    apart = np.abs(np.arange(HOURS)[:, None] - np.arange(HOURS))
    bumps = np.exp(-0.5 * (np.minimum(apart, HOURS - apart) / width) ** 2)
    bumps = (1 - ANY_HOUR) * bumps / bumps.sum(1, keepdims=True) + ANY_HOUR / HOURS
    average = np.full(HOURS, 1.0 / HOURS)
    weights = np.tile(average, (len(counts), 1))
    total = counts.sum(1, keepdims=True) + strength
    seen = counts.any(1)
    for _ in range(ITERATIONS if seen.any() else 0):
        share = counts / (weights @ bumps)
        weights = (weights * (share @ bumps.T) + strength * average) / total
        average = weights[seen].mean(0)
    return weights @ bumps
