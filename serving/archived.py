"""What the store still knows of what was archived (`serving.archive`)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from serving.problems import Problem
from serving.schemas import iso
from serving.tables import ARCHIVED, ARCHIVES, STARTS


def archived_before(connection: Connection) -> int:
    """The instant before which the store takes no events any more."""
    return connection.scalar(select(func.max(ARCHIVES.c.before))) or 0


def unfinished(connection: Connection) -> Row[Any] | None:
    """The archive that was begun and is not whole yet."""
    return connection.execute(select(ARCHIVES).where(ARCHIVES.c.done == 0)).first()


def absent(connection: Connection, decision_id: str) -> Problem:
    """Why the store has no such decision: it was archived, or there never was one."""
    of = (
        select(ARCHIVES.c.before, ARCHIVES.c.out)
        .join(ARCHIVED, ARCHIVED.c.archive == ARCHIVES.c.number)
        .where(ARCHIVED.c.decision_id == decision_id)
    )
    row = connection.execute(of).first()
    if row is None:
        return Problem(404, "decision_id", f"there is no decision {decision_id!r}")
    detail = (
        f"decision {decision_id!r} is archived, with all before {iso(row.before)}, in {row.out}"
    )
    return Problem(410, "decision_id", detail)


def archives_of(connection: Connection, user_id: str) -> list[dict[str, Any]]:
    """The logs that rows of a user may have left for, and how many decisions each holds."""
    if (
        connection.execute(select(STARTS.c.before).where(STARTS.c.user_id == user_id)).first()
        is None
    ):
        return []
    own = (ARCHIVED.c.archive == ARCHIVES.c.number) & (ARCHIVED.c.user_id == user_id)
    of = (
        select(ARCHIVES.c.number, ARCHIVES.c.out, func.count(ARCHIVED.c.decision_id))
        .outerjoin(ARCHIVED, own)
        .group_by(ARCHIVES.c.number, ARCHIVES.c.out)
        .order_by(ARCHIVES.c.number)
    )
    rows = connection.execute(of)
    return [{"number": number, "out": out, "decisions": count} for number, out, count in rows]


def forget_user(connection: Connection, user_id: str) -> None:
    """Delete what is kept of a user's archived rows; the logs are for the shop to clean.

    Raises `Problem` while a log is being written.
    """
    if unfinished(connection) is not None:
        raise Problem(409, "user_id", "an archive is being written: erase when it is whole")
    for archive in archives_of(connection, user_id):
        mine = ARCHIVES.c.number == archive["number"]
        left = ARCHIVES.c.decisions - archive["decisions"]
        connection.execute(update(ARCHIVES).where(mine).values(decisions=left))
    for table in (ARCHIVED, STARTS):
        connection.execute(delete(table).where(table.c.user_id == user_id))
