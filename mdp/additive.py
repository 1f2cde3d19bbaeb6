"""The additive model's terms, compiled: what a `BoundModel` adds up for each decision."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mdp.compiled import njit
from mdp.special_days import day_row

_ZERO = np.float32(0.0)
TOGETHER = 32
"""Decisions that are worked on together."""


@njit(cache=True)
def terms_scratch(H: Any, K: Any) -> Any:
    """Arrays that `terms_all` works in, of H heads and K candidates, user after user."""
    M = TOGETHER * K
    prices, sensitivities = np.empty(M, np.float32), np.empty(M, np.float32)
    sums = np.empty((H, M), np.float32)
    return np.empty(M), prices, sensitivities, np.empty((H, M), np.float32), sums


@njit(cache=True)
def terms_all(
    parameters: Any, traits: Any, lists: Any, day: Any, recency: Any, scratch: Any, out: Any
) -> None:
    """Fills the base (N, H) and the other terms (N, H, M) of N decisions of the additive model.

    parameters: of a `BoundModel`. lists: rows of candidates (N, K) and variants (N, V). day: local
    dates (N,). recency: the arrays of a `Recency`.
    """
    items, variants = lists
    fatigue, repetition, wear, bought, views = recency
    _base(traits, day, fatigue, parameters[0], out[0])
    _item(traits, items, repetition, bought, views, parameters[1], scratch, out[1])
    _variant(traits, variants, wear, parameters[2], out[2])
    _hour(traits, day, parameters[3], out[3])


@njit(cache=True)
def _base(traits: Any, day: Any, fatigue: Any, parameters: Any, out: Any) -> None:
    base, by_day, special, openness, tolerance, tired, taste, uncertain, threshold = parameters
    knee = threshold[0]
    for n in range(traits.size):
        user = traits[n]
        eased = fatigue[n] * math.exp(-user.tolerance)
        strain = max(eased - knee, 0.0)
        slope, lift = _bent(eased, knee, user.tolerance_var)
        row = day_row(day[n], special)
        for h in range(base.size):
            logit = (
                base[h]
                + by_day[row, h]
                + openness[h] * user.openness
                + tolerance[h] * user.tolerance
                + tired[h] * strain
            )
            if uncertain[h] != 0:
                weights = openness[h], tolerance[h] - tired[h] * slope, taste[h]
                logit += uncertain[h] * (_spread(user, logit, weights) + tired[h] * lift)
            out[n, h] = logit


@njit(cache=True)
def _bent(eased: Any, knee: Any, variance: Any) -> Any:
    """Over all that a user's tolerance may be, how fast on average strain falls with it, and by how
    much its mean is above the strain of the user as believed.

    With e = `eased`, which varies by exp of a normal variable of that variance, the means of
    max(e - knee, 0) and of its slope, as Black and Scholes (1973) have an option's, with
    exp(variance / 2) to first order. So strain bends as softly as tolerance is unsure; without a
    knee the slope is e, and the mean e variance / 2 above.
    """
    above, over = 1.0, 1.0
    if knee > 0.0:
        far = math.log(max(eased, 1e-9) / knee)
        deviation = math.sqrt(2.0 * max(variance, 1e-9))  # erfc's unit is √2 of the normal one
        over = 0.5 * math.erfc(-far / deviation)
        above = 0.5 * math.erfc(-(far + variance) / deviation)
    slope = eased * above
    mean = eased * (1.0 + 0.5 * variance) * above - knee * over
    return slope, mean - max(eased - knee, 0.0)


@njit(cache=True)
def _spread(user: Any, logit: Any, weights: Any) -> Any:
    """By how much the logit of the mean probability over all that a user may be is above that of
    the user as believed, beside what the mean of fatigue's strain adds: to second order in the
    standard deviations.

    A logit's variance v lifts its mean probability p to p + v/2 p(1 - p)(1 - 2p), which is a logit
    higher by v/2 (1 - 2p). p is taken at `logit`, what all sends to the user share, and v for items
    whose vectors are of length 1, as they are or nearly, so that terms still add up. weights: of
    openness, tolerance (its own, less how fast strain falls with it) and taste.
    """
    openness, tolerance, taste = weights
    variance = (
        openness * openness * user.openness_var
        + tolerance * tolerance * user.tolerance_var
        + taste * taste * user.taste_var
    )
    curved = -math.tanh(0.5 * logit)  # 1 - 2p
    return 0.5 * variance * curved


@njit(cache=True)
def _item(
    traits: Any,
    items: Any,
    repetition: Any,
    bought: Any,
    views: Any,
    parameters: Any,
    scratch: Any,
    out: Any,
) -> None:
    own, embedding, price, of_taste, of_price, of_repetition, of_bought, of_views = parameters
    likings, prices, sensitivities, owns, sums = scratch
    N, K = items.shape
    for start in range(0, N, TOGETHER):
        end = min(start + TOGETHER, N)
        size = (end - start) * K
        again, gone, known = (
            repetition[start:end].reshape(-1),
            bought[start:end].reshape(-1),
            views[start:end].reshape(-1),
        )
        for n in range(end - start):
            user = traits[start + n]
            for k in range(K):
                row, liking, j = max(items[start + n, k], 0), 0.0, n * K + k
                for d in range(embedding.shape[1]):
                    liking += user.taste[d] * embedding[row, d]
                likings[j], prices[j], sensitivities[j] = liking, price[row], user.price
                for h in range(own.shape[1]):
                    owns[h, j] = own[row, h]
        for h in range(own.shape[1]):
            mine, total = owns[h], sums[h]
            for j in range(size):
                total[j] = (
                    mine[j]
                    + of_taste[h] * likings[j]
                    + of_price[h] * sensitivities[j] * prices[j]
                    + of_repetition[h] * again[j]
                    + of_bought[h] * gone[j]
                    + of_views[h] * known[j]
                )
        for n in range(end - start):
            for h in range(own.shape[1]):
                for k in range(K):
                    none = items[start + n, k] < 0
                    out[start + n, h, k] = _ZERO if none else sums[h, n * K + k]


@njit(cache=True)
def _variant(traits: Any, variants: Any, wear: Any, parameters: Any, out: Any) -> None:
    own, bucket, styles_weight, wear_weight = parameters
    for n in range(variants.shape[0]):
        for v in range(variants.shape[1]):
            row = variants[n, v]
            if row < 0:
                for h in range(own.shape[1]):
                    out[n, h, v] = 0.0
                continue
            for h in range(own.shape[1]):
                out[n, h, v] = (
                    own[row, h]
                    + styles_weight[h] * traits[n].styles[bucket[row]]
                    + wear_weight[h] * wear[n, v]
                )


@njit(cache=True)
def _hour(traits: Any, day: Any, parameters: Any, out: Any) -> None:
    by_weekday, hours_weight = parameters
    for n in range(traits.size):
        profile, typical = traits[n].hours, by_weekday[(day[n] + 3) % 7]
        for h in range(typical.shape[0]):
            for hour in range(typical.shape[1]):
                out[n, h, hour] = typical[h, hour] + hours_weight[h] * profile[hour]
