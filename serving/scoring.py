"""From users and their lists to drawn actions: candidates, observation, policy, reasons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mdp.actions import HOURS, decode
from mdp.guardrails import Reason, risk_limits
from mdp.hashing import new_hashes
from mdp.local_time import local_hour, send_times
from mdp.masking import Mask
from mdp.observation import Requests, View, observe
from mdp.reasons import bound_reasons, copy_reasons, item_reasons
from mdp.state import HISTORY, TRAITS, features
from policies.composition import UNIFORMS
from serving.budget import SPENT, Budget
from serving.explaining import KILLED, reason_name
from serving.registry import World
from serving.snapshot import packed, taken_in_turns
from serving.users import User

CHUNK = 1024
"""Most decisions in one inference."""
PAIRS = 1 << 20
"""Most pairs of item and variant in one inference, which bounds its memory to some 200 MB."""
WHOLE_USER = (Reason.UNSUBSCRIBED, Reason.CONSENT, Reason.TIMEZONE_UNKNOWN)
"""Reasons that mask every item of a user."""
_NONE: frozenset[str] = frozenset()
Removed = dict[int, dict[str, dict[str, str]]]
"""By number of the question, as `serving.snapshot.Snapshot.removed` has it."""


class Question(NamedTuple):
    """A user to decide for, and what to choose among."""

    user: User
    at: int
    """Instant of the decision, microseconds UTC."""
    items: tuple[int, ...] | None
    """Catalogue rows; None: ask the recommender."""
    variants: tuple[int, ...] | None
    """Catalogue rows; None: all approved ones."""


class Drawn(NamedTuple):
    """What the policy drew for one question."""

    candidates: str
    """Items that the catalogue allowed, as a log writes lists."""
    variants: str
    """Copy that the catalogue allowed."""
    hours: str
    """Hours that the guardrails allowed."""
    item: int
    """Catalogue row; -1 for a hold."""
    variant: int
    """Catalogue row; -1 for a hold."""
    send_at: int | None
    propensity: float
    reason: str
    snapshot: bytearray | None = None
    """As `serving.snapshot` packs it."""


def draw(
    world: World,
    questions: Sequence[Question],
    rng: np.random.Generator,
    budget: Budget | None = None,
) -> list[Drawn]:
    """Draw an action for each question, in order."""
    out: list[Drawn] = []
    for start in range(0, len(questions), CHUNK):
        out += _draw(world, questions[start : start + CHUNK], rng, budget)
    return out


def _draw(
    world: World, questions: Sequence[Question], rng: np.random.Generator, budget: Budget | None
) -> list[Drawn]:
    requests, removed = requests_of(world, questions)
    most = max(1, PAIRS // (requests.items.shape[1] * requests.variants.shape[1]))
    if len(questions) > most:
        parts = [questions[start : start + most] for start in range(0, len(questions), most)]
        return [drawn for part in parts for drawn in _draw(world, part, rng, budget)]
    traits = _traits(world, [question.user for question in questions])
    view = _view(world, requests, traits, budget)
    turns = taken_in_turns(world.policy, view.observation, rng.random((len(questions), UNIFORMS)))
    slots = decode(turns.actions, requests.items.shape[1], requests.variants.shape[1])
    chosen = zip(*(slot.tolist() for slot in slots), turns.propensity.tolist(), strict=True)
    items, variants = requests.items.tolist(), requests.variants.tolist()
    item_lists = _listed(items, world.catalog.items.ids)
    variant_lists = _listed(variants, world.catalog.variants.ids)
    sizes = [(k, v) for (_, k), (_, v) in zip(item_lists, variant_lists, strict=True)]
    snapshots = packed(view, turns, sizes, removed)
    open_hours, send_at = (view.mask.hour == 0).tobytes(), view.mask.send_at
    out = []
    for n, (k, v, h, propensity) in enumerate(chosen):
        send = k >= 0
        out.append(
            Drawn(  # by place, which takes half the time
                item_lists[n][0],
                variant_lists[n][0],
                _hours(open_hours[n * HOURS : (n + 1) * HOURS]),
                items[n][k] if send else -1,
                variants[n][v] if send else -1,
                send_at.item(n, h) if send else None,
                propensity,
                "policy" if send or turns.sendable[n] else why_held(view.mask, n),
                snapshots[n],
            )
        )
    return out


def _traits(world: World, users: Sequence[User]) -> np.ndarray | None:
    """What the world's model believes of users (N,) `TRAITS`; None where it believes nothing."""
    believed = world.bundle.traits
    return None if believed is None else believed.rows(new_hashes(u.user_id for u in users))[0]


def is_risky(
    world: World, user: User, states: np.ndarray, item: int, variant: int, at: int
) -> bool:
    """Whether a send is above the ceiling on unsubscribe risk at an instant.

    states: the user's (1,) `HISTORY`, from `features` of that instant, the send not among them.
    item, variant: rows of the catalogue. What `mdp.masking.mask_risky` asks of all that may be
    sent, of this very send.
    """
    ceiling, model = world.guardrails.unsubscribe_ceiling, world.model
    if ceiling is None or model is None:
        return False
    traits, when = (
        _traits(world, [user]),
        (np.array([at], np.int64), np.array([user.zone], np.int16)),
    )
    believed = np.zeros(1, TRAITS) if traits is None else traits
    rows = np.array([[item]], np.int32), np.array([[variant]], np.int32)
    terms = model.terms(states, believed, *rows, *when)
    hour = int(local_hour(*when)[0])
    parts = terms.base[0], terms.item[0, 0], terms.variant[0, 0], terms.hour[0, hour]
    return bool(sum(part[-1] for part in parts) > risk_limits(ceiling)[int(terms.cloglog[-1])])


def _listed(lists: Sequence[list[int]], ids: Sequence[str]) -> list[tuple[str, int]]:
    """Lists of catalogue rows, whose padding is behind, as a log writes them, and their lengths.
    Of a group many are the same, such as all the copy that there is."""
    known: dict[tuple[int, ...], tuple[str, int]] = {}
    out = []
    for rows in map(tuple, lists):
        if (listed := known.get(rows)) is None:
            names = [ids[row] for row in rows if row >= 0]
            listed = known[rows] = "|".join(names), len(names)
        out.append(listed)
    return out


@lru_cache(maxsize=4096)
def _hours(allowed: bytes) -> str:
    """The hours that are allowed, of 24 booleans as bytes, as a log writes them."""
    return "|".join(str(hour) for hour, yes in enumerate(allowed) if yes)


def _view(
    world: World, requests: Requests, traits: np.ndarray | None, budget: Budget | None
) -> View:
    """`observe`, with the hours ruled out whose budget is spent."""
    closed = None
    if budget is not None:
        send_at, _ = send_times(requests.decided_at, requests.zone)
        closed = np.where(budget.spent(send_at), SPENT, 0).astype(np.uint8)
    return observe(
        requests,
        world.catalog,
        world.guardrails,
        world.bundle.reward,
        world.model,
        traits,
        closed,
    )


def requests_of(world: World, questions: Sequence[Question]) -> tuple[Requests, Removed]:
    """The decisions to make. What the catalogue forbids (no stock, copy for another locale, …) is
    left out of the lists, so the lists that the log keeps are those the policy chose among.

    Also what was left out and why: of copy, where nobody asked for any, only what is stopped, as
    all of the catalogue that is for others goes without saying.
    """
    histories = np.frombuffer(b"".join(q.user.history for q in questions), HISTORY)
    at = np.array([question.at for question in questions], np.int64)
    items = _items(world, questions, histories, at)
    variants = _padded([_variants(world, question) for question in questions])
    locales, segments, blocked = about([question.user for question in questions])
    item_reason = item_reasons(world.catalog, items, at, blocked)
    if world.stopped.lists:
        item_reason[np.append(world.stopped.items, False)[items]] = KILLED
    removed: Removed = defaultdict(dict)
    if item_reason.any():
        _note(removed, "items", world.catalog.items.ids, items, item_reason)
    items, item_reason = _allowed(items, item_reason)
    copy_reason = copy_reasons(world.catalog, variants, locales, segments)
    variant_reason = bound_reasons(world.catalog, items, variants, copy_reason)
    if world.stopped.lists:
        variant_reason[np.append(world.stopped.variants, False)[variants]] = KILLED
    if variant_reason.any():
        asked = np.array([[question.variants is not None] for question in questions])
        told = np.where(asked | (variant_reason == KILLED), variant_reason, Reason.ALLOWED)
        _note(removed, "variants", world.catalog.variants.ids, variants, told)
    variants, variant_reason = _allowed(variants, variant_reason)
    zone = np.array([question.user.zone for question in questions], np.int16)
    requests = Requests(histories, at, zone, items, variants, item_reason, variant_reason)
    return requests, removed


def _note(
    removed: Removed, kind: str, ids: Sequence[str], rows: np.ndarray, reason: np.ndarray
) -> None:
    """Write down which catalogue rows (N, K) have a reason (N, K) not to be listed."""
    numbers, places = np.nonzero((reason != Reason.ALLOWED) & (reason != Reason.PADDING))
    for n, place in zip(numbers.tolist(), places.tolist(), strict=True):
        removed[n].setdefault(kind, {})[ids[rows[n, place]]] = reason_name(int(reason[n, place]))


def _items(
    world: World, questions: Sequence[Question], histories: np.ndarray, at: np.ndarray
) -> np.ndarray:
    """Candidates (N, K): those given, else the recommender's."""
    asking = [n for n, question in enumerate(questions) if question.items is None]
    lists: list[Sequence[int]] = [question.items or () for question in questions]
    if asking and world.recommender is not None:
        users = new_hashes(questions[n].user.user_id for n in asking)
        states = features(histories[asking], at[asking])
        for n, rows in zip(
            asking, world.recommender.candidates(users, states, at[asking]), strict=True
        ):
            lists[n] = rows[rows >= 0].tolist()
    return _padded(lists)


def _variants(world: World, question: Question) -> Sequence[int]:
    return world.approved if question.variants is None else question.variants


def _padded(lists: Sequence[Sequence[int]]) -> np.ndarray:
    """Rows (N, longest list) int32, at least one column, -1 for padding."""
    width = max(1, *map(len, lists))
    if all(len(rows) == width for rows in lists):
        return np.array(lists, np.int32)
    out = np.full((len(lists), width), -1, np.int32)
    for n, rows in enumerate(lists):
        out[n, : len(rows)] = rows
    return out


def _allowed(rows: np.ndarray, reason: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The allowed rows moved to the front in their order, and their reasons: allowed, padding."""
    if not reason.any():
        return rows, reason
    order = np.argsort(reason != Reason.ALLOWED, axis=1, kind="stable")
    kept = np.take_along_axis(np.where(reason == Reason.ALLOWED, rows, -1), order, axis=1)
    kept = kept[:, : max(1, int((kept >= 0).sum(1).max()))]
    padding = np.where(kept < 0, Reason.PADDING, Reason.ALLOWED).astype(np.uint8)
    return kept, padding


def about(users: Sequence[User]) -> tuple[list[str], list[str], list[frozenset[str]]]:
    """Locales, segments and blocked categories, one a user."""
    return (
        [user.locale or "" for user in users],
        [str(user.attributes.get("segment") or "") for user in users],
        [blocked_categories(user.preferences) for user in users],
    )


def blocked_categories(preferences: str | None) -> frozenset[str]:
    """Categories that a user wants no push about: those with a minus sign in `a|-b`."""
    if not preferences:
        return _NONE
    return frozenset(word[1:] for word in preferences.split("|") if word.startswith("-"))


def why_held(masked: Mask, n: int) -> str:
    """The guardrail that left no send for decision `n`."""
    if (masked.item[n] != 0).all():
        for reason in (*WHOLE_USER, Reason.UNSUBSCRIBE_RISK):
            if (masked.item[n] == reason).any():
                return reason.name.lower()
        return "no_candidates"
    if (masked.variant[n] != 0).all():
        return "no_variants"
    codes = masked.hour[n][masked.hour[n] != Reason.QUIET_HOURS]
    most = np.bincount(codes).argmax() if len(codes) else Reason.QUIET_HOURS
    return reason_name(int(most))
