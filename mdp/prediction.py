"""Prediction: what each send that is allowed is expected to bring, from a model's logits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from mdp.exponential import exp32
from mdp.response import HEADS, Terms
from mdp.reward import Reward

PARTS = ("value", "open", "click", "purchase", "dismiss", "unsubscribe")
"""What `predict` says of a pair: one-step reward, probabilities of a send's outcomes, and for
`purchase` the expected margin × value."""

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_LANES = 32
"""Compiled loops take as many numbers together; what is left over would be done one by one."""


@dataclass(frozen=True)
class Prediction:
    """What a send is expected to bring, for N decisions."""

    best_hour: np.ndarray
    """Allowed hour with the highest predicted value for a typical pair (N,) int64; -1 for none."""
    pair: np.ndarray
    """`PARTS` of each item × variant at that hour (N, K, V, 6) float32; 0 where masked."""
    hour: np.ndarray
    """Predicted one-step reward of the best pair at each hour (N, 24) float32; 0 where masked."""


def predict(
    terms: Terms,
    item_reason: np.ndarray,
    variant_reason: np.ndarray,
    hour_reason: np.ndarray,
    margin_value: np.ndarray,
    reward: Reward,
) -> Prediction:
    """Expected one-step rewards of allowed sends.

    The reasons are those of a `Mask`. margin_value: (N, K) float, margin × price of each
    candidate. The best hour is chosen with the mean logits of the allowed items and variants.
    """
    N, K = item_reason.shape
    V = variant_reason.shape[1]
    best_hour = np.full(N, -1, np.int64)
    pair = np.zeros((N, K, V, len(PARTS)), np.float32)
    hour = np.zeros((N, 24), np.float32)
    weights = np.array(
        [reward.purchase, reward.click, reward.dismissal, reward.unsubscribe, reward.send],
        np.float32,
    )
    _predict(
        terms.base,
        _heads_first(terms.item),
        _heads_first(terms.variant),
        _heads_first(terms.hour),
        terms.cloglog,
        item_reason,
        variant_reason,
        hour_reason,
        margin_value.astype(np.float32),
        weights,
        best_hour,
        pair.reshape(N, K * V * len(PARTS)),
        hour,
    )
    return Prediction(best_hour, pair, hour)


def _heads_first(terms: np.ndarray) -> np.ndarray:
    """Terms (N, M, H) as contiguous (N, H, M) float32, which is how `BoundModel` lays them out."""
    return np.ascontiguousarray(terms.transpose(0, 2, 1), np.float32)


@njit(cache=True, error_model="numpy")
def _chains(odds: Any, cloglog: Any, margin_value: Any, weights: Any, value: Any) -> None:
    """Values (M,) of M sends from the exponentials of their heads' sums (5, M), which become
    the other `PARTS`. margin_value: (M,)."""
    for h in range(odds.shape[0]):
        if cloglog[h]:
            for m in range(value.size):
                odds[h, m] = -math.expm1(-odds[h, m])
        else:
            for m in range(value.size):
                odds[h, m] = odds[h, m] / (_ONE + odds[h, m])
    of_purchase, of_click, of_dismissal, of_unsubscribe, of_send = (
        weights[0],
        weights[1],
        weights[2],
        weights[3],
        weights[4],
    )
    for m in range(value.size):
        opened = odds[0, m]
        clicked = odds[1, m] * opened
        bought = odds[2, m] * clicked * margin_value[m]
        dismissed = odds[3, m] * (_ONE - opened)
        odds[1, m], odds[2, m], odds[3, m] = clicked, bought, dismissed
        value[m] = (
            of_purchase * bought
            + of_click * clicked
            + of_dismissal * dismissed
            + of_unsubscribe * odds[4, m]
            + of_send
        )


@njit(cache=True)
def chain(logits: Any, cloglog: Any, margin_value: Any, weights: Any, out: Any) -> None:
    """`PARTS` (6,) of one send from the sums of its heads' terms (5,) and links (5,) bool."""
    odds, worth = np.empty((logits.size, 1), np.float32), np.empty(1, np.float32)
    for h in range(logits.size):
        odds[h, 0] = exp32(np.float32(logits[h]))
    worth[0] = margin_value
    _chains(odds, cloglog, worth, weights.astype(np.float32), out[:1])
    for h in range(logits.size):
        out[1 + h] = odds[h, 0]


@njit(cache=True)
def _predict(
    base: Any,
    item: Any,
    variant: Any,
    by_hour: Any,
    cloglog: Any,
    item_reason: Any,
    variant_reason: Any,
    hour_reason: Any,
    margin_value: Any,
    weights: Any,
    best_hour: Any,
    pair: Any,
    hour_value: Any,
) -> None:
    N, K, V, H = item.shape[0], item.shape[2], variant.shape[2], len(HEADS)
    # exp(a + b) = exp(a) exp(b): terms are exponentiated, pairs only multiplied.
    flat_variant, flat_hour = variant.reshape((N, H * V)), by_hour.reshape((N, H * 24))
    of_variant, of_hour = np.empty(H * V, np.float32), np.empty(H * 24, np.float32)
    of_item, hours = np.empty(H * K, np.float32), np.zeros((H, _LANES), np.float32)
    hourly, hour_worth = np.empty(_LANES, np.float32), np.empty(_LANES, np.float32)
    most = -(-K * V // _LANES) * _LANES
    pairs, worths = np.zeros((H, most), np.float32), np.zeros(most, np.float32)
    values = np.empty(most, np.float32)
    for n in range(N):
        items, variants, worth = 0, 0, np.float32(0.0)
        for k in range(K):
            if item_reason[n, k] == 0:
                items += 1
                worth += margin_value[n, k]
        for v in range(V):
            variants += variant_reason[n, v] == 0
        if items == 0 or variants == 0:
            continue
        for i in range(H * 24):
            of_hour[i] = exp32(flat_hour[n, i])
        for i in range(H * V):
            of_variant[i] = exp32(flat_variant[n, i])
        for h in range(H):
            total = np.float32(0.0)
            for k in range(K):
                total += item[n, h, k] if item_reason[n, k] == 0 else _ZERO
            mean = base[n, h] + total / items
            total = np.float32(0.0)
            for v in range(V):
                total += variant[n, h, v] if variant_reason[n, v] == 0 else _ZERO
            typical = exp32(np.float32(mean + total / variants))
            for hour in range(24):
                hours[h, hour] = typical * of_hour[24 * h + hour]
        hour_worth[:] = worth / items
        _chains(hours, cloglog, hour_worth, weights, hourly)
        chosen, best = -1, np.float32(-np.inf)
        for hour in range(24):
            if hour_reason[n, hour] == 0 and hourly[hour] > best:
                best, chosen = hourly[hour], hour
        if chosen < 0:
            continue
        best_hour[n] = chosen
        for h in range(H):
            for k in range(K):
                of_item[h * K + k] = base[n, h] + by_hour[n, h, chosen] + item[n, h, k]
        for i in range(H * K):
            of_item[i] = exp32(of_item[i])
        m = 0
        for k in range(K):
            if item_reason[n, k] == 0:
                for v in range(V):
                    worths[m] = margin_value[n, k]
                    for h in range(H):
                        pairs[h, m] = of_item[h * K + k] * of_variant[h * V + v]
                    m += 1
        _chains(pairs, cloglog, worths, weights, values)
        m, top_k, top_v, most_value = 0, -1, -1, np.float32(-np.inf)
        for k in range(K):
            if item_reason[n, k] != 0:
                continue
            for v in range(V):
                if variant_reason[n, v] == 0:
                    place = (k * V + v) * (1 + H)
                    pair[n, place] = values[m]
                    for h in range(H):
                        pair[n, place + 1 + h] = pairs[h, m]
                    if values[m] > most_value:
                        most_value, top_k, top_v = values[m], k, v
                m += 1
        hour_worth[:] = margin_value[n, top_k]
        for h in range(H):
            top = exp32(base[n, h] + item[n, h, top_k] + variant[n, h, top_v])
            for hour in range(24):
                hours[h, hour] = top * of_hour[24 * h + hour]
        _chains(hours, cloglog, hour_worth, weights, hourly)
        for hour in range(24):
            if hour_reason[n, hour] == 0:
                hour_value[n, hour] = hourly[hour]


def outcomes_of(
    terms: Terms, item: np.ndarray, variant: np.ndarray, hour: np.ndarray
) -> np.ndarray:
    """Conditional probabilities (N, 5) float64 of the heads for chosen slots and hours (N,).

    Rows of holds (item < 0) are 0.
    """
    out = np.zeros((len(item), len(HEADS)))
    _outcomes(
        terms.base, terms.item, terms.variant, terms.hour, terms.cloglog, item, variant, hour, out
    )
    return out


@njit(cache=True)
def _outcomes(
    base: Any,
    items: Any,
    variants: Any,
    hours: Any,
    cloglog: Any,
    item: Any,
    variant: Any,
    hour: Any,
    out: Any,
) -> None:
    for n in range(out.shape[0]):
        if item[n] < 0:
            continue
        for h in range(out.shape[1]):
            logit = np.float64(base[n, h]) + np.float64(items[n, item[n], h])
            logit += np.float64(variants[n, variant[n], h])
            logit += np.float64(hours[n, hour[n], h])
            odds = math.exp(min(max(logit, -150.0), 150.0))
            out[n, h] = -math.expm1(-odds) if cloglog[h] else odds / (1.0 + odds)
