"""Predicting, compiled: what the sends of some decisions bring, from exponentials of their terms.

Decisions lie side by side in most of the arrays, so that a vector instruction takes several.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mdp.additive import TOGETHER
from mdp.compiled import njit
from mdp.exponential import exp32

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@njit(cache=True, error_model="numpy")
def chains(odds: Any, cloglog: Any, worth: Any, weights: Any, value: Any) -> None:
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
def prediction_scratch(H: Any, K: Any, V: Any) -> Any:
    """Arrays that `predict_some` works in, of H heads; decisions come last, but for hours."""
    B = TOGETHER
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
def predict_some(
    terms: Any, reasons: Any, worth: Any, weights: Any, scratch: Any, out: Any
) -> None:
    """Fills the arrays of a `Prediction`, pairs as (N, K·V, 6), of `TOGETHER` decisions at most.

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
    chains(by_hour, cloglog, hour_worth, weights, hourly)
    _best_hours(hourly, reasons[2], counts, best_hour)
    _items_then(of_base[0], of_item[0], hour, best_hour, total, of_item[1])
    _pairs(of_item[1], of_variant[1], own, odds, worths)
    chains(odds, cloglog, worths, weights, values)
    _best_pairs(values, items, variants, total, best)
    _show_pairs(parts, items, variants, best_hour, pair)
    _top(of_base[0], of_item[0], of_variant[0], own, best, best_hour.size, mean, of_base[1])
    _by_hour(of_base[1], of_hour, mean, by_hour, hour_worth)
    chains(by_hour, cloglog, hour_worth, weights, hourly)
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
            for part in range(6):
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
