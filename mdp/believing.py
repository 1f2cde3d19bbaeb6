"""Believing: what a response model adds to what is seen of decisions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mdp.additive import TOGETHER
from mdp.clock import NEVER
from mdp.compiled import njit
from mdp.masking import mask_risky
from mdp.predicting import predict_some
from mdp.state import COUNTS, HALF_LIVES, STYLE_COUNTS

_ZERO = np.float32(0.0)
_STYLES = len(STYLE_COUNTS)


@njit(cache=True)
def believe_all(
    traits: Any,
    lists: Any,
    terms: Any,
    reasons: Any,
    worth: Any,
    weights: Any,
    scratch: Any,
    recency: Any,
    predicted: Any,
    shown: Any,
    limit: Any,
    risk: Any,
    action_mask: Any,
) -> None:
    """Adds what a model believes to the observation of N decisions that `face_all` began, and
    masks items that are too risky by it.

    traits: (N,) `TRAITS`. lists: rows of candidates (N, K) and variants (N, V). terms: from
    `heads_first`. reasons: of items, variants and hours, and the hours' instants. worth: margin ×
    price of each item of the catalogue. recency: fatigue (N,) and wear (N, V). predicted: best
    hours and the hours' values. shown: an observation's arrays but the mask, cut at ± limit.
    risk: from `risk_limits`. action_mask: (N, K + V + 24).
    """
    items, variants = lists
    base, item, variant, hour, cloglog = terms
    item_reason, variant_reason, hour_reason, send_at = reasons
    N, K = items.shape
    pairs = shown[4].reshape((N, K * variants.shape[1], shown[4].shape[3]))
    own = np.empty((TOGETHER, K), np.float32)
    for start in range(0, N, TOGETHER):
        end = min(start + TOGETHER, N)
        rows, best, values = items[start:end], predicted[0][start:end], predicted[1][start:end]
        mask_risky(
            base[start:end],
            item[start:end],
            variant[start:end],
            hour[start:end],
            cloglog,
            risk,
            (item_reason[start:end], variant_reason[start:end], hour_reason[start:end]),
            action_mask[start:end],
        )
        for n in range(end - start):
            for k in range(K):
                own[n, k] = worth[rows[n, k]] if rows[n, k] >= 0 else _ZERO
        predict_some(
            (base[start:end], item[start:end], variant[start:end], hour[start:end], cloglog),
            (item_reason[start:end], variant_reason[start:end], hour_reason[start:end]),
            own,
            weights,
            scratch,
            (best, pairs[start:end], values),
        )
        _believed_user(traits[start:end], recency[0][start:end], best, values, shown[0][start:end])
        _believed_items(rows, item[start:end], shown[1][start:end])
        _believed_styles(
            variants[start:end], recency[1][start:end], variant[start:end], shown[2][start:end]
        )
        _believed_hours(send_at[start:end], hour[start:end], values, shown[3][start:end])
        _cut(shown[0][start:end].reshape(-1), limit)
        _cut(shown[1][start:end].reshape(-1), limit)
        _cut(shown[2][start:end].reshape(-1), limit)
        _cut(shown[3][start:end].reshape(-1), limit)
        _cut(shown[4][start:end].reshape(-1), limit)


@njit(cache=True)
def _believed_user(traits: Any, fatigue: Any, best_hour: Any, hour_value: Any, out: Any) -> None:
    first = len(COUNTS) * len(HALF_LIVES) + 4
    for n in range(traits.size):
        user = traits[n]
        out[n, first] = fatigue[n]
        out[n, first + 1] = fatigue[n] * math.exp(-user.tolerance)
        out[n, first + 2] = user.openness
        out[n, first + 3] = user.tolerance
        out[n, first + 4] = user.price
        out[n, first + 5] = user.openness_var
        out[n, first + 6] = user.tolerance_var
        for i in range(3):
            out[n, first + 7 + i] = user.habit[i]
        out[n, first + 10] = user.known
        most = _ZERO
        if best_hour[n] >= 0:
            most = hour_value[n, 0]
            for hour in range(24):
                most = max(most, hour_value[n, hour])
        out[n, first + 11] = most


@njit(cache=True)
def _believed_items(rows: Any, logits: Any, out: Any) -> None:
    for n in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            if rows[n, k] >= 0:
                out[n, k, 7] = logits[n, 0, k]


@njit(cache=True)
def _believed_styles(rows: Any, wear: Any, logits: Any, out: Any) -> None:
    for n in range(rows.shape[0]):
        for v in range(rows.shape[1]):
            if rows[n, v] >= 0:
                out[n, v, _STYLES], out[n, v, _STYLES + 1] = wear[n, v], logits[n, 0, v]


@njit(cache=True)
def _believed_hours(send_at: Any, logits: Any, values: Any, out: Any) -> None:
    for n in range(send_at.shape[0]):
        for hour in range(24):
            if send_at[n, hour] != NEVER:
                out[n, hour, 2], out[n, hour, 3] = logits[n, 0, hour], values[n, hour]


@njit(cache=True)
def _cut(values: Any, limit: Any) -> None:
    most = np.float32(limit)
    for i in range(values.size):
        values[i] = min(max(values[i], -most), most)
