"""Observation: what a policy sees of a decision, the same arrays everywhere.

`observe` is the one way from stored state to observation and mask, called by the environments,
by evaluation on replayed logs and by the server. Rows don't depend on one another, so a decision
is seen the same alone and in a batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numba import njit

from mdp.catalog import Catalog
from mdp.clock import DAY, NEVER, local_day
from mdp.exponential import log32
from mdp.guardrails import Guardrails, Mask, Reason, mask
from mdp.hashing import content_hash
from mdp.prediction import PARTS, Prediction, predict
from mdp.recency import recency_of
from mdp.response import HEADS, Response, Terms
from mdp.reward import Reward
from mdp.state import (
    COUNTS,
    HALF_LIVES,
    HISTORY,
    RING,
    STYLE_COUNTS,
    TRAITS,
    features,
)

Observation = dict[str, np.ndarray]
_ONE = np.float32(1.0)
_LANES = 32
"""Compiled loops take as many numbers together; what is left over would be done one by one."""

USER = (
    *(f"{count}_{days:g}d" for count in COUNTS for days in HALF_LIVES),
    "days_known",
    "days_since_send",
    "weekday_sin",
    "weekday_cos",
    "fatigue",
    "strain",
    "openness",
    "tolerance",
    "price_sensitivity",
    "openness_var",
    "tolerance_var",
    "habit_mean",
    "habit_spread",
    "habit_high",
    "fitted",
    "best_value",
)
CANDIDATE = ("log_price", "discount", "margin", "rank", "repetition", "bought", "views", "logit")
VARIANT = (*(f"style_{count}" for count in STYLE_COUNTS), "wear", "logit")
HOUR = ("activity", "send_in_days", "logit", "value")
NAMES = {"user": USER, "candidates": CANDIDATE, "variants": VARIANT, "hours": HOUR, "pairs": PARTS}
"""Names of the last axis of each array of an observation, in order."""
PLAIN_HALF_LIVES = np.array([7.0, 7.0, 14.0, 30.0], np.float32)
"""Half-lives of recency where there is no model to say its own."""

SCHEMA = content_hash(
    [str(HISTORY.descr), str(TRAITS.descr)],
    {name: list(names) for name, names in NAMES.items()},
    [field.name for field in fields(Reward)],
    [reason.name for reason in Reason],
    list(HEADS),
)
"""Hash of all that an artifact must agree on with this code."""


@dataclass(frozen=True)
class Requests:
    """N decisions to make, before any model has looked at them."""

    histories: np.ndarray
    """The users' states (N,) `HISTORY`, all events before the decision applied."""
    decided_at: np.ndarray
    """(N,) int64, microseconds UTC."""
    zone: np.ndarray
    """(N,) int16 zone codes."""
    items: np.ndarray
    """Candidates (N, K) int32, catalogue rows, -1 for padding."""
    variants: np.ndarray
    """Copy variants (N, V) int32, catalogue rows, -1 for padding."""
    item_reason: np.ndarray
    """(N, K) uint8, from `catalog_reasons`."""
    variant_reason: np.ndarray
    """(N, V) uint8, from `catalog_reasons`."""


@dataclass(frozen=True)
class View:
    """A decision as seen: the observation, and what explains it."""

    observation: Observation
    mask: Mask
    terms: Terms | None
    """None without a model."""
    prediction: Prediction | None


def observe(
    requests: Requests,
    catalog: Catalog,
    guardrails: Guardrails,
    reward: Reward,
    model: Response | None = None,
    traits: np.ndarray | None = None,
) -> View:
    """The view of N decisions.

    model: a response model bound to the same catalogue, with the traits (N,) `TRAITS` that it
    believes; without one the features that predict are 0.
    """
    items = requests.items
    states = features(requests.histories, requests.decided_at)
    allowed = mask(
        guardrails,
        states,
        requests.decided_at,
        requests.zone,
        _take(catalog.items.hashes, items),
        _take(catalog.items.available_until, items),
        requests.item_reason,
        requests.variant_reason,
    )
    return seen(requests, states, allowed, catalog, reward, model, traits)


def seen(
    requests: Requests,
    states: np.ndarray,
    allowed: Mask,
    catalog: Catalog,
    reward: Reward,
    model: Response | None = None,
    traits: np.ndarray | None = None,
) -> View:
    """`observe` for one who has the users' states at the decisions (N,) `HISTORY` and the mask."""
    at, zone, items = requests.decided_at, requests.zone, requests.items
    believed = np.zeros(len(at), TRAITS) if traits is None else traits
    terms, prediction = None, None
    if model is not None:
        terms = model.terms(states, believed, items, requests.variants, at, zone)
        margin_value = _take(catalog.items.margin * catalog.items.price, items)
        prediction = predict(
            terms, allowed.item, allowed.variant, allowed.hour, margin_value, reward
        )
    observation = {
        "user": _user(states, believed, at, zone, terms, prediction),
        "candidates": _candidates(requests, states, catalog, terms),
        "variants": _variants(requests, states, catalog, terms),
        "hours": _hours(states, at, allowed, terms, prediction),
        "pairs": _pairs(requests, prediction),
        "action_mask": allowed.allowed,
    }
    return View(observation, allowed, terms, prediction)


def _take(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`values[rows]`, zero where a row is -1."""
    return np.append(values, np.zeros(1, values.dtype))[rows]


def _user(
    states: np.ndarray,
    traits: np.ndarray,
    at: np.ndarray,
    zone: np.ndarray,
    terms: Terms | None,
    prediction: Prediction | None,
) -> np.ndarray:
    out = np.zeros((len(at), len(USER)), np.float32)
    _plain(states, at, local_day(at, zone), out)
    if terms is not None and prediction is not None:
        _believed(traits, terms.recency.fatigue, prediction.best_hour, prediction.hour, out)
    return out


@njit(cache=True)
def _plain(states: Any, at: Any, day: Any, out: Any) -> None:
    """What needs no model: logarithms of counts and days, and the weekday."""
    C, L = len(COUNTS), len(HALF_LIVES)
    angle = 2 * math.pi * np.arange(7) / 7
    sin, cos = np.sin(angle), np.cos(angle)
    logs = np.ones(-(-(C * L + 2) // _LANES) * _LANES, np.float32)
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
        weekday = (day[n] + 3) % 7
        out[n, C * L + 2], out[n, C * L + 3] = sin[weekday], cos[weekday]


@njit(cache=True)
def _believed(traits: Any, fatigue: Any, best_hour: Any, hour_value: Any, out: Any) -> None:
    """What a model believes of the user and of the best push."""
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
        if best_hour[n] >= 0:
            out[n, first + 11] = hour_value[n].max()


def _candidates(
    requests: Requests, states: np.ndarray, catalog: Catalog, terms: Terms | None
) -> np.ndarray:
    rows, table = requests.items, catalog.items
    N, K = rows.shape
    if terms is None:
        recency = recency_of(
            states,
            requests.decided_at,
            rows,
            requests.variants,
            table.hashes,
            catalog.variants.buckets,
            PLAIN_HALF_LIVES,
        )
    else:
        recency = terms.recency
    logits = np.zeros((N, K, 1), np.float32) if terms is None else terms.item
    out = np.zeros((N, K, len(CANDIDATE)), np.float32)
    _each_candidate(
        rows, table.shown, recency.repetition, recency.bought, recency.views, logits, out
    )
    return out


@njit(cache=True)
def _each_candidate(
    rows: Any, own: Any, repetition: Any, bought: Any, views: Any, logits: Any, out: Any
) -> None:
    for n in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            row = rows[n, k]
            if row < 0:
                continue
            for i in range(3):
                out[n, k, i] = own[row, i]
            out[n, k, 3] = 1.0 / (1.0 + k)
            out[n, k, 4] = repetition[n, k]
            out[n, k, 5] = bought[n, k]
            out[n, k, 6] = views[n, k]
            out[n, k, 7] = logits[n, k, 0]


def _variants(
    requests: Requests, states: np.ndarray, catalog: Catalog, terms: Terms | None
) -> np.ndarray:
    rows, bucket = requests.variants, catalog.variants.buckets
    out = np.zeros((*rows.shape, len(VARIANT)), np.float32)
    _each_variant(states, rows, bucket, out)
    if terms is not None:
        _believed_variants(rows, terms.recency.wear, terms.variant, out)
    return out


@njit(cache=True)
def _each_variant(states: Any, rows: Any, bucket: Any, out: Any) -> None:
    S = len(STYLE_COUNTS)
    logs = np.ones(-(-rows.shape[1] * S // _LANES) * _LANES, np.float32)
    for n in range(rows.shape[0]):
        state = states[n]
        for v in range(rows.shape[1]):
            for i in range(S):
                known = rows[n, v] >= 0
                logs[v * S + i] = _ONE + state.styles[i, bucket[rows[n, v]]] if known else _ONE
        for i in range(logs.size):
            logs[i] = log32(logs[i])
        for v in range(rows.shape[1]):
            for i in range(S):
                out[n, v, i] = logs[v * S + i]


@njit(cache=True)
def _believed_variants(rows: Any, wear: Any, logits: Any, out: Any) -> None:
    first = len(STYLE_COUNTS)
    for n in range(rows.shape[0]):
        for v in range(rows.shape[1]):
            if rows[n, v] >= 0:
                out[n, v, first], out[n, v, first + 1] = wear[n, v], logits[n, v, 0]


def _hours(
    states: np.ndarray,
    at: np.ndarray,
    allowed: Mask,
    terms: Terms | None,
    prediction: Prediction | None,
) -> np.ndarray:
    N = len(at)
    out = np.zeros((N, 24, len(HOUR)), np.float32)
    logits = np.zeros((N, 24, 1), np.float32) if terms is None else terms.hour
    values = np.zeros((N, 24), np.float32) if prediction is None else prediction.hour
    _each_hour(states, at, allowed.send_at, logits, values, out)
    return out


@njit(cache=True)
def _each_hour(states: Any, at: Any, send_at: Any, logits: Any, values: Any, out: Any) -> None:
    for n in range(at.size):
        state = states[n]
        total = np.float32(1.0)
        for hour in range(24):
            total += state.activity[hour]
        for hour in range(24):
            if send_at[n, hour] != NEVER:
                out[n, hour, 0] = state.activity[hour] / total
                out[n, hour, 1] = (send_at[n, hour] - at[n]) / DAY
                out[n, hour, 2] = logits[n, hour, 0]
                out[n, hour, 3] = values[n, hour]


def _pairs(requests: Requests, prediction: Prediction | None) -> np.ndarray:
    if prediction is not None:
        return prediction.pair
    N, K = requests.items.shape
    return np.zeros((N, K, requests.variants.shape[1], len(PARTS)), np.float32)
