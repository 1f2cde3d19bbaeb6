"""Observation: what a policy sees of a decision, the same arrays everywhere.

`observe` is the one way from stored state to observation and mask, called by the environments,
by evaluation on replayed logs and by the server. Rows don't depend on one another, so a decision
is seen the same alone and in a batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np

from mdp.additive import TOGETHER
from mdp.believing import believe_all
from mdp.catalog import Catalog
from mdp.clock import zone_tables
from mdp.facing import face_all, see_all
from mdp.guardrails import Guardrails, Reason, limits, risk_limits
from mdp.hashing import content_hash
from mdp.masking import Mask
from mdp.predicting import prediction_scratch
from mdp.prediction import (
    PARTS,
    Prediction,
    heads_first,
    weights_of,
)
from mdp.recency import Recency, rates_of
from mdp.response import HEADS, BoundModel, Response, Terms
from mdp.reward import Reward
from mdp.state import COUNTS, HALF_LIVES, HISTORY, STYLE_COUNTS, TRAITS

Observation = dict[str, np.ndarray]
LIMIT = 1e6
"""Observations are cut here, so that their space is bounded; nothing usual comes near."""

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


def _schema(reasons: Sequence[str]) -> str:
    return content_hash(
        [str(HISTORY.descr), str(TRAITS.descr)],
        {name: list(names) for name, names in NAMES.items()},
        [field.name for field in fields(Reward)],
        list(reasons),
        list(HEADS),
    )


SCHEMA = _schema([reason.name for reason in Reason])
"""Hash of all that an artifact must agree on with this code."""
READABLE = (SCHEMA, _schema([r.name for r in Reason if r is not Reason.UNSUBSCRIBE_RISK]))
"""Schemas of the artifacts that can be read: also the one before the ceiling on unsubscribe risk,
which those artifacts lack and which is off by default."""


_OPEN = np.zeros((0, 24), np.uint8)
_ALIGNED = 64
"""Arrays of a sheet begin at multiples of as many bytes, a line of the processor's cache."""


def new_memory(size: int) -> np.ndarray:
    """Bytes (size,) uint8 with anything in them."""
    return np.empty(size, np.uint8)


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


@dataclass(frozen=True)
class Sheet:
    """All that is written down about N decisions with K candidates and V variants, as arrays that
    lie in one block of memory."""

    send_at: np.ndarray
    items: np.ndarray
    """Candidates (N, K) int32: those of the request, or what is allowed of them first."""
    item_reason: np.ndarray
    hour_reason: np.ndarray
    recency: Recency
    best_hour: np.ndarray
    hour_value: np.ndarray
    base_terms: np.ndarray
    """(N, H); the other terms (N, H, M)."""
    item_terms: np.ndarray
    variant_terms: np.ndarray
    hour_terms: np.ndarray
    observation: Observation

    @classmethod
    def blank(
        cls, N: int, K: int, V: int, memory: Callable[[int], np.ndarray] = new_memory
    ) -> Sheet:
        """Arrays with anything in them; memory: gives n bytes (n,) uint8."""
        size, places = _layout(N, K, V)
        block = memory(size)
        skipped = -block.ctypes.data % _ALIGNED
        arrays = {
            name: np.ndarray(shape, kind, block, skipped + place)
            for name, shape, kind, place in places
        }
        recency = Recency(*(arrays.pop(name) for name in _RECENCY))
        observation = {name: arrays.pop(name) for name in _OBSERVED}
        return cls(recency=recency, observation=observation, **arrays)


_RECENCY = tuple(part.name for part in fields(Recency))
_OBSERVED = (*NAMES, "action_mask")


@lru_cache(maxsize=64)
def _layout(
    N: int, K: int, V: int
) -> tuple[int, list[tuple[str, tuple[int, ...], np.dtype[Any], int]]]:
    """Bytes that a sheet takes, and each array's name, shape, type and place."""
    H = len(HEADS)
    lists = {"user": (), "candidates": (K,), "variants": (V,), "hours": (24,), "pairs": (K, V)}
    observed = {name: ((*shape, len(NAMES[name])), "f4") for name, shape in lists.items()}
    shapes: dict[str, tuple[tuple[int, ...], str]] = {
        "send_at": ((24,), "i8"),
        "best_hour": ((), "i8"),
        "items": ((K,), "i4"),
        "fatigue": ((), "f4"),
        **dict.fromkeys(("repetition", "bought", "views"), ((K,), "f4")),
        "wear": ((V,), "f4"),
        "hour_value": ((24,), "f4"),
        "base_terms": ((H,), "f4"),
        "item_terms": ((H, K), "f4"),
        "variant_terms": ((H, V), "f4"),
        "hour_terms": ((H, 24), "f4"),
        **observed,
        "action_mask": ((K + V + 24,), "i1"),
        "item_reason": ((K,), "u1"),
        "hour_reason": ((24,), "u1"),
    }
    size, places = 0, []
    for name, (shape, kind) in shapes.items():
        places.append((name, (N, *shape), np.dtype(kind), size))
        taken = N * math.prod(shape) * np.dtype(kind).itemsize
        size += -(-taken // _ALIGNED) * _ALIGNED
    return size + _ALIGNED, places


def _read_only(array: np.ndarray) -> np.ndarray:
    """A view that may not be written. To a compiler such an array is of another type: where a log
    or a store gives the one kind and a simulator the other, all that is seen of a decision would
    be compiled for each, which takes half a minute."""
    view = array.view()
    view.flags.writeable = False
    return view


def observe(
    requests: Requests,
    catalog: Catalog,
    guardrails: Guardrails,
    reward: Reward,
    model: Response | None = None,
    traits: np.ndarray | None = None,
    closed: np.ndarray | None = None,
) -> View:
    """The view of N decisions. Raises `BadSetting` for a ceiling on unsubscribe risk and no model.

    model: a response model bound to the same catalogue, with the traits (N,) `TRAITS` that it
    believes; without one the features that predict are 0. closed: reasons (N, 24) uint8 against
    hours that guardrails allow, 0 for none.
    """
    (N, K), V = requests.items.shape, requests.variants.shape[1]
    sheet = Sheet.blank(N, K, V)
    return seen(sheet, requests, True, catalog, guardrails, reward, model, traits, closed)


def seen(
    sheet: Sheet,
    requests: Requests,
    given: bool,
    catalog: Catalog,
    guardrails: Guardrails,
    reward: Reward,
    model: Response | None,
    traits: np.ndarray | None,
    closed: np.ndarray | None = None,
) -> View:
    """`observe` into a sheet. given: whether the candidates' reasons are; otherwise time and stock
    give them, and in the sheet candidates that are allowed come first and the others are left
    out."""
    at, table, zones = requests.decided_at, catalog.items, zone_tables()
    recency, shown = sheet.recency, sheet.observation
    items, copy = np.ascontiguousarray(requests.items), np.ascontiguousarray(requests.variants)
    allowed = Mask(sheet.item_reason, requests.variant_reason, sheet.hour_reason, sheet.send_at)
    facing = (
        (_read_only(requests.histories), at, requests.zone),
        (items, requests.item_reason, given),
        (copy, requests.variant_reason),
        (
            table.hashes,
            _read_only(table.available_until),
            table.stock,
            table.shown,
            catalog.variants.buckets,
        ),
        zones,
        zones[0].copy(),
        limits(guardrails),
        _OPEN if closed is None else closed,
        rates_of(PLAIN_HALF_LIVES if model is None else model.half_lives),
        np.empty(TOGETHER, HISTORY),
        (sheet.items, sheet.item_reason, sheet.hour_reason, sheet.send_at),
        (recency.fatigue, recency.repetition, recency.wear, recency.bought, recency.views),
        tuple(shown[name] for name in ("user", "candidates", "variants", "hours", "action_mask")),
    )
    ceiling = guardrails.unsubscribe_ceiling
    if model is None:
        guardrails.need_no_model()
        face_all(*facing)
        shown["pairs"][:] = 0.0
        return View(shown, allowed, None, None)
    believed = np.zeros(len(at), TRAITS) if traits is None else traits
    weights = weights_of(reward)
    predicted, risk = (sheet.best_hour, sheet.hour_value), risk_limits(ceiling)
    if isinstance(model, BoundModel):
        adding = (sheet.base_terms, sheet.item_terms, sheet.variant_terms, sheet.hour_terms)
        item, variant, hour = (part.transpose(0, 2, 1) for part in adding[1:])
        terms = Terms(sheet.base_terms, item, variant, hour, recency)
        see_all(
            *facing,
            believed,
            model.parameters,
            (*adding, terms.cloglog),
            table.worth,
            weights,
            predicted,
            shown["pairs"],
            LIMIT,
            risk,
        )
    else:
        face_all(*facing)
        terms = model.terms(
            requests.histories, believed, sheet.items, copy, at, requests.zone, recency
        )
        believe_all(
            believed,
            (sheet.items, copy),
            heads_first(terms),
            (sheet.item_reason, requests.variant_reason, sheet.hour_reason, sheet.send_at),
            table.worth,
            weights,
            prediction_scratch(len(HEADS), sheet.items.shape[1], copy.shape[1]),
            (recency.fatigue, recency.wear),
            predicted,
            tuple(shown[name] for name in NAMES),
            LIMIT,
            risk,
            shown["action_mask"],
        )
    prediction = Prediction(sheet.best_hour, shown["pairs"], sheet.hour_value)
    return View(shown, allowed, terms, prediction)
