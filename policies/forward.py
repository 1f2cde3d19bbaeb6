"""The forward pass of `agents.network.FactorNetwork`, compiled: a group of decisions costs a
fraction of what the graph's hundred small operations do.

What it computes is said there, and by the graph; the scores are the same to float32's rounding.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from mdp.actions import HOURS
from mdp.compiled import njit
from mdp.errors import BadArtifact
from mdp.exponential import exp32
from mdp.observation import HOUR, NAMES, Observation
from mdp.prediction import PARTS

ORDER = ("user", "candidates", "variants", "hours", "pairs")
SIZES = tuple(len(NAMES[name]) for name in ORDER)
"""Features of each array of an observation."""
CONTEXT = len(NAMES["user"]) + len(PARTS) + 1
"""What the trunk sees: the user, the parts of the best send, whether there is one."""
SCORED = ("pairs", "candidates", "variants", "hours")
"""Whose features get weights of their own, in the order in which the trunk gives them."""
OUTPUTS = sum(len(NAMES[name]) for name in SCORED) + 1
"""Those weights and the price of a send."""
_VALUE, _HOUR_VALUE = PARTS.index("value"), HOUR.index("value")
_MASKED, _ZERO, _ONE, _TWO = (np.float32(x) for x in (-1e9, 0.0, 1.0, 2.0))
_CLAMP = np.float32(8.0)


class Weights(NamedTuple):
    """A network's parameters, float32."""

    scalars: np.ndarray
    """Whether scores are a softmax's logits (1 or 0), threshold, weight of the value (`trust`),
    factors on send and on choice (5,)."""
    scaling: tuple[tuple[np.ndarray, np.ndarray], ...]
    """Centre and scale of the features of each array, as in `ORDER`."""
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    """Weights (inputs, outputs) and biases (outputs,) of the three layers."""


def _shapes(hidden: int) -> list[tuple[int, ...]]:
    scaling: list[tuple[int, ...]] = [(size,) for size in SIZES for _ in range(2)]
    ends = (CONTEXT, hidden, hidden, OUTPUTS)
    layers = [part for a, b in pairwise(ends) for part in ((a, b), (b,))]
    return [(5,), *scaling, *layers]


def flat(weights: Weights) -> np.ndarray:
    """The parameters one after the other behind the number of hidden units (D,) float32."""
    pairs = (*weights.scaling, *weights.layers)
    parts = [weights.scalars, *(part for pair in pairs for part in pair)]
    hidden = [len(weights.layers[0][1])]
    return np.concatenate([hidden, *(np.ravel(part) for part in parts)]).astype(np.float32)


def unflat(values: np.ndarray) -> Weights:
    """The inverse of `flat`; raises `BadArtifact` for another number of parameters."""
    shapes = _shapes(int(values[0]))
    ends = 1 + np.cumsum([math.prod(shape) for shape in shapes])
    if len(values) != ends[-1]:
        raise BadArtifact(f"a network has {len(values)} parameters, not {ends[-1]}: train it again")
    parts = [
        np.ascontiguousarray(part.reshape(shape), np.float32)
        for part, shape in zip(np.split(values[1:], ends[:-1] - 1), shapes, strict=True)
    ]
    pairs = list(zip(parts[1::2], parts[2::2], strict=True))
    return Weights(parts[0], tuple(pairs[: len(ORDER)]), tuple(pairs[len(ORDER) :]))


def forward(
    weights: Weights, observation: Observation
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores hold (N,), pair (N, K, V) and hour (N, 24) float64."""
    seen = tuple(np.ascontiguousarray(observation[name], np.float32) for name in ORDER)
    mask = np.ascontiguousarray(observation["action_mask"], np.int8)
    N, K, V = seen[4].shape[:3]
    hold, pair, hour = np.empty(N), np.empty((N, K, V)), np.empty((N, HOURS))
    _forward(*weights, seen, mask, hold, pair, hour)
    return hold, pair, hour


@njit(cache=True, error_model="numpy")
def _forward(
    scalars: Any, scaling: Any, layers: Any, seen: Any, mask: Any, hold: Any, pair: Any, hour: Any
) -> None:
    soft, threshold, trust, send, choice = scalars
    users, candidates, variants, hours, pairs = seen
    (N, K, V, P), U = pairs.shape, users.shape[1]
    C, W = candidates.shape[2], variants.shape[2]
    hidden = layers[0][1].size
    context, given = np.empty(CONTEXT, np.float32), np.empty(OUTPUTS, np.float32)
    first, second = np.empty(hidden, np.float32), np.empty(hidden, np.float32)
    items, copy = np.empty(K, np.float32), np.empty(V, np.float32)
    sends, whens = np.empty(K * V, np.float32), np.empty(HOURS, np.float32)
    of_hour = P + C + W
    for n in range(N):
        item, variant, when = mask[n, :K], mask[n, K : K + V], mask[n, K + V :]
        k, v, some = _best(pairs[n], item, variant)
        top, ever = _MASKED, False
        for h in range(HOURS):
            if when[h] > 0:
                top, ever = max(top, hours[n, h, _HOUR_VALUE]), True
        can = _ONE if some and ever else _ZERO
        for f in range(U):
            context[f] = (users[n, f] - scaling[0][0][f]) / scaling[0][1][f]
        for p in range(P):
            context[U + p] = can * (pairs[n, k, v, p] - scaling[4][0][p]) / scaling[4][1][p]
        context[U + P] = can
        for f in range(CONTEXT):
            context[f] = min(max(context[f], -_CLAMP), _CLAMP)
        _layer(context, layers[0], first)
        _tanh(first)
        _layer(first, layers[1], second)
        _tanh(second)
        _layer(second, layers[2], given)
        _weigh(candidates[n], given[P : P + C], scaling[1], items)
        _weigh(variants[n], given[P + C : of_hour], scaling[2], copy)
        _weigh(hours[n], given[of_hour : OUTPUTS - 1], scaling[3], whens)
        _weigh(pairs[n].reshape(K * V, P), given[:P], scaling[4], sends)
        most, latest = _MASKED, _MASKED
        for m in range(K * V):
            a, b = m // V, m % V
            if item[a] > 0 and variant[b] > 0:
                sends[m] += trust * pairs[n, a, b, _VALUE] + items[a] + copy[b]
            else:
                sends[m] = _MASKED
            most = max(most, sends[m])
        for h in range(HOURS):
            if when[h] > 0:
                whens[h] += trust * (hours[n, h, _HOUR_VALUE] - top)
            else:
                whens[h] = _MASKED
            latest = max(latest, whens[h])
        hold[n] = threshold + given[OUTPUTS - 1]
        if soft > 0:
            margin = send * (most + latest - hold[n])
            total = _relative(sends, most, choice) + _relative(whens, latest, choice)
            hold[n] = total - margin if can > 0 else 0.0
        pair[n] = sends.reshape(K, V)
        hour[n] = whens


@njit(cache=True)
def _best(pairs: Any, item: Any, variant: Any) -> Any:
    """Item and variant of the allowed pair with the highest value, the first of equals, and
    whether there is any; else the first pair."""
    best, at, some = _MASKED, (0, 0), False
    for k in range(item.size):
        for v in range(variant.size):
            if item[k] > 0 and variant[v] > 0:
                some = True
                if pairs[k, v, _VALUE] > best:
                    best, at = pairs[k, v, _VALUE], (k, v)
    return at[0], at[1], some


@njit(cache=True)
def _layer(x: Any, layer: Any, out: Any) -> None:
    weight, bias = layer
    out[:] = bias
    for i in range(x.size):
        for j in range(out.size):
            out[j] += x[i] * weight[i, j]


@njit(cache=True, error_model="numpy")
def _tanh(x: Any) -> None:
    for j in range(x.size):
        x[j] = _ONE - _TWO / (exp32(_TWO * x[j]) + _ONE)


@njit(cache=True, error_model="numpy")
def _weigh(x: Any, weights: Any, scaling: Any, out: Any) -> None:
    """Fills inner products (M,) of scaled features (M, F) and weights (F,)."""
    center, scale = scaling
    out[:] = _ZERO
    for f in range(weights.size):
        weight = weights[f] / scale[f]
        for m in range(out.size):
            out[m] += weight * (x[m, f] - center[f])


@njit(cache=True)
def _relative(scores: Any, most: Any, choice: Any) -> Any:
    """Makes scores (M,) relative to their highest, times a factor; returns their log-sum-exp."""
    total = _ZERO
    for m in range(scores.size):
        scores[m] = choice * (scores[m] - most)
    for m in range(scores.size):
        total += exp32(scores[m])
    return math.log(total)
