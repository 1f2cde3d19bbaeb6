"""Committing drafted decisions: one transaction that checks what was read, then writes all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, insert

from generation.copy.filling import filled
from mdp.catalog import Catalog
from mdp.clock import NEVER
from mdp.events import EVENT, Kind
from mdp.hashing import content_hash, new_hashes
from mdp.local_time import local_day, local_hour
from mdp.observation import SCHEMA
from mdp.state import HISTORY, apply
from serving.access import audit
from serving.budget import reserve
from serving.catalog import changed
from serving.delivery import PUSHWISE, deliverer
from serving.outbox import enqueue
from serving.prepared import Prepared
from serving.problems import Problem
from serving.registry import World
from serving.rows import inserting, rows_by_key
from serving.schemas import Ask, iso
from serving.scoring import Drawn
from serving.settings import Settings
from serving.store import Store, all_settings, writing
from serving.tables import CHANGES, DECISIONS, IDEMPOTENCY, SHADOWS, SNAPSHOTS
from serving.users import ABSENT, Stamp, User, read_stamps, write_users

Answer = dict[str, Any] | Problem
_HOLD, _SEND = int(Kind.HOLD), int(Kind.SEND)
_filled = lru_cache(maxsize=1 << 14)(filled)
_UPTO_HISTORY = User._fields.index("history")
_LOGGED = [column.name for column in DECISIONS.columns if column.name != "why"]
_DECISION = Prepared(insert(DECISIONS), _LOGGED)
_SNAPSHOT = Prepared(insert(SNAPSHOTS), [column.name for column in SNAPSHOTS.columns])


class Keyed(NamedTuple):
    """A request and its idempotency key."""

    ask: Ask
    key: str | None = None
    batch: str = ""
    """Hash of the batch that the request is one of."""
    trace: Any = None
    """Context of the request's span."""

    @property
    def hash(self) -> str:
        """Tells whether a key comes again with another request."""
        return content_hash(self.ask.model_dump(mode="json"), self.batch)


class Replayed(dict[str, Any]):
    """An answer that was given before for the same key."""


class Draft(NamedTuple):
    """A decision that is not committed yet."""

    keyed: Keyed
    user: User
    at: int
    drawn: Drawn
    world: World
    """Of the policy that decided."""
    arm: str = "policy"
    shadow: tuple[World, Drawn] | None = None
    who: str | None = None
    """The API key of an operator who asked for this very send, for the audit log."""
    told: Mapping[str, Any] | None = None
    """What the operator said."""


def commit(
    store: Store, world: World, drafts: Mapping[int, Draft], now: int, settings: Settings
) -> dict[int, dict[str, Any]]:
    """Commit the drafts whose user is as it was read; returns their answers by number.

    The others were overtaken by another decision or an event: they must be drawn again. None
    commits where the policy, the guardrails, the catalogue or the kill switch has changed.
    """
    ids = new_ids(now, len(drafts))
    rows = {
        n: decision_row(draft, name) for (n, draft), name in zip(drafts.items(), ids, strict=True)
    }
    names = {draft.user.user_id for draft in drafts.values()}
    keys = {key for draft in drafts.values() if (key := draft.keyed.key)}
    with writing(store, names | {f"key:{key}" for key in keys}) as connection:
        if all_settings(connection) != world.values:
            return {}
        stored = read_stamps(connection, names)
        taken = rows_by_key(connection, IDEMPOTENCY, keys) if keys else {}
        kept = {
            n: draft
            for n, draft in drafts.items()
            if stored.get(draft.user.user_id, ABSENT).version == draft.user.version
            and draft.keyed.key not in taken
        }
        if draws := [n for n, draft in kept.items() if draft.arm != "critical"]:
            within = reserve(connection, world.values, [rows[n]["send_at"] for n in draws])
            for n in [n for n, ok in zip(draws, within, strict=True) if not ok]:
                del kept[n]
        if not kept:
            return {}
        answers = {n: answer(drafts[n].user, rows[n]) for n in kept}
        decided = [(kept[n], rows[n]) for n in kept]
        write_users(connection, _moved_on(decided))
        moved = [row for draft in kept.values() for row in _zone_changes(stored, draft)]
        if moved:
            connection.execute(insert(CHANGES), moved)
        _DECISION.run(connection, [tuple(row.values()) for _, row in decided])
        for draft, row in decided:
            if draft.who is not None:
                detail = {"decision_id": row["decision_id"], **(draft.told or {})}
                audit(connection, now, draft.who, draft.arm, detail)
        _keep_shadows(connection, decided)
        if deliverer(world.values) == PUSHWISE:
            enqueue(connection, [row for _, row in decided])
        if settings.snapshot_days > 0:
            _keep_snapshots(connection, decided)
        keep_answers(connection, [(kept[n].keyed, answers[n]) for n in kept], now)
    return answers


def keep_answers(
    connection: Connection, given: Iterable[tuple[Keyed, dict[str, Any]]], now: int
) -> None:
    """Store the answers of requests that bring a key."""
    rows = [
        {
            "key": keyed.key,
            "request": keyed.hash,
            "response": response,
            "at": now,
            "user_id": keyed.ask.user_id,
        }
        for keyed, response in given
        if keyed.key
    ]
    if rows:
        # Another worker may have answered the same repeated hold meanwhile, with the same words.
        connection.execute(inserting(connection, IDEMPOTENCY).on_conflict_do_nothing(), rows)


def _keep_snapshots(
    connection: Connection, decided: Sequence[tuple[Draft, Mapping[str, Any]]]
) -> None:
    rows = [
        (row["decision_id"], draft.at, draft.drawn.snapshot)
        for draft, row in decided
        if draft.drawn.snapshot is not None
    ]
    _SNAPSHOT.run(connection, rows)


def _keep_shadows(
    connection: Connection, decided: Sequence[tuple[Draft, Mapping[str, Any]]]
) -> None:
    rows = []
    for draft, row in decided:
        if draft.shadow is not None:
            world, drawn = draft.shadow
            send = drawn.item >= 0
            rows.append(
                {
                    "decision_id": row["decision_id"],
                    "policy": world.name,
                    "item_id": world.catalog.items.ids[drawn.item] if send else None,
                    "variant_id": world.catalog.variants.ids[drawn.variant] if send else None,
                    "send_at": drawn.send_at,
                    "propensity": drawn.propensity,
                }
            )
    if rows:
        connection.execute(insert(SHADOWS), rows)


def _zone_changes(stored: Mapping[str, Stamp], draft: Draft) -> list[dict[str, Any]]:
    """The row of `changes` for a known user whom the request put in another time zone."""
    user = draft.user
    if user.is_new:
        return []
    before = {"timezone": stored[user.user_id].timezone}
    return changed("users", user.user_id, before, {"timezone": user.timezone}, draft.at)


def decision_row(draft: Draft, decision_id: str | None) -> dict[str, Any]:
    """The row of the `decisions` table, in the order of its columns."""
    drawn, world = draft.drawn, draft.world
    catalog = world.catalog
    sent = drawn.item >= 0
    items, copy = catalog.items, catalog.variants
    return {
        "decision_id": decision_id,
        "user_id": draft.user.user_id,
        "decided_at": draft.at,
        "item_id": items.ids[drawn.item] if sent else None,
        "variant_id": copy.ids[drawn.variant] if sent else None,
        "send_at": drawn.send_at,
        "propensity": drawn.propensity,
        "policy": world.name,
        "candidates": drawn.candidates or None,
        "variants": drawn.variants or None,
        "hours": drawn.hours or None,
        "turn": _turn(draft.user, draft.at),
        "arm": draft.arm,
        "reason": drawn.reason,
        "schema": SCHEMA,
        "policy_hash": world.bundle.hash,
        "rules_hash": world.rules_hash,
        "title": _text(copy.titles, catalog, drawn) if sent else None,
        "body": _text(copy.bodies, catalog, drawn) if sent else None,
        "nth": draft.user.decisions + 1,
    }


def new_ids(at: int, count: int) -> list[str]:
    """Ids that sort by their instant, so that indexes grow at their end: 48 bits of milliseconds,
    then 80 random ones (as in UUIDs of version 7, RFC 9562)."""
    start, ends = ids_from(at), os.urandom(10 * count).hex()
    return [start + ends[n : n + 20] for n in range(0, len(ends), 20)]


def ids_from(at: int) -> str:
    """Where the ids of an instant begin."""
    return (at // 1000).to_bytes(6, "big").hex()


def _text(templates: Sequence[str], catalog: Catalog, drawn: Drawn) -> str:
    """The drawn variant's title or body about the drawn item."""
    items, row = catalog.items, drawn.item
    return _filled(
        templates[drawn.variant],
        items.titles[row] or items.ids[row],
        float(items.price[row]),
        items.brands[row],
        items.categories[row],
        catalog.currency,
        catalog.variants.locales[drawn.variant],
    )


def _turn(user: User, at: int) -> int:
    """How many decisions the user has had on this local date."""
    if user.last_decision is None:
        return 0
    return user.turn + 1 if same_day(user, int(user.state["decided_at"]), at) else 0


def same_day(user: User, first: int, second: int) -> bool:
    """Whether two instants fall on one date of the user's clock."""
    days = local_day(np.array([first, second], np.int64), np.full(2, user.zone, np.int16))
    return bool(days[0] == days[1])


def _moved_on(decided: list[tuple[Draft, dict[str, Any]]]) -> list[User]:
    """The users with their decisions applied to their histories."""
    users = [draft.user for draft, _ in decided]
    data = bytearray().join([user.history for user in users])
    histories = np.frombuffer(data, HISTORY)
    hashes = new_hashes(row["decision_id"] for _, row in decided).tolist()
    at = np.array([draft.at for draft, _ in decided], np.int64)
    zones = np.array([user.zone for user in users], np.int16)
    whole = zip(decided, hashes, local_hour(at, zones).tolist(), strict=True)
    events = np.array([_event(draft, name, hour) for (draft, _), name, hour in whole], EVENT)
    apply(histories, np.arange(len(decided)), events)
    size = HISTORY.itemsize
    return [
        User._make(  # in half the time that `_replace` takes
            (
                *user[:_UPTO_HISTORY],
                data[n * size : (n + 1) * size],
                user.version,
                row["decision_id"],
                row["turn"],
                row["nth"],
            )
        )
        for n, (user, (_, row)) in enumerate(zip(users, decided, strict=True))
    ]


def _event(draft: Draft, decision: int, hour: int) -> tuple[Any, ...]:
    """A decision as an `EVENT`; decision: hash of its id."""
    drawn, catalog = draft.drawn, draft.world.catalog
    if drawn.item < 0:
        return draft.at, _HOLD, decision, 0, decision, NEVER, 0.0, -1, hour
    item, style = catalog.items.hashes[drawn.item], catalog.variants.buckets[drawn.variant]
    return draft.at, _SEND, decision, item, decision, drawn.send_at, 0.0, style, hour


def answer(user: User, row: Mapping[Any, Any], repeated: bool = False) -> dict[str, Any]:
    """What a client gets for a decision."""
    sent = row["item_id"] is not None
    return {
        "decision_id": row["decision_id"],
        "user_id": row["user_id"],
        "action": "send" if sent else "hold",
        "item_id": row["item_id"],
        "variant_id": row["variant_id"],
        "title": row["title"],
        "body": row["body"],
        "decided_at": iso(row["decided_at"]),
        "send_at": iso(row["send_at"]) if sent else None,
        "propensity": row["propensity"],
        "policy": row["policy"],
        "arm": row["arm"],
        "reason": row["reason"],
        "cold_start": met_by(user, row) if repeated else user.is_new,
        "repeated": repeated,
    }


def met_by(user: User, row: Mapping[Any, Any]) -> bool:
    """Whether a decision that is in the store is the one by which a user became known: then they
    signed up at its instant (`new_user`)."""
    return bool(user.signed_up_at == row["decided_at"])
