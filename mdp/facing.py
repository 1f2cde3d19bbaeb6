"""Facing decisions: from users' states to all that is seen of a decision without a model.

One compiled pass, a few users at a time, so that what is known of them stays in the processor's
nearest cache from the first of its stages to the last.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mdp.additive import TOGETHER, terms_all, terms_scratch
from mdp.believing import believe_all
from mdp.clock import DAY, NEVER
from mdp.compiled import njit
from mdp.exponential import log32
from mdp.local_time import local_times_all, send_times_all
from mdp.masking import mask_all, mask_scratch
from mdp.predicting import prediction_scratch
from mdp.reasons import allowed_first, item_reasons_all
from mdp.recency import recency_all, recency_scratch
from mdp.state import COUNTS, HALF_LIVES, RING, STYLE_COUNTS, advance_all

_NONE = np.uint64(0)
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_LANES = 32
"""Compiled loops take as many numbers together; what is left over would be done one by one."""
_STYLES = len(STYLE_COUNTS)


@njit(cache=True)
def face_all(
    who: Any,
    candidates: Any,
    copy: Any,
    table: Any,
    zones: Any,
    near: Any,
    rules: Any,
    closed: Any,
    rates: Any,
    block: Any,
    decided: Any,
    recency: Any,
    shown: Any,
) -> None:
    """Fills what is decided of N decisions without a model, their `Recency` and their observation.

    who: histories (N,) `HISTORY` as stored, instants (N,) and zones (N,). candidates: rows (N, K),
    reasons (N, K) and whether these are given; otherwise time and stock give them, and candidates
    that are allowed come first and the others are left out. copy: rows and reasons (N, V). table:
    of the catalogue, by row, hashes, `available_until`, stock, `shown` and variants' buckets.
    zones, near: for `segment`. rules: from `limits`. closed: reasons (N, 24) against hours that
    the mask allows, or none (0, 24). rates: from `rates_of`. block: (`TOGETHER`,) `HISTORY` to
    work in. decided: candidates, their and the hours' reasons, and the hours' instants. shown: an
    observation's arrays but pairs.
    """
    histories, every_at, every_zone = who
    asked, reasons, given = candidates
    item_hash, available_until, stock, own, bucket = table
    (N, K), V = asked.shape, copy[0].shape[1]
    now = np.empty(TOGETHER, np.int64)
    hashes, until = np.empty((TOGETHER, K), np.uint64), np.empty((TOGETHER, K), np.int64)
    found = np.empty((TOGETHER, K), np.uint8)
    of_mask, of_recency = mask_scratch(), recency_scratch(K)
    of_user = np.ones(-(-(len(COUNTS) * len(HALF_LIVES) + 2) // _LANES) * _LANES, np.float32)
    of_styles = np.ones(-(-V * _STYLES // _LANES) * _LANES, np.float32)
    week = _week()
    for start in range(0, N, TOGETHER):
        end = min(start + TOGETHER, N)
        at, zone, states = every_at[start:end], every_zone[start:end], block[: end - start]
        items, reason = asked[start:end], found[: end - start]
        states[:] = histories[start:end]
        advance_all(states, at)
        send_at, hour_reason = decided[3][start:end], decided[2][start:end]
        send_times_all(zones, near, zone, at, send_at)
        local_times_all(zones, near, zone, at, now)
        if given:
            reason[:] = reasons[start:end]
        else:
            item_reasons_all(items, at, available_until, stock, reason)
        _look_up(items, item_hash, available_until, hashes, until)
        mask_all(
            states,
            at,
            zone,
            send_at,
            zones,
            near,
            rules,
            hashes,
            until,
            of_mask,
            hour_reason,
            reason,
        )
        if closed.shape[0]:
            _close(closed[start:end], hour_reason)
        rows, item_reason = decided[0][start:end], decided[1][start:end]
        if given:
            rows[:], item_reason[:] = items, reason
        else:
            allowed_first(items, reason, rows, item_reason)
        variants = copy[0][start:end]
        fatigue, repetition = recency[0][start:end], recency[1][start:end]
        wear, bought, views = (
            recency[2][start:end],
            recency[3][start:end],
            recency[4][start:end],
        )
        recency_all(
            states,
            at,
            rows,
            variants,
            item_hash,
            bucket,
            rates,
            of_recency,
            fatigue,
            repetition,
            wear,
            bought,
            views,
        )
        _user(states, at, now, week, of_user, shown[0][start:end])
        _candidates(rows, own, repetition, bought, views, shown[1][start:end])
        _styles(states, variants, bucket, of_styles, shown[2][start:end])
        _hours(states, at, send_at, shown[3][start:end])
        _allowed(item_reason, copy[1][start:end], hour_reason, shown[4][start:end])


@njit(cache=True)
def _close(closed: Any, hour_reason: Any) -> None:
    for n in range(closed.shape[0]):
        for hour in range(24):
            if hour_reason[n, hour] == 0:
                hour_reason[n, hour] = closed[n, hour]


@njit(cache=True)
def _look_up(items: Any, item_hash: Any, available_until: Any, hashes: Any, until: Any) -> None:
    for n in range(items.shape[0]):
        for k in range(items.shape[1]):
            row = items[n, k]
            hashes[n, k] = item_hash[row] if row >= 0 else _NONE
            until[n, k] = available_until[row] if row >= 0 else NEVER


@njit(cache=True)
def see_all(
    who: Any,
    candidates: Any,
    copy: Any,
    table: Any,
    zones: Any,
    near: Any,
    rules: Any,
    closed: Any,
    rates: Any,
    block: Any,
    decided: Any,
    recency: Any,
    shown: Any,
    traits: Any,
    parameters: Any,
    terms: Any,
    worth: Any,
    weights: Any,
    predicted: Any,
    pairs: Any,
    limit: Any,
    risk: Any,
) -> None:
    """`face_all`, then `terms_all` of an additive model, then `believe_all`, some users at a time
    so that each finds in the cache what the one before it made."""
    (histories, at, zone), (items, reasons, given) = who, candidates
    base, item, variant, hour, cloglog = terms
    H, K = base.shape[1], items.shape[1]
    day, of_terms = np.empty(TOGETHER, np.int64), terms_scratch(H, K)
    scratch = prediction_scratch(H, K, copy[0].shape[1])
    for start in range(0, at.size, TOGETHER):
        end = min(start + TOGETHER, at.size)
        rows, item_reason = decided[0][start:end], decided[1][start:end]
        hour_reason, send_at = decided[2][start:end], decided[3][start:end]
        variants, variant_reason = copy[0][start:end], copy[1][start:end]
        fatigue, repetition = recency[0][start:end], recency[1][start:end]
        wear, bought = recency[2][start:end], recency[3][start:end]
        some = (fatigue, repetition, wear, bought, recency[4][start:end])
        user, of_items = shown[0][start:end], shown[1][start:end]
        styles, hours = shown[2][start:end], shown[3][start:end]
        face_all(
            (histories[start:end], at[start:end], zone[start:end]),
            (items[start:end], reasons[start:end], given),
            (variants, variant_reason),
            table,
            zones,
            near,
            rules,
            closed[start:end],
            rates,
            block,
            (rows, item_reason, hour_reason, send_at),
            some,
            (user, of_items, styles, hours, shown[4][start:end]),
        )
        local_times_all(zones, near, zone[start:end], at[start:end], day)
        for n in range(end - start):
            day[n] //= DAY
        adding = (base[start:end], item[start:end], variant[start:end], hour[start:end])
        terms_all(parameters, traits[start:end], (rows, variants), day, some, of_terms, adding)
        believe_all(
            traits[start:end],
            (rows, variants),
            (*adding, cloglog),
            (item_reason, variant_reason, hour_reason, send_at),
            worth,
            weights,
            scratch,
            (fatigue, wear),
            (predicted[0][start:end], predicted[1][start:end]),
            (user, of_items, styles, hours, pairs[start:end]),
            limit,
            risk,
            shown[4][start:end],
        )


@njit(cache=True)
def _week() -> Any:
    """Sine and cosine of the days of the week (2, 7), Monday first."""
    angle = 2 * math.pi * np.arange(7) / 7
    out = np.empty((2, 7))
    out[0], out[1] = np.sin(angle), np.cos(angle)
    return out


@njit(cache=True, error_model="numpy")
def _user(states: Any, at: Any, local: Any, week: Any, logs: Any, out: Any) -> None:
    """Logarithms of counts and days, and the weekday."""
    C, L = len(COUNTS), len(HALF_LIVES)
    for n in range(states.size):
        state = states[n]
        for count in range(C):
            for half_life in range(L):
                logs[count * L + half_life] = _ONE + state.counts[count, half_life]
        known = 0.0 if state.first_at == NEVER else (at[n] - state.first_at) / DAY
        logs[C * L] = 1.0 + known
        last = NEVER
        for slot in range(RING):
            if state.ring[slot].send_at <= at[n]:
                last = max(last, state.ring[slot].send_at)
        days = 60.0 if last == NEVER else min((at[n] - last) / DAY, 60.0)
        logs[C * L + 1] = 1.0 + days
        for i in range(logs.size):
            logs[i] = log32(logs[i])
        for i in range(C * L + 2):
            out[n, i] = logs[i]
        weekday = (local[n] // DAY + 3) % 7
        out[n, C * L + 2], out[n, C * L + 3] = week[0, weekday], week[1, weekday]
        for i in range(C * L + 4, out.shape[1]):
            out[n, i] = 0.0


@njit(cache=True)
def _candidates(rows: Any, own: Any, repetition: Any, bought: Any, views: Any, out: Any) -> None:
    for n in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            row = rows[n, k]
            if row < 0:
                out[n, k] = 0.0
                continue
            for i in range(3):
                out[n, k, i] = own[row, i]
            out[n, k, 3] = 1.0 / (1.0 + k)
            out[n, k, 4] = repetition[n, k]
            out[n, k, 5] = bought[n, k]
            out[n, k, 6] = views[n, k]
            out[n, k, 7] = 0.0


@njit(cache=True)
def _styles(states: Any, rows: Any, bucket: Any, logs: Any, out: Any) -> None:
    for n in range(rows.shape[0]):
        state = states[n]
        for v in range(rows.shape[1]):
            known = rows[n, v] >= 0
            style = bucket[rows[n, v]] if known else 0
            for i in range(_STYLES):
                logs[v * _STYLES + i] = _ONE + (state.styles[i, style] if known else _ZERO)
        for i in range(logs.size):
            logs[i] = log32(logs[i])
        for v in range(rows.shape[1]):
            for i in range(_STYLES):
                out[n, v, i] = logs[v * _STYLES + i]
            out[n, v, _STYLES], out[n, v, _STYLES + 1] = 0.0, 0.0


@njit(cache=True, error_model="numpy")
def _hours(states: Any, at: Any, send_at: Any, out: Any) -> None:
    for n in range(at.size):
        activity, times, shown = states[n].activity, send_at[n], out[n]
        total = _ONE
        for hour in range(24):
            total += activity[hour]
        for hour in range(times.size):
            exists = times[hour] != NEVER
            shown[hour, 0] = activity[hour] / total if exists else 0.0
            shown[hour, 1] = (times[hour] - at[n]) / DAY if exists else 0.0
            shown[hour, 2], shown[hour, 3] = 0.0, 0.0


@njit(cache=True)
def _allowed(item: Any, variant: Any, hour: Any, out: Any) -> None:
    K, V = item.shape[1], variant.shape[1]
    for n in range(out.shape[0]):
        for k in range(K):
            out[n, k] = item[n, k] == 0
        for v in range(V):
            out[n, K + v] = variant[n, v] == 0
        for h in range(24):
            out[n, K + V + h] = hour[n, h] == 0
