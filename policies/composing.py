"""Composing, compiled: from scores to draws and probabilities, one decision after the other.

Exponentials, logarithms and sums stay with NumPy (`policies.composition`): the propensities of
decisions that are stored were made with its last bits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mdp.actions import HOLD, HOURS
from mdp.compiled import njit

HOLD_SHARE, REDRAWN_SHARE = 0.5, 0.125
"""Of the exploration mixture: hold; and each of item, variant, hour redrawn, and any send."""
_LARGEST = 709.782712893384
"""Beyond it an exponential is infinite."""


@njit(cache=True)
def mask_scores(
    hold: Any, pair: Any, hour: Any, allowed: Any, K: Any, sendable: Any, best: Any
) -> Any:
    """Puts -inf where pairs (N, K·V) and hours (N, 24) are masked, and fills whether any send is
    allowed (N,) and the best one's item, variant and hour (3, N).

    allowed: (N, K + V + 24) bool. Returns which scores are not all finite: 0 for none, 1 for hold
    (N,), 2 for pairs, 3 for hours.
    """
    V = allowed.shape[1] - HOURS - K
    for n in range(hold.size):
        if not math.isfinite(hold[n]):
            return 1
        some, first = False, 0
        for k in range(K):
            for v in range(V):
                m = k * V + v
                if not math.isfinite(pair[n, m]):
                    return 2
                if allowed[n, k] and allowed[n, K + v]:
                    first, some = m if pair[n, m] > pair[n, first] else first, True
                else:
                    pair[n, m] = -np.inf
        ever, when = False, 0
        for h in range(HOURS):
            if not math.isfinite(hour[n, h]):
                return 3
            if allowed[n, K + V + h]:
                when, ever = h if hour[n, h] > hour[n, when] else when, True
            else:
                hour[n, h] = -np.inf
        sendable[n] = some and ever
        best[0, n], best[1, n], best[2, n] = first // max(V, 1), first % max(V, 1), when
    return 0


@njit(cache=True)
def scale_scores(pair: Any, hour: Any, temperature: Any, out: Any, top: Any) -> None:
    """Fills scores over temperature (N, K·V + 24) less the highest of the pairs and of the hours
    (2, N), or less 0 where all are masked."""
    M = pair.shape[1]
    for n in range(pair.shape[0]):
        _scale(pair[n], temperature, out[n, :M], top[0, n : n + 1])
        _scale(hour[n], temperature, out[n, M:], top[1, n : n + 1])


@njit(cache=True)
def _scale(scores: Any, temperature: Any, out: Any, top: Any) -> None:
    most = -np.inf
    for m in range(scores.size):
        out[m] = scores[m] / temperature
        most = max(most, out[m])
    top[0] = most if math.isfinite(most) else 0.0
    for m in range(scores.size):
        out[m] -= top[0]


@njit(cache=True)
def share_out(
    powers: Any, total: Any, log_sum: Any, hold: Any, sendable: Any, pair: Any, hour: Any, less: Any
) -> None:
    """Fills probabilities of pairs (N, K·V) and hours (N, 24) given a send, and how far the sends'
    log-sum-exp lies below hold's score (N,), infinite where its exponential would be.

    powers: exponentials (N, K·V + 24), whose totals are (2, N) for pairs and for hours; log_sum:
    (2, N). hold: over temperature (N,).
    """
    M = pair.shape[1]
    for n in range(hold.size):
        of_pairs = total[0, n] if total[0, n] > 0 else 1.0
        for m in range(M):
            pair[n, m] = powers[n, m] / of_pairs
        of_hours = total[1, n] if total[1, n] > 0 else 1.0
        for h in range(HOURS):
            hour[n, h] = powers[n, M + h] / of_hours
        less[n] = -(log_sum[0, n] + log_sum[1, n] - hold[n]) if sendable[n] else np.inf
        if less[n] > _LARGEST:
            less[n] = np.inf


@njit(cache=True)
def draw_base(send: Any, pair: Any, hour: Any, u: Any, out: Any) -> None:
    """Fills flat actions (N,) that a base draws by the numbers (N, `UNIFORMS`): it sends with
    probability (N,), then takes a pair (N, K·V) and an hour (N, 24) by theirs."""
    for n in range(out.size):
        out[n] = HOLD
        if u[n, 1] < send[n]:
            out[n] = 1 + _picked(pair[n], u[n, 2]) * HOURS + _picked(hour[n], u[n, 3])


@njit(cache=True)
def weigh_base(send: Any, pair: Any, hour: Any, actions: Any, out: Any) -> None:
    """Fills the probabilities (N,) with which `draw_base` draws flat actions (N,); a hold's is
    0."""
    for n in range(out.size):
        out[n] = 0.0
        if actions[n] != HOLD:
            place = actions[n] - 1
            out[n] = send[n] * pair[n, place // HOURS] * hour[n, place % HOURS]


@njit(cache=True)
def _picked(weights: Any, u: Any) -> Any:
    total, reached = 0.0, 0.0
    for weight in weights:
        total += weight
    # Rounding may push the target to the end: fall back on the last one with any weight.
    target, last = u * total, weights.size - 1
    for m in range(weights.size):
        reached += weights[m]
        if reached > target:
            return m
        if weights[m] > 0:
            last = m
    return last


@njit(cache=True)
def explore(
    u: Any,
    floor: Any,
    base: Any,
    allowed: Any,
    K: Any,
    sendable: Any,
    best: Any,
    out: Any,
) -> None:
    """Fills flat actions (N,): the base's, or with probability `floor` by the numbers (N,
    `UNIFORMS`) what exploration sends: the best send with a factor or all of them drawn afresh.

    base: its flat actions (N,). The others as in `mask_scores`.
    """
    V = allowed.shape[1] - HOURS - K
    for n in range(out.size):
        send, place = base[n] != HOLD, max(base[n] - 1, 0)
        k, v, h = place // HOURS // V, place // HOURS % V, place % HOURS
        if u[n, 0] < floor:
            send, k, v, h = u[n, 1] >= HOLD_SHARE, best[0, n], best[1, n], best[2, n]
            # The second number, past the half that holds, says which factor is redrawn.
            branch = math.floor((u[n, 1] - HOLD_SHARE) / REDRAWN_SHARE)
            if branch == 0 or branch >= 3:
                k = _picked(allowed[n, :K], u[n, 2])
            if branch == 1 or branch >= 3:
                v = _picked(allowed[n, K : K + V], u[n, 3])
            if branch == 2 or branch >= 3:
                h = _picked(allowed[n, K + V :], u[n, 4])
        out[n] = 1 + (k * V + v) * HOURS + h if send and sendable[n] else HOLD


@njit(cache=True)
def mix(
    actions: Any,
    floor: Any,
    base: Any,
    allowed: Any,
    K: Any,
    sendable: Any,
    best: Any,
    out: Any,
) -> None:
    """Fills the probabilities (N,) of flat actions (N,) under base and exploration.

    base: its probabilities of any send and of this one, (N,) each. The others as in `mask_scores`.
    """
    sends, own = base
    V = allowed.shape[1] - HOURS - K
    for n in range(out.size):
        if actions[n] == HOLD:
            base_hold = 1.0 - sends[n] if sendable[n] else 1.0
            hold = HOLD_SHARE if sendable[n] else 1.0
            out[n] = (1 - floor) * base_hold + floor * hold
            continue
        pair, h = (actions[n] - 1) // HOURS, (actions[n] - 1) % HOURS
        k, v = pair // V, pair % V
        legal = allowed[n, k] and allowed[n, K + v] and allowed[n, K + V + h]
        if not (sendable[n] and legal):
            out[n] = 0.0
            continue
        items, variants = allowed[n, :K].sum(), allowed[n, K : K + V].sum()
        hours = allowed[n, K + V :].sum()
        of_item, of_variant, of_hour = k == best[0, n], v == best[1, n], h == best[2, n]
        explored = REDRAWN_SHARE * (
            (of_variant and of_hour) / items
            + (of_item and of_hour) / variants
            + (of_item and of_variant) / hours
            + 1.0 / (items * variants * hours)
        )
        out[n] = (1 - floor) * own[n] + floor * explored
