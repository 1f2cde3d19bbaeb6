"""Observation: what a policy sees of a decision, the same arrays everywhere.

`observe` is the one way from stored state to observation and mask, called by the environments,
by evaluation on replayed logs and by the server. Rows don't depend on one another, so a decision
is seen the same alone and in a batch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from mdp.catalog import Catalog
from mdp.clock import NEVER, local_day
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
    STYLE_COUNTS,
    TRAITS,
    days_since,
    features,
    log_counts,
)

Observation = dict[str, np.ndarray]

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
        np.where(items >= 0, _take(catalog.items.hashes, items), 0),
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
        margin_value = np.where(
            items >= 0,
            _take(catalog.items.margin, items) * _take(catalog.items.price, items),
            0.0,
        )
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
    """`values[rows]`, zeros where there is no catalogue at all."""
    return values[rows] if len(values) else np.zeros(rows.shape, values.dtype)


def _user(
    states: np.ndarray,
    traits: np.ndarray,
    at: np.ndarray,
    zone: np.ndarray,
    terms: Terms | None,
    prediction: Prediction | None,
) -> np.ndarray:
    out = np.zeros((len(at), len(USER)), np.float32)
    plain = len(COUNTS) * len(HALF_LIVES)
    out[:, :plain] = log_counts(states["counts"])
    sent_at = np.where(states["ring"]["send_at"] <= at[:, None], states["ring"]["send_at"], NEVER)
    angle = 2 * np.pi * ((local_day(at, zone) + 3) % 7) / 7
    columns = [
        np.log1p(days_since(at, states["first_at"], 0.0)),
        np.log1p(np.minimum(days_since(at, sent_at.max(1), 60.0), 60.0)),
        np.sin(angle),
        np.cos(angle),
    ]
    if terms is not None and prediction is not None:
        fatigue = terms.recency.fatigue
        best = np.where(prediction.best_hour >= 0, prediction.hour.max(1), 0.0)
        columns += [
            fatigue,
            fatigue * np.exp(-traits["tolerance"]),
            *(
                traits[name]
                for name in ("openness", "tolerance", "price", "openness_var", "tolerance_var")
            ),
            *traits["habit"].T,
            traits["known"],
            best,
        ]
    for i, column in enumerate(columns):
        out[:, plain + i] = column
    return out


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
    price = _take(table.price, rows)
    listed = np.maximum(_take(table.list_price, rows), price)
    out = np.stack(
        [
            np.log(np.maximum(price, 0.01)),
            1.0 - price / np.maximum(listed, 0.01),
            _take(table.margin, rows),
            np.broadcast_to(1.0 / (1.0 + np.arange(K)), (N, K)),
            recency.repetition,
            recency.bought,
            recency.views,
            np.zeros((N, K)) if terms is None else terms.item[:, :, 0],
        ],
        2,
    )
    return np.where(rows[:, :, None] >= 0, out, 0.0).astype(np.float32)


def _variants(
    requests: Requests, states: np.ndarray, catalog: Catalog, terms: Terms | None
) -> np.ndarray:
    rows = requests.variants
    bucket = _take(catalog.variants.buckets, rows)
    counts = np.take_along_axis(states["styles"], bucket[:, None, :].astype(np.int64), axis=2)
    zeros = np.zeros(rows.shape, np.float32)
    extra = [zeros, zeros] if terms is None else [terms.recency.wear, terms.variant[:, :, 0]]
    out = np.stack([*np.log1p(counts).transpose(1, 0, 2), *extra], 2)
    return np.where(rows[:, :, None] >= 0, out, 0.0).astype(np.float32)


def _hours(
    states: np.ndarray,
    at: np.ndarray,
    allowed: Mask,
    terms: Terms | None,
    prediction: Prediction | None,
) -> np.ndarray:
    activity = states["activity"]
    zeros = np.zeros(activity.shape, np.float32)
    out = np.stack(
        [
            activity / (1.0 + activity.sum(1, keepdims=True)),
            days_since(allowed.send_at, np.broadcast_to(at[:, None], activity.shape), 0.0),
            zeros if terms is None else terms.hour[:, :, 0],
            zeros if prediction is None else prediction.hour,
        ],
        2,
    )
    return np.where(allowed.send_at[:, :, None] == NEVER, 0.0, out).astype(np.float32)


def _pairs(requests: Requests, prediction: Prediction | None) -> np.ndarray:
    if prediction is not None:
        return prediction.pair
    N, K = requests.items.shape
    return np.zeros((N, K, requests.variants.shape[1], len(PARTS)), np.float32)
