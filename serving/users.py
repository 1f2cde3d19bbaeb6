"""Users in the store: their rows, and the `History` bytes kept up to date with their events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, bindparam, insert, select, update

from mdp.clock import zone_code
from mdp.state import HISTORY, new_histories
from serving.store import found_by_key
from serving.tables import USERS


@dataclass(frozen=True)
class User:
    """One user as read from the store, or as made up for one never seen."""

    user_id: str
    timezone: str | None
    signed_up_at: int
    consent: int | None
    """1, 0, or None where unknown"""
    first_consent: int
    """What History starts from."""
    locale: str | None
    preferences: str | None
    attributes: Mapping[str, Any]
    history: bytes
    """One `HISTORY` record."""
    version: int
    """Rises with every write; 0 for a user who is not in the store."""
    last_decision: str | None
    turn: int
    """Of the last decision."""

    @property
    def zone(self) -> int:
        """Zone code."""
        return zone_code(self.timezone)

    @property
    def state(self) -> np.ndarray:
        """The history () as a `HISTORY` record that can't be written to."""
        return np.frombuffer(self.history, HISTORY)[0]

    @property
    def is_new(self) -> bool:
        """Whether the user is not in the store yet."""
        return self.version == 0


def new_user(
    user_id: str, now: int, consent: bool | None = None, timezone: str | None = None
) -> User:
    """A user nothing is known of. An unknown consent counts as none given."""
    first = int(bool(consent))
    return User(
        user_id=user_id,
        timezone=timezone,
        signed_up_at=now,
        consent=None if consent is None else first,
        first_consent=first,
        locale=None,
        preferences=None,
        attributes={},
        history=new_histories(1, bool(first)).tobytes(),
        version=0,
        last_decision=None,
        turn=0,
    )


def _of(row: Row[Any]) -> User:
    return User(**row._mapping)


def read_users(connection: Connection, user_ids: Iterable[str]) -> dict[str, User]:
    """Users by id, of those that exist."""
    return {row.user_id: _of(row) for row in found_by_key(connection, USERS, user_ids)}


def read_stamps(connection: Connection, user_ids: Iterable[str]) -> dict[str, Row[Any]]:
    """Version and time zone by id, of those users that exist."""
    rows = found_by_key(connection, USERS, user_ids, "user_id", "version", "timezone")
    return {row.user_id: row for row in rows}


def version_of(stamp: Row[Any] | None) -> int:
    """The version in a stamp, 0 of a user who is not in the store."""
    return 0 if stamp is None else stamp.version


def all_user_ids(connection: Connection) -> list[str]:
    """Every user's id, in order."""
    return list(connection.scalars(select(USERS.c.user_id).order_by(USERS.c.user_id)))


_COLUMNS = [column.name for column in USERS.columns]
_UPDATE = (
    update(USERS)
    .where(USERS.c.user_id == bindparam("of_user"))
    .values({name: bindparam(name) for name in _COLUMNS if name != "user_id"})
)


def write_users(connection: Connection, users: Sequence[User]) -> None:
    """Write users as they now are, each with its version raised by one."""
    rows = [
        {name: getattr(user, name) for name in _COLUMNS} | {"version": user.version + 1}
        for user in users
    ]
    new = [row for row in rows if row["version"] == 1]
    old = [{**row, "of_user": row["user_id"]} for row in rows if row["version"] > 1]
    if new:
        connection.execute(insert(USERS), new)
    if old:
        connection.execute(_UPDATE, old)


def with_history(user: User, state: np.ndarray, **changes: Any) -> User:
    """The user with another history () `HISTORY`."""
    return replace(user, history=state.tobytes(), **changes)
