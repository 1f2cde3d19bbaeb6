"""Histories kept up to date: rows as events, applied in order, or rebuilt where one came late."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import structlog
from sqlalchemy import Connection, Row, func, select

from mdp.events import ORGANIC, OUTCOMES, Kind, event_order, events_array
from mdp.hashing import hash_id, style_bucket
from mdp.local_time import local_hour
from mdp.state import HISTORY, apply, is_late, new_histories
from serving import tables
from serving.checksums import are_intact
from serving.problems import DamagedUser, UnreadableUser, UserProblem
from serving.rows import found_by_key
from serving.sealing import Unreadable
from serving.users import User, read_users, with_history

MENDED = "mended"
"""In the options of an engine: what to tell of each history that was damaged and made again."""
Fields = Mapping[Any, Any]
"""A row of a table by column name."""


def organic_event(row: Fields) -> dict[str, Any]:
    """A row of the `events` table as fields of an event."""
    return {
        "at": row["at"],
        "kind": ORGANIC[row["event"]],
        "id": hash_id(row["event_id"]),
        "item": hash_id(row["item_id"]) if row["item_id"] else 0,
        "value": row["value"] or 0.0,
    }


def decision_event(row: Fields, style: str | None) -> dict[str, Any]:
    """A row of the `decisions` table as fields of an event; style: of its variant."""
    decision = hash_id(row["decision_id"])
    fields = {"at": row["decided_at"], "kind": Kind.HOLD, "id": decision, "decision": decision}
    if row["send_at"] is not None:
        fields |= {
            "kind": Kind.SEND,
            "item": hash_id(row["item_id"]),
            "send_at": row["send_at"],
            "style": -1 if style is None else style_bucket(style),
        }
    return fields


def outcome_event(row: Fields) -> dict[str, Any]:
    """A row of the `outcomes` table as fields of an event."""
    return {
        "at": row["at"],
        "kind": OUTCOMES[row["outcome"]],
        "id": hash_id(f"{row['decision_id']}|{row['outcome']}"),
        "decision": hash_id(row["decision_id"]),
        "value": row["value"] or 0.0,
    }


def consent_event(user_id: str, at: int, given: bool) -> dict[str, Any]:
    """A change of consent as fields of an event."""
    return {
        "at": at,
        "kind": Kind.CONSENT,
        "id": hash_id(f"{user_id}|consent|{at}"),
        "value": float(given),
    }


def events_of(fields: Sequence[Fields], zone: int) -> np.ndarray:
    """Events (m,) `EVENT` of one user from their fields, in order."""
    events = events_array(len(fields))
    for event, values in zip(events, fields, strict=True):
        for name, value in values.items():
            event[name] = value
    events["hour"] = local_hour(events["at"], np.full(len(events), zone, np.int16))
    return events[event_order(np.zeros(len(events), np.int64), events)]


def stored_fields(connection: Connection, user_id: str) -> list[dict[str, Any]]:
    """Everything that the store knows to have happened to a user; raises `UnreadableUser` where no
    key opens a change of their consent."""
    events, decisions = tables.EVENTS, tables.DECISIONS
    changes, variants = tables.CHANGES, tables.VARIANTS
    with_style = (
        select(decisions, variants.c.body.label("copy"))
        .outerjoin(variants, variants.c.variant_id == decisions.c.variant_id)
        .where(decisions.c.user_id == user_id)
    )
    found = [
        organic_event(row)
        for row in connection.execute(select(events).where(events.c.user_id == user_id)).mappings()
    ]
    made = connection.execute(with_style).mappings().all()
    found += [decision_event(row, row["copy"]["style"] if row["copy"] else None) for row in made]
    told = found_by_key(connection, tables.OUTCOMES, [row["decision_id"] for row in made])
    found += [outcome_event(row) for row in told.mappings()]
    consents = select(changes.c.at, changes.c.value).where(
        changes.c.table == "users", changes.c.id == user_id, changes.c.column == "consent"
    )
    for at, value in connection.execute(consents):
        if isinstance(value, Unreadable):
            raise UnreadableUser(user_id)
        found.append(consent_event(user_id, at, value == "true"))
    return found


def rebuilt(connection: Connection, user: User) -> User:
    """The user with the history that all stored events give."""
    return with_history(user, replayed(connection, user))


def replayed(connection: Connection, user: User, before: int | None = None) -> np.ndarray:
    """The history () `HISTORY` that a user's events give (or those before an instant): those
    stored, on top of what archived ones gave. Raises `DamagedUser` where these were damaged or are
    gone, and `UnreadableUser` as `stored_fields` does."""
    found = stored_fields(connection, user.user_id)
    if before is not None:
        found = [fields for fields in found if fields["at"] < before]
    state = new_histories(1, bool(user.first_consent))
    of_user = tables.STARTS.c.user_id == user.user_id
    start = connection.execute(select(tables.STARTS).where(of_user)).first()
    if start is None:
        gone = select(tables.ARCHIVED).where(tables.ARCHIVED.c.user_id == user.user_id).limit(1)
        if connection.execute(gone).first() is not None:
            raise DamagedUser(user.user_id, "its row of `starts` is gone")
    else:
        if not are_intact([start.history], [start.checksum], [start.before])[0]:
            raise DamagedUser(user.user_id, "its row of `starts` was damaged too")
        state = np.frombuffer(start.history, HISTORY).copy()
        # Changes of consent are never archived, and what comes before the first may become known.
        given = [(f["at"], f["id"], f["value"]) for f in found if _is_before(f, start)]
        state["consent"] = max(given)[2] if given else user.first_consent
        found = [fields for fields in found if not _is_before(fields, start)]
    events = events_of(found, user.zone)
    apply(state, np.zeros(len(events), np.int64), events)
    return state[0]


def _is_before(fields: Fields, start: Row[Any]) -> bool:
    """Whether a change of consent is in the archived history already."""
    return bool(fields["kind"] == Kind.CONSENT and fields["at"] < start.before)


def mended(connection: Connection, user: User) -> User:
    """The user, whose history is rebuilt where it was damaged. Raises `DamagedUser` where the store
    does not hold everything that it was made of, and `UnreadableUser` as `rebuilt` does."""
    if user.is_intact:
        return user
    mine = tables.DECISIONS.c.user_id == user.user_id
    held = connection.scalar(select(func.count(tables.DECISIONS.c.nth)).where(mine))
    if held != user.decisions:
        lost = f"the store holds {held} of its {user.decisions} numbered decisions"
        raise DamagedUser(user.user_id, lost)
    again = rebuilt(connection, user)
    structlog.get_logger().error("a damaged history was rebuilt", user_id=user.user_id)
    if told := connection.engine.get_execution_options().get(MENDED):
        told()
    return again


def mend(connection: Connection, users: dict[str, User]) -> dict[str, UserProblem]:
    """Mend users by id, in place; those who can't be are taken out, and returned with why."""
    lost: dict[str, UserProblem] = {}
    for name in [name for name, user in users.items() if not user.is_intact]:
        try:
            users[name] = mended(connection, users[name])
        except UserProblem as problem:
            del users[name]
            lost[name] = problem
    return lost


def whole_user(connection: Connection, user_id: str) -> User | None:
    """The user, mended; None for an unknown one. Raises as `mended` does."""
    user = read_users(connection, [user_id]).get(user_id)
    return None if user is None else mended(connection, user)


def assumed(connection: Connection, user: User, timezone: str | None, consent: bool | None) -> User:
    """The user in a time zone, and with the consent assumed of those who never said.

    History counts by the user's clock and starts from their first consent, so it is rebuilt where
    the zone or that consent becomes another.
    """
    unsaid = user.consent is None and consent is not None
    if timezone == user.timezone and not unsaid:
        return user
    known = user._replace(timezone=timezone)
    if unsaid:
        known = known._replace(consent=int(bool(consent)), first_consent=int(bool(consent)))
    return rebuilt(connection, known)


def advanced(
    connection: Connection, users: Iterable[User], new: Mapping[str, Sequence[Fields]]
) -> list[User]:
    """The users with their new events, which the store holds already, applied.

    new: fields of events by user. A user of whom one is late, or whose history was damaged, is
    rebuilt.
    """
    out = []
    for user in users:
        if not user.is_intact:
            out.append(mended(connection, user))
            continue
        events = events_of(new[user.user_id], user.zone)
        owner = np.zeros(len(events), np.int64)
        state = np.frombuffer(user.history, HISTORY).copy()
        if is_late(state, owner[:1], events[:1]).any():
            out.append(rebuilt(connection, user))
        else:
            apply(state, owner, events)
            out.append(with_history(user, state[0]))
    return out
