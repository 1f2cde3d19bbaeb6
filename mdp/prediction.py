"""Prediction: what each send that is allowed is expected to bring, from a model's logits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from mdp.exponential import exp32
from mdp.response import HEADS, TOGETHER, Terms
from mdp.reward import Reward

PARTS = ("value", "open", "click", "purchase", "dismiss", "unsubscribe")
"""What `predict` says of a pair: one-step reward, probabilities of a send's outcomes, and for
`purchase` the expected margin × value."""

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


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
        prediction_scratch(K, V),
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


@njit(cache=True, error_model="numpy")
def _chains(odds: Any, cloglog: Any, worth: Any, weights: Any, value: Any) -> None:
    """Values (M, L) of sends from the exponentials of their heads' sums (5, M, L), which become
    the other `PARTS`. worth: (M, L), margin × value."""
    M, L = value.shape
    for h in range(odds.shape[0]):
        head = odds[h].reshape(-1)
        if cloglog[h]:
            for m in range(head.size):
                head[m] = -math.expm1(-head[m])
        else:
            for m in range(head.size):
                head[m] = head[m] / (_ONE + head[m])
    of_purchase, of_click, of_dismissal, of_unsubscribe, of_send = (
        weights[0],
        weights[1],
        weights[2],
        weights[3],
        weights[4],
    )
    for m in range(M):
        for n in range(L):
            opened = odds[0, m, n]
            clicked = odds[1, m, n] * opened
            bought = odds[2, m, n] * clicked * worth[m, n]
            dismissed = odds[3, m, n] * (_ONE - opened)
            odds[1, m, n], odds[2, m, n], odds[3, m, n] = clicked, bought, dismissed
            value[m, n] = (
                of_purchase * bought
                + of_click * clicked
                + of_dismissal * dismissed
                + of_unsubscribe * odds[4, m, n]
                + of_send
            )


@njit(cache=True)
def chain(logits: Any, cloglog: Any, margin_value: Any, weights: Any, out: Any) -> None:
    """`PARTS` (6,) of one send from the sums of its heads' terms (5,) and links (5,) bool."""
    odds, value = np.empty((logits.size, 1, 1), np.float32), np.empty((1, 1), np.float32)
    for h in range(logits.size):
        odds[h, 0, 0] = exp32(np.float32(logits[h]))
    worth = np.full((1, 1), np.float32(margin_value), np.float32)
    _chains(odds, cloglog, worth, weights.astype(np.float32), value)
    out[0] = value[0, 0]
    for h in range(logits.size):
        out[1 + h] = odds[h, 0, 0]


@njit(cache=True)
def prediction_scratch(K: Any, V: Any) -> Any:
    """Arrays that `predict_some` works in; decisions are the last axis but that of hours."""
    B, H = TOGETHER, len(HEADS)
    base, item, variant = np.zeros((2, H, B)), np.zeros((2, H, K, B)), np.zeros((2, H, V, B))
    lists = base.astype(np.float32), item.astype(np.float32), variant.astype(np.float32)
    allowed = np.zeros((K, B), np.bool_), np.zeros((V, B), np.bool_)
    worth = np.zeros((K, B), np.float32), np.zeros((K * V, B), np.float32)
    pairs = np.zeros((1 + H, K * V, B), np.float32)
    hours = np.zeros(B * H * 24, np.float32), np.zeros((H, B, 24), np.float32)
    hourly = np.zeros((2, B, 24), np.float32)
    counts = np.zeros((2, B)), np.zeros(B, np.float32), np.zeros(B, np.float32)
    return lists, allowed, worth, pairs, hours, hourly, counts, np.zeros(B, np.int64)


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


@njit(cache=True)
def predict_some(
    terms: Any, reasons: Any, worth: Any, weights: Any, scratch: Any, out: Any
) -> None:
    """Fills the arrays of a `Prediction`, pairs as (N, K·V, 6), of `TOGETHER` decisions at most:
    they lie side by side, so that a vector instruction takes several.

    terms: from `heads_first`. reasons: of items, variants and hours. worth: margin × price of each
    candidate (N, K) float32.
    """
    base, item, variant, hour, cloglog = terms
    best_hour, pair, hour_value = out
    (of_base, of_item, of_variant), (items, variants), (own, worths), parts = scratch[:4]
    (of_hour, by_hour), (hourly, hour_worth), (counts, mean, total), best = scratch[4:]
    values, odds = parts[0], parts[1:]
    _lay_items(item, reasons[0], worth, of_item[0], items, own)
    _lay_variants(variant, reasons[1], of_variant[0], variants)
    _lay_base(base, of_base[0])
    # exp(a + b) = exp(a) exp(b): terms are exponentiated, pairs only multiplied.
    _exponentials(of_variant[0].reshape(-1), of_variant[1].reshape(-1))
    _exponentials(hour.reshape(-1), of_hour)
    _typical(
        of_base[0], of_item[0], of_variant[0], items, variants, own, counts, total, mean, of_base[1]
    )
    _by_hour(of_base[1], of_hour, mean, by_hour, hour_worth)
    _chains(by_hour, cloglog, hour_worth, weights, hourly)
    _best_hours(hourly, reasons[2], counts, best_hour)
    _items_then(of_base[0], of_item[0], hour, best_hour, total, of_item[1])
    _pairs(of_item[1], of_variant[1], own, odds, worths)
    _chains(odds, cloglog, worths, weights, values)
    _best_pairs(values, items, variants, total, best)
    _show_pairs(parts, items, variants, best_hour, pair)
    _top(of_base[0], of_item[0], of_variant[0], own, best, best_hour.size, mean, of_base[1])
    _by_hour(of_base[1], of_hour, mean, by_hour, hour_worth)
    _chains(by_hour, cloglog, hour_worth, weights, hourly)
    _show_hours(hourly, reasons[2], best_hour, hour_value)


@njit(cache=True)
def _exponentials(x: Any, out: Any) -> None:
    for i in range(x.size):
        out[i] = exp32(x[i])


@njit(cache=True)
def _exponentiate(x: Any) -> None:
    for i in range(x.size):
        x[i] = exp32(x[i])


@njit(cache=True)
def _lay_base(terms: Any, out: Any) -> None:
    for n in range(terms.shape[0]):
        for h in range(terms.shape[1]):
            out[h, n] = terms[n, h]


@njit(cache=True)
def _lay_items(terms: Any, reason: Any, given: Any, out: Any, allowed: Any, worth: Any) -> None:
    allowed[:] = False
    for n in range(terms.shape[0]):
        for k in range(terms.shape[2]):
            allowed[k, n], worth[k, n] = reason[n, k] == 0, given[n, k]
        for h in range(terms.shape[1]):
            for k in range(terms.shape[2]):
                out[h, k, n] = terms[n, h, k]


@njit(cache=True)
def _lay_variants(terms: Any, reason: Any, out: Any, allowed: Any) -> None:
    allowed[:] = False
    for n in range(terms.shape[0]):
        for v in range(terms.shape[2]):
            allowed[v, n] = reason[n, v] == 0
        for h in range(terms.shape[1]):
            for v in range(terms.shape[2]):
                out[h, v, n] = terms[n, h, v]


@njit(cache=True, error_model="numpy")
def _typical(
    base: Any,
    item: Any,
    variant: Any,
    items: Any,
    variants: Any,
    worth: Any,
    counts: Any,
    total: Any,
    mean: Any,
    out: Any,
) -> None:
    """Odds (H, B) of the mean of what is allowed, at no hour; how many items and variants are
    allowed (2, B), and the items' mean worth (B,)."""
    H, K, B = item.shape
    counts[:] = 0.0
    total[:] = _ZERO
    for k in range(K):
        for n in range(B):
            counts[0, n] += items[k, n]
            total[n] += worth[k, n] if items[k, n] else _ZERO
    for v in range(variants.shape[0]):
        for n in range(B):
            counts[1, n] += variants[v, n]
    for n in range(B):
        mean[n] = total[n] / max(counts[0, n], 1.0)
    for h in range(H):
        total[:] = _ZERO
        for k in range(K):
            for n in range(B):
                total[n] += item[h, k, n] if items[k, n] else _ZERO
        for n in range(B):
            out[h, n] = total[n]
        total[:] = _ZERO
        for v in range(variants.shape[0]):
            for n in range(B):
                total[n] += variant[h, v, n] if variants[v, n] else _ZERO
        for n in range(B):
            some = base[h, n] + out[h, n] / max(counts[0, n], 1.0)
            out[h, n] = some + total[n] / max(counts[1, n], 1.0)
    _exponentiate(out.reshape(-1))


@njit(cache=True)
def _by_hour(send: Any, of_hour: Any, worth: Any, odds: Any, worths: Any) -> None:
    """Odds (H, B, 24) of a send (H, B) at each hour, and its worth (B,) at each."""
    H, B = send.shape
    for h in range(H):
        for n in range(B):
            row, one, first = odds[h, n], send[h, n], (n * H + h) * 24
            those = of_hour[first : first + 24]
            for hour in range(those.size):
                row[hour] = one * those[hour]
    for n in range(B):
        worths[n] = worth[n]


@njit(cache=True)
def _best_hours(values: Any, hour_reason: Any, counts: Any, out: Any) -> None:
    for n in range(out.size):
        chosen, best = -1, np.float32(-np.inf)
        if counts[0, n] > 0 and counts[1, n] > 0:
            for hour in range(24):
                if hour_reason[n, hour] == 0 and values[n, hour] > best:
                    best, chosen = values[n, hour], hour
        out[n] = chosen


@njit(cache=True)
def _items_then(base: Any, item: Any, hour: Any, best_hour: Any, then: Any, out: Any) -> None:
    """Odds (H, K, B) of each item at the best hour with no variant."""
    for h in range(base.shape[0]):
        for n in range(best_hour.size):
            then[n] = base[h, n] + hour[n, h, max(best_hour[n], 0)]
        for k in range(item.shape[1]):
            for n in range(then.size):
                out[h, k, n] = then[n] + item[h, k, n]
    _exponentiate(out.reshape(-1))


@njit(cache=True)
def _pairs(item: Any, variant: Any, worth: Any, odds: Any, worths: Any) -> None:
    """Odds (H, K·V, B) and worths of all pairs."""
    V = variant.shape[1]
    for h in range(item.shape[0]):
        for k in range(item.shape[1]):
            for v in range(V):
                for n in range(item.shape[2]):
                    odds[h, k * V + v, n] = item[h, k, n] * variant[h, v, n]
    for k in range(item.shape[1]):
        for v in range(V):
            for n in range(item.shape[2]):
                worths[k * V + v, n] = worth[k, n]


@njit(cache=True)
def _best_pairs(values: Any, items: Any, variants: Any, most: Any, out: Any) -> None:
    """The first of the pairs worth most that are allowed (B,)."""
    V = variants.shape[0]
    most[:] = -np.inf
    out[:] = 0
    for k in range(items.shape[0]):
        for v in range(V):
            for n in range(most.size):
                better = items[k, n] and variants[v, n] and values[k * V + v, n] > most[n]
                most[n] = values[k * V + v, n] if better else most[n]
                out[n] = k * V + v if better else out[n]


@njit(cache=True)
def _show_pairs(parts: Any, items: Any, variants: Any, best_hour: Any, out: Any) -> None:
    """Fills the `PARTS` of allowed pairs, one after the other."""
    K, V = items.shape[0], variants.shape[0]
    for m in range(K * V):
        for n in range(best_hour.size):
            for part in range(len(PARTS)):
                out[n, m, part] = parts[part, m, n]
    for n in range(best_hour.size):
        for k in range(K):
            if not items[k, n] or best_hour[n] < 0:
                for v in range(V):
                    out[n, k * V + v] = _ZERO
        for v in range(V):
            if not variants[v, n]:
                for k in range(K):
                    out[n, k * V + v] = _ZERO


@njit(cache=True)
def _top(
    base: Any, item: Any, variant: Any, worth: Any, pair: Any, size: Any, worths: Any, odds: Any
) -> None:
    """Odds (H, B) of the best pair at no hour, and its worth (B,)."""
    V = variant.shape[1]
    if V == 0 or item.shape[1] == 0:
        return
    for n in range(size):
        k, v = pair[n] // V, pair[n] % V
        worths[n] = worth[k, n]
        for h in range(base.shape[0]):
            odds[h, n] = base[h, n] + item[h, k, n] + variant[h, v, n]
    _exponentiate(odds.reshape(-1))


@njit(cache=True)
def _show_hours(values: Any, hour_reason: Any, best_hour: Any, out: Any) -> None:
    for n in range(best_hour.size):
        for hour in range(24):
            allowed = hour_reason[n, hour] == 0 and best_hour[n] >= 0
            out[n, hour] = values[n, hour] if allowed else _ZERO


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
