"""Nights: runs of the nightly batch over a store, each known by the file that it writes.

Every user of a night has an idempotency key, whose answer is in the store with the decision. So a
run that was interrupted goes on by the same command, in whichever process, on whichever machine:
who was decided for gets the same answer, and all of it comes into the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, insert, select, update

from mdp.clock import DAY, HOUR
from mdp.errors import BadInput
from serving.schemas import iso
from serving.tables import NIGHTS

LASTS = 12 * HOUR
"""How long the same file means the same night: whoever is called at 3 finds it in the morning, and
the next night may write a file of the same name."""
REMEMBERED = 2 * DAY
"""How long a night that never became whole is told of."""

FIRST_KEY, LAST_KEY = "night\n", "night\x0b"
"""Between which the idempotency keys of all nights are. No client can send such a one, as a header
has no line break."""


class Begun(NamedTuple):
    """A night."""

    number: int
    since: int | None
    """When it was begun by an earlier run; None: by this one."""


def begin(connection: Connection, out: Path, policy: str, at: int | None, now: int) -> Begun:
    """The night that a file is for, which is new or was begun before.

    at: the instant to decide at, None for the present one. Raises `BadInput` where it was begun
    with another policy or instant: the file would hold decisions of both.
    """
    of = select(NIGHTS).where(NIGHTS.c.out == str(out), NIGHTS.c.began_at > now - LASTS)
    night = connection.execute(of.order_by(NIGHTS.c.number.desc()).limit(1)).first()
    if night is None:
        row = {"out": str(out), "policy": policy, "at": at, "began_at": now}
        made = connection.execute(insert(NIGHTS).values(row).returning(NIGHTS.c.number))
        return Begun(made.scalar_one(), None)
    if (night.policy, night.at) != (policy, at):
        when = "" if night.at is None else f" at {iso(night.at)}"
        raise BadInput(
            f"{out} is of the night that began at {iso(night.began_at)}, in which {night.policy} "
            f"decides{when}: name another file"
        )
    return Begun(night.number, night.began_at)


def finish(connection: Connection, number: int, now: int) -> None:
    """A night's file is whole."""
    connection.execute(update(NIGHTS).where(NIGHTS.c.number == number).values(whole_at=now))


def unfinished(connection: Connection, now: int, since: int = REMEMBERED) -> Sequence[Row[Any]]:
    """The nights of the last so many microseconds whose file is not whole, the first one first."""
    of = select(NIGHTS).where(NIGHTS.c.whole_at.is_(None), NIGHTS.c.began_at > now - since)
    return connection.execute(of.order_by(NIGHTS.c.number)).all()


def key(number: int, user_id: str) -> str:
    """A user's idempotency key in a night."""
    return f"{FIRST_KEY}{number}\n{user_id}"
