"""Recency: how much of the past sends, styles and purchases still weighs on a user."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from mdp.clock import DAY, NEVER
from mdp.state import KNOWN, RELEASED, RING, SENT


@dataclass(frozen=True)
class Recency:
    """How much of the past still weighs, for N decisions with K candidates and V variants.

    Sums of 2^(-age / half-life) over the sends or items that History remembers.
    """

    fatigue: np.ndarray
    """Sends (N,) float32."""
    repetition: np.ndarray
    """Sends of the same item (N, K) float32."""
    wear: np.ndarray
    """Sends of the same style (N, V) float32."""
    bought: np.ndarray
    """Purchases of the same item (N, K) float32, at most 1."""
    views: np.ndarray
    """log(1 + times that the user met the item on their own) (N, K) float32."""


def recency_of(
    states: np.ndarray,
    at: np.ndarray,
    items: np.ndarray,
    variants: np.ndarray,
    item_hash: np.ndarray,
    bucket: np.ndarray,
    half_lives: np.ndarray,
) -> Recency:
    """`Recency` of N decisions at instants `at` (N,), from the rings in `states` (N,) `HISTORY`.

    items: (N, K) and variants: (N, V) rows into item_hash (I,) and bucket (W,). half_lives: (4,)
    days, for fatigue, wear, repetition and bought.
    """
    N, K, V = len(states), items.shape[1], variants.shape[1]
    out = Recency(
        fatigue=np.zeros(N, np.float32),
        repetition=np.zeros((N, K), np.float32),
        wear=np.zeros((N, V), np.float32),
        bought=np.zeros((N, K), np.float32),
        views=np.zeros((N, K), np.float32),
    )
    _recency(
        states,
        at,
        items,
        variants,
        item_hash,
        bucket,
        half_lives.astype(np.float64) * DAY,
        out.fatigue,
        out.repetition,
        out.wear,
        out.bought,
        out.views,
    )
    return out


@njit(cache=True)
def _recency(
    states: Any,
    at: Any,
    items: Any,
    variants: Any,
    item_hash: Any,
    bucket: Any,
    half_lives: Any,
    fatigue: Any,
    repetition: Any,
    wear: Any,
    bought: Any,
    views: Any,
) -> None:
    for n in range(states.size):
        state = states[n]
        for slot in range(RING):
            send = state.ring[slot]
            if send.status < SENT or send.status == RELEASED:
                continue
            age = float(at[n] - send.send_at)
            fatigue[n] += math.exp2(-age / half_lives[0])
            for v in range(variants.shape[1]):
                if variants[n, v] >= 0 and bucket[variants[n, v]] == send.style:
                    wear[n, v] += math.exp2(-age / half_lives[1])
            for k in range(items.shape[1]):
                if items[n, k] >= 0 and item_hash[items[n, k]] == send.item:
                    repetition[n, k] += math.exp2(-age / half_lives[2])
        for slot in range(KNOWN):
            known = state.known[slot]
            if known.item == 0:
                continue
            for k in range(items.shape[1]):
                if items[n, k] >= 0 and item_hash[items[n, k]] == known.item:
                    views[n, k] = math.log1p(known.views)
                    if known.bought_at != NEVER:
                        bought[n, k] = math.exp2(-float(at[n] - known.bought_at) / half_lives[3])
