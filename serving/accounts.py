"""Users as the shop sees them: put, shown, exported, erased; and showing a decision."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from sqlalchemy import (
    Connection,
    Engine,
    String,
    delete,
    insert,
    select,
    type_coerce,
    update,
)

from mdp.clock import NEVER
from mdp.observation import USER
from mdp.state import FREE, HISTORY
from serving.access import audit
from serving.archived import absent, archives_of, forget_user
from serving.budget import RESERVES, release
from serving.cache import erased
from serving.catalog import changed
from serving.commit import answer, met_by
from serving.explaining import explanation
from serving.history import advanced, consent_event, rebuilt, whole_user
from serving.problems import Problem
from serving.replay import snapshot_data
from serving.schemas import UserIn, iso
from serving.sealing import UNREADABLE, Unreadable
from serving.settings import Settings
from serving.snapshot import Snapshot, unpack
from serving.store import count, reading, writing
from serving.tables import (
    ARCHIVED,
    AUDIT,
    CHANGES,
    DECISIONS,
    EVENTS,
    IDEMPOTENCY,
    OUTBOX,
    OUTCOMES,
    SHADOWS,
    SNAPSHOTS,
    STARTS,
    USERS,
)
from serving.users import User, check_readable, new_user, read_users, write_users

SHOWN = ("timezone", "consent", "locale", "preferences", "signed_up_at", "attributes")
TIMES = ("at", "decided_at", "send_at", "due_at", "next_at", "before")
"""Columns that hold instants."""


def put_user(
    engine: Engine, settings: Settings, user_id: str, body: UserIn, now: int
) -> dict[str, Any]:
    """Make a user, or change what is given; a change of consent counts from now on."""
    given = {name: value for name, value in body.model_dump().items() if value is not None}
    with writing(engine, [user_id]) as connection:
        old = whole_user(connection, user_id)
        if old is None:
            zone = given.pop("timezone", settings.default_timezone)
            consent = given.pop("consent", settings.unknown_consent)
            user = new_user(user_id, now, consent, zone)._replace(**given)
        else:
            check_readable(old)
            user = with_changes(connection, old, given, now)
        write_users(connection, [user])
    return shown(user._replace(version=user.version + 1))


def with_changes(connection: Connection, old: User, given: dict[str, Any], now: int) -> User:
    """A user with some columns changed from now on, which is written to `changes`."""
    if "consent" in given:
        given["consent"] = int(given["consent"])
    if "attributes" in given:
        given["attributes"] = {**old.attributes, **given["attributes"]}
    user = old._replace(**given)
    changes = changed("users", old.user_id, columns(old), columns(user), now)
    if changes:
        connection.execute(insert(CHANGES), changes)
    if user.timezone != old.timezone:  # events are counted by hour of the user's clock
        return rebuilt(connection, user)
    if user.consent != old.consent:
        event = consent_event(user.user_id, now, bool(user.consent))
        return advanced(connection, [user], {user.user_id: [event]})[0]
    return user


def columns(user: User) -> dict[str, Any]:
    """A user's columns in the log, attributes among them."""
    consent = None if user.consent is None else bool(user.consent)
    named = {name: getattr(user, name) for name in SHOWN[:-1]} | {"consent": consent}
    return {**user.attributes, **named}


def shown(user: User) -> dict[str, Any]:
    """A user as the API shows it."""
    state = user.state
    body = {name: getattr(user, name) for name in SHOWN}
    return {
        "user_id": user.user_id,
        **body,
        "consent": None if user.consent is None else bool(user.consent),
        "signed_up_at": iso(user.signed_up_at),
        "unsubscribed": bool(state["unsubscribed"]),
        "last_event_at": iso(int(state["last_at"])) if state["last_kind"] >= 0 else None,
        "version": user.version,
    }


def get_user(engine: Engine, user_id: str) -> dict[str, Any]:
    """A user; raises `Problem` for an unknown one, and one whose fields can't be read."""
    with reading(engine) as connection:
        user = whole_user(connection, user_id)
    if user is None:
        raise Problem(404, "user_id", f"there is no user {user_id!r}")
    check_readable(user)
    return shown(user)


def export_user(engine: Engine, user_id: str) -> dict[str, Any]:
    """A user with their state, all rows that are about them, and the archives that hold more;
    raises `Problem` for an unknown one, and one whose fields can't be read."""
    with reading(engine, whole=True) as connection:
        user = whole_user(connection, user_id)
        if user is None:
            raise Problem(404, "user_id", f"there is no user {user_id!r}")
        check_readable(user)
        own = select(DECISIONS.c.decision_id).where(DECISIONS.c.user_id == user_id)
        rows: dict[str, list[dict[str, Any]]] = {}
        for table, of in (
            (EVENTS, EVENTS.c.user_id == user_id),
            (DECISIONS, DECISIONS.c.user_id == user_id),
            (OUTCOMES, OUTCOMES.c.decision_id.in_(own)),
            (OUTBOX, OUTBOX.c.user_id == user_id),
            (CHANGES, (CHANGES.c.table == "users") & (CHANGES.c.id == user_id)),
            (SNAPSHOTS, SNAPSHOTS.c.decision_id.in_(own)),
            (SHADOWS, SHADOWS.c.decision_id.in_(own)),
            (IDEMPOTENCY, IDEMPOTENCY.c.user_id == user_id),
            (ARCHIVED, ARCHIVED.c.user_id == user_id),
            (STARTS, STARTS.c.user_id == user_id),
        ):
            found = connection.execute(select(table).where(of).order_by(*table.primary_key.columns))
            rows[f"{table.name}"] = [_plain(row) for row in found.mappings()]
        rows["audit"] = [_plain(row) for row in audited(connection, user_id)]
        archives = archives_of(connection, user_id)
    state = _state(user.history)
    return {"user": {**shown(user), "state": state}, **rows, "archives": archives}


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row for a reader: times as texts, states and snapshots by their fields; a value that no key
    opens is null and said to be."""
    out: dict[str, Any] = {}
    for name, value in row.items():
        if name in TIMES and value is not None:
            value = iso(value)
        elif name == "history":
            value = _state(value)
        elif name == "checksum":
            continue
        elif name == "data":
            value = seen(unpack(value))
        out[f"{name}"] = value
    closed = [name for name, value in out.items() if isinstance(value, Unreadable)]
    return {**out, **dict.fromkeys(closed), **({UNREADABLE: True} if closed else {})}


def _state(history: bytes) -> dict[str, Any]:
    """A `HISTORY` record by its fields; of what it remembers of sends and items, what is used."""
    state = np.frombuffer(history, HISTORY)[0]
    out = _fields(state)
    out["ring"] = [_fields(send) for send in state["ring"] if send["status"] != FREE]
    out["known"] = [_fields(item) for item in state["known"] if item["item"]]
    return out


def _fields(record: np.ndarray) -> dict[str, Any]:
    """Fields of a record () as JSON has them: instants as texts, null for never."""
    names = record.dtype.names or ()
    values = {name: record[name].tolist() for name in names if record[name].dtype.names is None}
    for name in [name for name in values if name == "at" or name.endswith("_at")]:
        values[name] = None if values[name] == NEVER else iso(values[name])
    return values


def erase_user(engine: Engine, user_id: str, now: int, who: str) -> None:
    """Delete a user with all events, decisions, outcomes, changes, stored answers and sends that
    wait, whose budget is given back; the audit log keeps that somebody was erased, not who. Raises
    `Problem` for an unknown one, and while an archive is being written."""
    with writing(engine, [user_id]) as connection:
        if user_id not in read_users(connection, [user_id]):
            raise Problem(404, "user_id", f"there is no user {user_id!r}")
        forget_user(connection, user_id)
        erased(connection, user_id)
        release(connection, _still_to_leave(connection, user_id, now))
        own = select(DECISIONS.c.decision_id).where(DECISIONS.c.user_id == user_id)
        gone = connection.execute(delete(OUTCOMES).where(OUTCOMES.c.decision_id.in_(own))).rowcount
        count(connection, "received", -gone)
        for table in (SNAPSHOTS, SHADOWS):
            connection.execute(delete(table).where(table.c.decision_id.in_(own)))
        for table in (IDEMPOTENCY, OUTBOX, EVENTS, DECISIONS, USERS):
            connection.execute(delete(table).where(table.c.user_id == user_id))
        connection.execute(
            delete(CHANGES).where(CHANGES.c.table == "users", CHANGES.c.id == user_id)
        )
        _forget_in_audit(connection, user_id)
        audit(connection, now, who, "erase user")


def _still_to_leave(connection: Connection, user_id: str, now: int) -> list[int]:
    """When a user's sends that have not left, and hold a place of the budget, were to leave."""
    waits = (OUTBOX.c.state == "waiting") | (DECISIONS.c.send_at > now)
    of = (
        select(DECISIONS.c.send_at)
        .outerjoin(OUTBOX, OUTBOX.c.decision_id == DECISIONS.c.decision_id)
        .where(DECISIONS.c.user_id == user_id, RESERVES, waits)
    )
    return list(connection.scalars(of))


def audited(connection: Connection, user_id: str) -> list[Mapping[Any, Any]]:
    """Rows of the audit log that name a user: of critical messages, and sends tried again or
    cancelled."""
    text = type_coerce(AUDIT.c.detail, String)
    named = text.contains(orjson.dumps({"user_id": user_id}).decode()[1:-1], autoescape=True)
    rows = connection.execute(select(AUDIT).where(named).order_by(AUDIT.c.number)).mappings()
    return [dict(row) for row in rows if row["detail"].get("user_id") == user_id]


def _forget_in_audit(connection: Connection, user_id: str) -> None:
    """Take a user's id, and what leads to them, out of the audit log; what was done stays."""
    word = re.compile(rf"(?<!\w){re.escape(user_id)}(?!\w)")
    for row in audited(connection, user_id):
        detail = {k: v for k, v in row["detail"].items() if k not in ("user_id", "decision_id")}
        if "reason" in detail:
            detail["reason"] = word.sub("(erased)", detail["reason"])
        mine = AUDIT.c.number == row["number"]
        connection.execute(update(AUDIT).where(mine).values(detail=detail))


def get_decision(engine: Engine, decision_id: str) -> dict[str, Any]:
    """A decision with its lists, why and its outcomes; raises `Problem` for an unknown one."""
    with reading(engine) as connection:
        row, outcomes = _decision(connection, decision_id)
        user = read_users(connection, [row["user_id"]])[row["user_id"]]
        data = snapshot_data(connection, decision_id)
    lists = {
        name: row[name].split("|") if row[name] else []
        for name in ("candidates", "variants", "hours")
    }
    return {
        **answer(user, row),
        "cold_start": met_by(user, row),
        **lists,
        "hours": [int(hour) for hour in lists["hours"]],
        **{name: row[name] for name in ("turn", "schema", "policy_hash", "rules_hash")},
        **_explained(row, lists, data),
        "outcomes": [
            {"outcome": o["outcome"], "at": iso(o["at"]), "value": o["value"]} for o in outcomes
        ],
    }


def _explained(
    row: Mapping[Any, Any], lists: Mapping[str, list[str]], data: bytes | None
) -> dict[str, Any]:
    """Why, and the snapshot that says so; a decision of before snapshots has its own why."""
    if data is None:
        return {"why": json.loads(row["why"]) if row["why"] else None, "snapshot": None}
    snapshot = unpack(data)
    sent = row["item_id"] is not None
    chosen = (row["item_id"], row["variant_id"], row["send_at"]) if sent else None
    why = explanation(snapshot, lists["candidates"], lists["variants"], chosen)
    return {"why": why, "snapshot": seen(snapshot)}


def seen(snapshot: Snapshot) -> dict[str, Any]:
    """What a reader of a decision wants of its snapshot."""
    return {
        "user": dict(zip(USER, (round(float(x), 5) for x in snapshot.user), strict=True)),
        "scores": {
            "hold": float(snapshot.hold),
            "pairs": snapshot.pair.tolist(),
            "hours": snapshot.hour.tolist(),
        },
        "draw": snapshot.draw.tolist(),
        "floor": snapshot.floor,
        "temperature": snapshot.temperature,
    }


def _decision(
    connection: Connection, decision_id: str
) -> tuple[Mapping[Any, Any], list[Mapping[Any, Any]]]:
    chosen = select(DECISIONS).where(DECISIONS.c.decision_id == decision_id)
    row = connection.execute(chosen).mappings().first()
    if row is None:
        raise absent(connection, decision_id)
    own = select(OUTCOMES).where(OUTCOMES.c.decision_id == decision_id).order_by(OUTCOMES.c.at)
    return dict(row), [dict(outcome) for outcome in connection.execute(own).mappings()]
