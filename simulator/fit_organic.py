"""Organic behaviour from what users did: habits, and the items that each is likely to meet."""

from __future__ import annotations

import numpy as np

from simulator.fit_tastes import Counts, Tastes, fit_concentration
from simulator.habits import SATED_FOR, Habits
from simulator.organic import Organic

OWN_ITEMS = 32
"""Items of a user's own list."""


def organic_of(habits: Habits, tastes: Tastes, met: Counts) -> Organic:
    """Habits with a list of each user's likeliest items; what was met counts beside the taste.

    What users meet is Dirichlet-multinomial about their tastes. What lies beyond the lists is
    drawn from the mean of all users there, so that together they are as likely as they were.
    """
    users, items = met.shape
    size = fit_concentration(met, _preferred(tastes, met))
    length = min(OWN_ITEMS, items)
    own, weight = np.zeros((users, length), np.int32), np.zeros((users, length))
    often = habits.visits.sessions * habits.ends.sum(1) / habits.ends[:, 0]
    popularity = np.full(items, 1e-9)
    for rows in met.blocks():
        score = tastes.preference(rows).astype(np.float64) * size + met.dense(rows)
        score /= score.sum(1, keepdims=True)
        own[rows] = np.argsort(-score, axis=1, kind="stable")[:, :length]
        weight[rows] = np.take_along_axis(score, own[rows], 1)
        np.put_along_axis(score, own[rows], 0.0, 1)
        popularity += often[rows] @ score
    single = {
        name: getattr(habits, name).astype(np.float32)
        for name in ("weekday", "hours", "ends", "buy", "spend")
    }
    visits = habits.visits
    return Organic(
        **single,
        **{
            name: getattr(visits, name).astype(np.float32)
            for name in ("sessions", "shape", "alive", "staying")
        },
        leaving=visits.leaving,
        touches=(habits.ends.sum(1) / habits.ends[:, 0]).astype(np.float32),
        own=weight.sum(1).clip(max=1.0).astype(np.float32),
        own_items=own,
        own_weight=(weight / weight.sum(1, keepdims=True)).astype(np.float32),
        popularity=(popularity / popularity.sum()).astype(np.float32),
        view=habits.view,
        cart=habits.cart,
        satiation=habits.satiation,
        satiation_days=SATED_FOR,
    )


def _preferred(tastes: Tastes, met: Counts) -> np.ndarray:
    """Probability (n,) float32 of what was met, by taste alone."""
    parts = []
    for rows in met.blocks():
        pairs = met.of_pairs(rows)
        parts.append(tastes.preference(rows)[met.user[pairs] - rows.start, met.item[pairs]])
    return np.concatenate(parts)
