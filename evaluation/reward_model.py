"""The reward model of `dm` and `dr`: what a policy's own response model predicts, recalibrated.

q(a) = c₀ + c₁ · [a is a send] + c₂ · predicted(a), with predicted(a) the response model's expected
one-step reward of exactly that item, variant and hour. The three numbers are fitted by least
squares on the rewards of *other* users (cross-fitting: Chernozhukov et al. 2018, "Double/debiased
machine learning"), so no row's prediction has seen its own reward, and `dr` stays unbiased however
wrong the response model is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mdp.actions import HOURS
from mdp.compiled import njit
from mdp.prediction import PARTS, chain
from mdp.response import Terms
from mdp.reward import Reward

FOLDS = 5


def send_values(
    terms: Terms,
    allowed: tuple[np.ndarray, np.ndarray, np.ndarray],
    margin_value: np.ndarray,
    reward: Reward,
) -> np.ndarray:
    """Expected one-step reward of every allowed send (N, K, V, 24) float64; 0 where masked.

    allowed: items (N, K), variants (N, V) and hours (N, 24), bool. margin_value: (N, K) float.
    """
    item, variant, hour = allowed
    out = np.zeros((len(item), item.shape[1], variant.shape[1], HOURS))
    weights = np.array(
        [reward.purchase, reward.click, reward.dismissal, reward.unsubscribe, reward.send]
    )
    margin_value = margin_value.astype(np.float64)
    _values(
        terms.base, terms.item, terms.variant, terms.hour, terms.cloglog, item, variant, hour,
        margin_value, weights, out,
    )  # fmt: skip
    return out


@njit(cache=True)
def _values(
    base: Any,
    item: Any,
    variant: Any,
    hour: Any,
    cloglog: Any,
    ok_item: Any,
    ok_variant: Any,
    ok_hour: Any,
    margin_value: Any,
    weights: Any,
    out: Any,
) -> None:
    N, K, V, H = out.shape
    heads = base.shape[1]
    logits, parts = np.empty(heads), np.empty(len(PARTS))
    for n in range(N):
        for k in range(K):
            for v in range(V):
                if ok_item[n, k] and ok_variant[n, v]:
                    for h in range(H):
                        if ok_hour[n, h]:
                            for i in range(heads):
                                logits[i] = (
                                    base[n, i] + item[n, k, i] + variant[n, v, i] + hour[n, h, i]
                                )
                            chain(logits, cloglog, margin_value[n, k], weights, parts)
                            out[n, k, v, h] = parts[0]


def cross_fitted(
    reward: np.ndarray, logged: np.ndarray, target: np.ndarray, user: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """q of the logged actions and v of the target (n,) float64 each, by least squares.

    logged, target: (n, F) float64, features of the logged action and their means under the
    target policy; because the model is linear, v is its value at those means. user: (n,) int64
    codes; a user's rows are in one fold.
    """
    design, means = _with_constant(logged), _with_constant(target)
    q, v = np.zeros(len(reward)), np.zeros(len(reward))
    fold = user % FOLDS
    for number in range(FOLDS):
        own = fold == number
        weights = np.linalg.lstsq(design[~own], reward[~own], rcond=None)[0]
        q[own], v[own] = design[own] @ weights, means[own] @ weights
    return q, v


def _with_constant(features: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(features)), features])
