"""Recency: how much of the past sends, styles and purchases still weighs on a user."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdp.clock import DAY, NEVER
from mdp.compiled import njit
from mdp.exponential import exp32
from mdp.hashing import STYLE_BUCKETS
from mdp.state import KNOWN, RELEASED, RING, SENT

_NONE, _ZERO = np.uint64(0), np.float32(0.0)
_BITS = np.uint64(1023)
"""The last bits of a hash, by which most of what is remembered is told from the candidates."""


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
    recency_all(
        states,
        at,
        items,
        variants,
        item_hash,
        bucket,
        rates_of(half_lives),
        recency_scratch(K),
        out.fatigue,
        out.repetition,
        out.wear,
        out.bought,
        out.views,
    )
    return out


def rates_of(half_lives: np.ndarray) -> np.ndarray:
    """Rates (4,) float32, negative, a microsecond, at which half-lives (4,) in days decay."""
    return (-math.log(2.0) / (half_lives.astype(np.float64) * DAY)).astype(np.float32)


def recency_at(recency: Recency, rows: np.ndarray, k: np.ndarray, v: np.ndarray) -> Recency:
    """That of the decisions `rows` (M,) with their k-th candidate and v-th variant (M,) alone."""
    return Recency(
        fatigue=recency.fatigue[rows],
        repetition=recency.repetition[rows, k][:, None],
        wear=recency.wear[rows, v][:, None],
        bought=recency.bought[rows, k][:, None],
        views=recency.views[rows, k][:, None],
    )


@njit(cache=True)
def recency_scratch(K: Any) -> Any:
    """Arrays that `recency_all` works in."""
    sends = np.empty(RING, np.uint64), np.empty(RING, np.int8)
    fading = np.empty(RING, np.float32), np.empty(RING, np.float32), np.empty(RING, np.float32)
    return (
        sends,
        np.zeros(RING, np.float32),
        fading,
        np.empty(K, np.uint64),
        np.zeros(1 + int(_BITS), np.bool_),
        np.empty(STYLE_BUCKETS, np.float32),
    )


@njit(cache=True)
def recency_all(
    states: Any,
    at: Any,
    items: Any,
    variants: Any,
    item_hash: Any,
    bucket: Any,
    rates: Any,
    scratch: Any,
    fatigue: Any,
    repetition: Any,
    wear: Any,
    bought: Any,
    views: Any,
) -> None:
    """Fills the arrays of a `Recency`; rates: (4,) from `rates_of`."""
    K = items.shape[1]
    (sent, styles), ages, (tiring, wearing, repeating), hashes, wanted, by_style = scratch
    for n in range(states.size):
        state = states[n]
        fatigue[n], repetition[n], wear[n], bought[n], views[n] = 0.0, 0.0, 0.0, 0.0, 0.0
        # Most of what is remembered is of no candidate, as some bits of its hash already say.
        for k in range(K):
            hashes[k] = item_hash[items[n, k]] if items[n, k] >= 0 else _NONE
            wanted[hashes[k] & _BITS] = True
        count, tired = 0, _ZERO
        for slot in range(RING):
            send = state.ring[slot]
            if send.status >= SENT and send.status != RELEASED:
                ages[count] = float(at[n] - send.send_at)
                styles[count], sent[count] = send.style, send.item
                count += 1
        if count:
            # A loop of a fixed length runs on several at once.
            for i in range(RING):
                tiring[i] = exp32(ages[i] * rates[0])
            for i in range(RING):
                wearing[i] = exp32(ages[i] * rates[1])
            for i in range(RING):
                repeating[i] = exp32(ages[i] * rates[2])
            by_style[:] = 0.0
            for i in range(count):
                tired += tiring[i]
                if styles[i] >= 0:
                    by_style[styles[i]] += wearing[i]
            fatigue[n] = tired
            for v in range(variants.shape[1]):
                if variants[n, v] >= 0:
                    wear[n, v] = by_style[bucket[variants[n, v]]]
            for i in range(count):
                if wanted[sent[i] & _BITS]:
                    for k in range(K):
                        if hashes[k] == sent[i]:
                            repetition[n, k] += repeating[i]
        for slot in range(KNOWN):
            item = state.known[slot].item
            if item == _NONE or not wanted[item & _BITS]:
                continue
            known = state.known[slot]
            for k in range(K):
                if hashes[k] == item:
                    views[n, k] = math.log1p(known.views)
                    if known.bought_at != NEVER:
                        age = float(at[n] - known.bought_at)
                        bought[n, k] = exp32(np.float32(age * rates[3]))

        for k in range(K):
            wanted[hashes[k] & _BITS] = False
