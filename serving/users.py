"""Users in the store: their rows, and the `History` bytes kept up to date with their events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, bindparam, insert, select, update

from mdp.clock import zone_code
from mdp.state import HISTORY, new_histories
from serving.cache import wrote
from serving.checksums import are_intact, checksums
from serving.prepared import Prepared
from serving.problems import DamagedUser, UnreadableUser
from serving.rows import by_key, key_list
from serving.sealing import (
    Unreadable,
    UnreadableFields,
    opened,
    opened_fields,
    sealed_fields,
    sealer,
)
from serving.tables import USERS


class Damaged(bytes):
    """A stored history that is not as it was written."""


class User(NamedTuple):
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
    """One `HISTORY` record, or `Damaged`: then it must be made again (`serving.history`)."""
    version: int
    """Rises with every write; 0 for a user who is not in the store."""
    last_decision: str | None
    turn: int
    """Of the last decision."""
    decisions: int
    """How many numbered ones the store holds."""

    @property
    def zone(self) -> int:
        """Zone code."""
        return zone_code(self.timezone)

    @property
    def state(self) -> np.ndarray:
        """The history () as a `HISTORY` record that can't be written to; raises `DamagedUser`."""
        if not self.is_intact:
            raise DamagedUser(self.user_id, "nobody tried to")
        return np.frombuffer(self.history, HISTORY)[0]

    @property
    def is_new(self) -> bool:
        """Whether the user is not in the store yet."""
        return self.version == 0

    @property
    def is_intact(self) -> bool:
        """Whether the history is as it was written."""
        return not isinstance(self.history, Damaged)

    @property
    def is_readable(self) -> bool:
        """Whether keys opened what is encrypted; if not it must only be carried on."""
        closed = isinstance(self.attributes, UnreadableFields)
        return not closed and not isinstance(self.preferences, Unreadable)


def new_user(
    user_id: str, now: int, consent: bool | None = None, timezone: str | None = None
) -> User:
    """A user nothing is known of. An unknown consent counts as none given."""
    first = int(bool(consent))
    said = None if consent is None else first
    history = _blank(bool(first))
    # By place, which takes half the time.
    return User(user_id, timezone, now, said, first, None, None, {}, history, 0, None, 0, 0)


@cache
def _blank(consent: bool) -> bytes:
    """The history of a user nothing has happened to."""
    return new_histories(1, consent).tobytes()


_COLUMNS = [column.name for column in USERS.columns]
_SELECT = Prepared(by_key(USERS), ["keys"])
_STAMPS = Prepared(by_key(USERS, ("user_id", "version", "timezone")), ["keys"])
_INSERT = Prepared(insert(USERS), _COLUMNS)
_UPDATE = Prepared(
    update(USERS)
    .where(USERS.c.user_id == bindparam("of_user"))
    .values({name: bindparam(name) for name in _COLUMNS if name != "user_id"}),
    [*_COLUMNS[1:], "of_user"],
)
_ATTRIBUTES, _PREFERENCES, _HISTORY, _VERSION, _DECISIONS = (
    _COLUMNS.index(name)
    for name in ("attributes", "preferences", "history", "version", "decisions")
)


def read_users(connection: Connection, user_ids: Iterable[str]) -> dict[str, User]:
    """Users by id, of those that exist."""
    return users_of(_SELECT.rows(connection, key_list(user_ids)))


def users_of(rows: Sequence[tuple[Any, ...]]) -> dict[str, User]:
    """Users by id, of rows of their table."""
    out = {}
    intact = are_intact(
        [row[_HISTORY] for row in rows],
        [row[-1] for row in rows],
        [row[_VERSION] for row in rows],
    )
    for row, is_intact in zip(rows, intact, strict=True):
        values = list(row)
        values.pop()  # the checksum
        values[_ATTRIBUTES] = opened_fields(row[_ATTRIBUTES])
        values[_PREFERENCES] = opened(row[_PREFERENCES])
        values[_DECISIONS] = row[_DECISIONS] or 0
        if not is_intact:
            values[_HISTORY] = Damaged(row[_HISTORY])
        out[row[0]] = User._make(values)
    return out


def check_readable(user: User) -> None:
    """Raises `UnreadableUser` for one whose fields no key opens."""
    if not user.is_readable:
        raise UnreadableUser(user.user_id)


class Stamp(NamedTuple):
    """What tells whether a user was written to."""

    version: int
    """0 of a user who is not in the store."""
    timezone: str | None


ABSENT = Stamp(0, None)


def read_stamps(connection: Connection, user_ids: Iterable[str]) -> dict[str, Stamp]:
    """Stamps by id, of those users that exist."""
    rows = _STAMPS.rows(connection, key_list(user_ids))
    return {name: Stamp(version, timezone) for name, version, timezone in rows}


def all_user_ids(connection: Connection) -> list[str]:
    """Every user's id, in order."""
    return list(connection.scalars(select(USERS.c.user_id).order_by(USERS.c.user_id)))


def user_ids_after(connection: Connection, user_id: str, count: int) -> list[str]:
    """The next ids behind one, in order."""
    of = select(USERS.c.user_id).where(USERS.c.user_id > user_id)
    return list(connection.scalars(of.order_by(USERS.c.user_id).limit(count)))


def write_users(connection: Connection, users: Sequence[User]) -> None:
    """Write users as they now are, each with its version raised by one."""
    seal = sealer()
    sums = checksums([user.history for user in users], [user.version + 1 for user in users])
    rows = [_row(user, seal, kept) for user, kept in zip(users, sums, strict=True)]
    _INSERT.run(connection, [row for row in rows if row[_VERSION] == 1])
    _UPDATE.run(connection, [(*row[1:], row[0]) for row in rows if row[_VERSION] != 1])
    wrote(connection, rows)


def _row(user: User, seal: Callable[[str | None], str | None], kept: int) -> tuple[Any, ...]:
    """The next row of the table, in the order of its columns."""
    (
        user_id, timezone, signed_up_at, consent, first_consent, locale, preferences, attributes,
        history, version, *rest,
    ) = user  # fmt: skip
    return (
        user_id, timezone, signed_up_at, consent, first_consent, locale, seal(preferences),
        sealed_fields(attributes, seal), history, version + 1, *rest, kept,
    )  # fmt: skip


def with_history(user: User, state: np.ndarray) -> User:
    """The user with another history () `HISTORY`."""
    return user._replace(history=state.tobytes())
