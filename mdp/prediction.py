"""Prediction: what each send that is allowed is expected to bring, from a model's logits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from mdp.response import HEADS, Terms
from mdp.reward import Reward

PARTS = ("value", "open", "click", "purchase", "dismiss", "unsubscribe")
"""What `predict` says of a pair: one-step reward, probabilities of a send's outcomes, and for
`purchase` the expected margin × value."""


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
        [reward.purchase, reward.click, reward.dismissal, reward.unsubscribe, reward.send]
    )
    _predict(
        terms.base,
        terms.item,
        terms.variant,
        terms.hour,
        terms.cloglog,
        item_reason,
        variant_reason,
        hour_reason,
        margin_value.astype(np.float64),
        weights,
        best_hour,
        pair,
        hour,
    )
    return Prediction(best_hour, pair, hour)


@njit(cache=True)
def _odds(x: Any) -> Any:
    """exp(x), cut so far out that a product of four stays finite."""
    return math.exp(min(max(x, -150.0), 150.0))


@njit(cache=True, error_model="numpy")
def _linked(odds: Any, cloglog: Any) -> Any:
    """The probability of a head from the exponential of its terms' sum."""
    return -math.expm1(-odds) if cloglog else odds / (1.0 + odds)


@njit(cache=True)
def _chain(odds: Any, cloglog: Any, margin_value: Any, weights: Any, out: Any) -> None:
    """`PARTS` (6,) of one send from the exponentials of its heads' sums (5,)."""
    opened = _linked(odds[0], cloglog[0])
    clicked = opened * _linked(odds[1], cloglog[1])
    purchase = clicked * _linked(odds[2], cloglog[2]) * margin_value
    dismissed = (1.0 - opened) * _linked(odds[3], cloglog[3])
    unsubscribed = _linked(odds[4], cloglog[4])
    out[0] = (
        weights[0] * purchase
        + weights[1] * clicked
        + weights[2] * dismissed
        + weights[3] * unsubscribed
        + weights[4]
    )
    out[1], out[2], out[3], out[4], out[5] = opened, clicked, purchase, dismissed, unsubscribed


@njit(cache=True)
def chain(logits: Any, cloglog: Any, margin_value: Any, weights: Any, out: Any) -> None:
    """`PARTS` (6,) of one send from the sums of its heads' terms (5,) and links (5,) bool."""
    odds = np.empty(logits.size)
    for h in range(logits.size):
        odds[h] = _odds(logits[h])
    _chain(odds, cloglog, margin_value, weights, out)


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
    N, K, H = item.shape
    V = variant.shape[1]
    mean, odds, parts = np.empty(H), np.empty(H), np.empty(6)
    # exp(a + b + c) = exp(a) exp(b) exp(c): terms are exponentiated, pairs only multiplied.
    of_base, of_hour, of_variant = np.empty(H), np.empty((24, H)), np.empty((V, H))
    for n in range(N):
        mean[:] = 0.0
        items, variants, worth = 0, 0, 0.0
        for k in range(K):
            items += item_reason[n, k] == 0
        for v in range(V):
            variants += variant_reason[n, v] == 0
        if items == 0 or variants == 0:
            continue
        for k in range(K):
            if item_reason[n, k] == 0:
                worth += margin_value[n, k] / items
                for h in range(H):
                    mean[h] += item[n, k, h] / items
        for v in range(V):
            if variant_reason[n, v] == 0:
                for h in range(H):
                    mean[h] += variant[n, v, h] / variants
                    of_variant[v, h] = _odds(variant[n, v, h])
        for h in range(H):
            of_base[h] = _odds(base[n, h])
            mean[h] = of_base[h] * _odds(mean[h])
        best = -np.inf
        for hour in range(24):
            if hour_reason[n, hour] == 0:
                for h in range(H):
                    of_hour[hour, h] = _odds(by_hour[n, hour, h])
                    odds[h] = mean[h] * of_hour[hour, h]
                _chain(odds, cloglog, worth, weights, parts)
                if parts[0] > best:
                    best, best_hour[n] = parts[0], hour
        if best_hour[n] < 0:
            continue
        top, top_k, top_v = -np.inf, 0, 0
        for k in range(K):
            if item_reason[n, k] == 0:
                for h in range(H):
                    mean[h] = of_base[h] * _odds(item[n, k, h]) * of_hour[best_hour[n], h]
                for v in range(V):
                    if variant_reason[n, v] == 0:
                        for h in range(H):
                            odds[h] = mean[h] * of_variant[v, h]
                        _chain(odds, cloglog, margin_value[n, k], weights, parts)
                        for p in range(6):
                            pair[n, k, v, p] = parts[p]
                        if parts[0] > top:
                            top, top_k, top_v = parts[0], k, v
        for h in range(H):
            mean[h] = of_base[h] * _odds(item[n, top_k, h]) * of_variant[top_v, h]
        for hour in range(24):
            if hour_reason[n, hour] == 0:
                for h in range(H):
                    odds[h] = mean[h] * of_hour[hour, h]
                _chain(odds, cloglog, margin_value[n, top_k], weights, parts)
                hour_value[n, hour] = parts[0]


def outcomes_of(
    terms: Terms, item: np.ndarray, variant: np.ndarray, hour: np.ndarray
) -> np.ndarray:
    """Conditional probabilities (N, 5) float64 of the heads for chosen slots and hours (N,).

    Rows of holds (item < 0) are 0.
    """
    n = np.arange(len(item))
    logits = (
        terms.base[n].astype(np.float64)
        + terms.item[n, item]
        + terms.variant[n, variant]
        + terms.hour[n, hour]
    )
    out = np.zeros((len(item), len(HEADS)))
    _squash(logits, terms.cloglog, np.asarray(item), out)
    return out


@njit(cache=True)
def _squash(logits: Any, cloglog: Any, item: Any, out: Any) -> None:
    for n in range(logits.shape[0]):
        if item[n] >= 0:
            for h in range(logits.shape[1]):
                out[n, h] = _linked(_odds(logits[n, h]), cloglog[h])
