"""Calibration of fitted heads: how sure they may be, and how high.

A head that was fitted to few outcomes is too sure of what it learned; the latest pushes, predicted
from the earlier ones, say by how much (the slope of Cox, 1958; Platt, 2000). And users are drawn
from a posterior when they are simulated: where a head is curved the mean over draws is not what
the mode predicts, so its level is set with draws.

Cox (1958). Two further applications of a model for binary regression. Biometrika 45.
Platt (2000). Probabilistic outputs for support vector machines. Advances in Large Margin
Classifiers.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mdp.response import HEADS
from simulator.fit_heads import predicted
from simulator.sends import UNSUBSCRIBE, Sends

SLOPE_WIDTH, SHIFT_WIDTH = 0.2, 0.2
"""Prior standard deviations of a slope around 1 and of a shift of the level around 0."""
DRAWS = 8
_TIMES = ("weekday", "hour", "weekday_hour")
_BY_HEAD = (*_TIMES, "special", "style", "item_effect", "variant_effect", "item_weight")


def slopes(sends: Sends, probability: np.ndarray) -> np.ndarray:
    """By what factor (5,) float64 each head's logits vary too much, from pushes that it was not
    fitted to: 1 for not at all, less for a head too sure of itself, never more than 1.

    probability: (S, 5) as predicted.
    """
    out = np.ones(len(HEADS))
    for head in range(len(HEADS)):
        asked = sends.asked[:, head]
        if asked.any():
            logit = _logit(probability[asked, head].astype(np.float64))
            outcome = sends.outcome[asked, head].astype(np.float64)
            out[head] = min(_slope(logit - logit.mean(), outcome), 1.0)
    return np.maximum(out, 0.0)


def calibrated(
    heads: dict[str, np.ndarray], sends: Sends, slope: np.ndarray, shift: np.ndarray | float = 0.0
) -> dict[str, np.ndarray]:
    """The heads' parameters with logits that vary by `slope` (5,) as much around their means, and
    are higher by `shift` (5,)."""
    middle = _logit(predicted(heads, sends).astype(np.float64)).mean(0)
    by_head = [name for name in heads if name.endswith("_weight") or name in _BY_HEAD]
    out = heads | {name: (heads[name] * slope).astype(np.float32) for name in by_head}
    base = slope * heads["base"] + (1.0 - slope) * middle + shift
    return out | {"base": base.astype(np.float32)}


def shifts(
    heads: dict[str, np.ndarray], sends: Sends, traits: np.ndarray, weight: np.ndarray | None = None
) -> np.ndarray:
    """By how much (5,) float64 the heads' logits must rise for their means over draws of users to
    agree with the later half of the pushes.

    traits: (U,) `TRAITS`, with the variances that users are drawn from. weight: how often each user
    counts (U,); None: once.
    """
    later = sends.only(sends.decided_at >= np.median(sends.decided_at))
    drawn = over_draws(heads, later, traits)
    times = np.ones(len(later.user)) if weight is None else weight[later.user]
    out = np.zeros(len(HEADS))
    for head in range(len(HEADS)):
        asked = later.asked[:, head]
        logit = _logit(drawn[asked, head])
        out[head] = _shift(logit, later.outcome[asked, head], times[asked])
    return out


def over_draws(
    heads: dict[str, np.ndarray], sends: Sends, traits: np.ndarray, stayed: bool = False
) -> np.ndarray:
    """Mean probabilities (S, 5) float64 over draws of the users.

    stayed: the pushes are all that users whose traits know of none of them ever got. Then draws
    count as likely as they had not unsubscribed before: who bears little gets few pushes.
    """
    rng = np.random.default_rng(0)
    total, weight = np.zeros((len(sends.user), len(HEADS))), np.zeros((len(sends.user), 1))
    for _ in range(DRAWS):
        users = {
            name: heads[name]
            + (np.sqrt(traits[f"{name}_var"]) * rng.normal(size=len(traits))).astype(np.float32)
            for name in ("openness", "tolerance")
        }
        # Item vectors are of length 1 or so; a user's pushes are of items that differ.
        noise = np.sqrt(traits["taste_var"][sends.user]) * rng.normal(size=len(sends.user))
        liking = (sends.liking + noise).astype(np.float32)
        drawn = predicted(heads | users, replace(sends, liking=liking))
        left = _stayed(sends, drawn[:, UNSUBSCRIBE])[:, None] if stayed else 1.0
        total, weight = total + left * drawn, weight + left
    return total / weight


def _stayed(sends: Sends, probability: np.ndarray) -> np.ndarray:
    """Probability (S,) float64 not to have unsubscribed before a push, by that of each (S,)."""
    order = np.lexsort((sends.decided_at, sends.user))
    user, stay = sends.user[order], np.log1p(-probability[order].astype(np.float64))
    before = stay.cumsum() - stay
    out = np.empty(len(order))
    out[order] = np.exp(before - before[np.searchsorted(user, user)])
    return out


def _logit(probability: np.ndarray) -> np.ndarray:
    p = np.clip(probability, 1e-9, 1.0 - 1e-9)
    return np.log(p / (1.0 - p))


def _slope(centred: np.ndarray, outcome: np.ndarray) -> float:
    """Maximum a posteriori of c in logit = level + c · centred, by Newton's method; a step that
    would lead downhill is halved."""
    rate = (outcome.sum() + 0.5) / (len(outcome) + 1.0)
    at = np.array([np.log(rate / (1.0 - rate)), 1.0])
    x = np.stack([np.ones(len(centred)), centred], 1)
    prior = np.diag([1e-6, 1.0 / SLOPE_WIDTH**2])

    def height(at: np.ndarray) -> float:
        logit = x @ at
        prior_height = 0.5 * ((at[1] - 1.0) / SLOPE_WIDTH) ** 2
        return float((outcome * logit - np.logaddexp(0.0, logit)).sum() - prior_height)

    here = height(at)
    for _ in range(25):
        p = 1.0 / (1.0 + np.exp(np.minimum(-(at[0] + at[1] * centred), 700.0)))
        gradient = x.T @ (outcome - p) - prior @ np.array([0.0, at[1] - 1.0])
        step = np.linalg.solve((x * (p * (1.0 - p))[:, None]).T @ x + prior, gradient)
        for _ in range(50):
            if (there := height(at + step)) >= here - 1e-9 * abs(here):
                break
            step = step / 2.0
        at, here = at + step, there
    return float(at[1])


def _shift(logit: np.ndarray, outcome: np.ndarray, times: np.ndarray) -> float:
    """Maximum a posteriori of b in logit + b, by Newton's method; 0 for no pushes.

    times: how often each push counts.
    """
    shift = 0.0
    for _ in range(25):
        p = 1.0 / (1.0 + np.exp(-(logit + shift)))
        gradient = float((times * (outcome - p)).sum()) - shift / SHIFT_WIDTH**2
        shift += gradient / (float((times * p * (1.0 - p)).sum()) + 1.0 / SHIFT_WIDTH**2)
    return shift
