"""Archives by month: each whole month (UTC) that may leave the store, in a log of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, select

from serving.archive import Progress, archive, latest, no_progress
from serving.archived import archived_before, unfinished
from serving.settings import Settings
from serving.store import reading
from serving.tables import DECISIONS, EVENTS


def archive_months(
    engine: Engine, settings: Settings, directory: Path, now: int, progress: Progress = no_progress
) -> Iterator[Row[Any]]:
    """Move every month in which something happened, and which may leave by now, into the log
    `directory/YYYY-MM`, the first one first; gives the row of `archives` of each.

    An archive that was not finished, whichever it is, is finished before. A decision that has to
    stay leaves with a later month. Raises `BadInput` as `archive` does.
    """
    with reading(engine) as connection:
        begun = unfinished(connection)
    if begun is not None:
        yield archive(engine, settings, begun.before, Path(begun.out), now, progress)
    while True:
        with reading(engine) as connection:
            oldest = _oldest(connection)
        if oldest is None:
            return
        month = datetime.fromtimestamp(oldest / 1e6, UTC)
        end = datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
        before = round(end.timestamp() * 1e6)
        if before > latest(settings, now):
            return
        yield archive(engine, settings, before, directory / f"{month:%Y-%m}", now, progress)


def _oldest(connection: Connection) -> int | None:
    """The first instant after the last archive at which something happened that the store holds."""
    since = archived_before(connection)
    firsts = [
        connection.scalar(select(func.min(at)).where(at >= since))
        for at in (EVENTS.c.at, DECISIONS.c.decided_at)
    ]
    return min((at for at in firsts if at is not None), default=None)
