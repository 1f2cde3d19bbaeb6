"""Prediction: what each send that is allowed is expected to bring, from a model's logits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdp.additive import TOGETHER
from mdp.compiled import njit
from mdp.exponential import exp32
from mdp.predicting import chains, predict_some, prediction_scratch
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
    best_hour = np.empty(N, np.int64)
    pair = np.empty((N, K, V, len(PARTS)), np.float32)
    hour = np.empty((N, 24), np.float32)
    _predict_all(
        heads_first(terms),
        (item_reason, variant_reason, hour_reason),
        margin_value.astype(np.float32),
        weights_of(reward),
        prediction_scratch(len(HEADS), K, V),
        (best_hour, pair.reshape(N, K * V, len(PARTS)), hour),
    )
    return Prediction(best_hour, pair, hour)


def weights_of(reward: Reward) -> np.ndarray:
    """Weights (5,) float32 of purchase, click, dismissal, unsubscribe and send."""
    weights = (reward.purchase, reward.click, reward.dismissal, reward.unsubscribe, reward.send)
    return np.array(weights, np.float32)


def heads_first(terms: Terms) -> tuple[np.ndarray, ...]:
    """Base (N, H), the other terms (N, H, M) contiguous, float32, which is how `BoundModel` lays
    them out, and the links (H,) bool."""
    rest = (
        np.ascontiguousarray(part.transpose(0, 2, 1), np.float32)
        for part in (terms.item, terms.variant, terms.hour)
    )
    return np.ascontiguousarray(terms.base, np.float32), *rest, terms.cloglog


@njit(cache=True)
def chain(logits: Any, cloglog: Any, margin_value: Any, weights: Any, out: Any) -> None:
    """`PARTS` (6,) of one send from the sums of its heads' terms (5,) and links (5,) bool."""
    odds, value = np.empty((logits.size, 1, 1), np.float32), np.empty((1, 1), np.float32)
    for h in range(logits.size):
        odds[h, 0, 0] = exp32(np.float32(logits[h]))
    worth = np.full((1, 1), np.float32(margin_value), np.float32)
    chains(odds, cloglog, worth, weights.astype(np.float32), value)
    out[0] = value[0, 0]
    for h in range(logits.size):
        out[1 + h] = odds[h, 0, 0]


@njit(cache=True)
def _predict_all(
    terms: Any, reasons: Any, worth: Any, weights: Any, scratch: Any, out: Any
) -> None:
    base, item, variant, hour, cloglog = terms
    of_items, of_variants, of_hours = reasons
    best_hour, pair, hour_value = out
    for start in range(0, base.shape[0], TOGETHER):
        end = min(start + TOGETHER, base.shape[0])
        predict_some(
            (base[start:end], item[start:end], variant[start:end], hour[start:end], cloglog),
            (of_items[start:end], of_variants[start:end], of_hours[start:end]),
            worth[start:end],
            weights,
            scratch,
            (best_hour[start:end], pair[start:end], hour_value[start:end]),
        )


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
