"""PostgreSQL's partitions of the log: a month each of decisions and outcomes, a day of snapshots.

Ids of decisions begin with their instant, so that ranges of ids are ranges of time: an id is unique
in the whole log, and is looked up in one partition. What belongs to none lies in the default one
(`decisions_default`): ids of loaded logs, which begin otherwise, and what is older than the
partitions or came before its own was made. So no row is ever refused.

A partition is dropped where its time is over: of snapshots, when they have been kept for long
enough, and of the others when an archive has emptied it. Users' rows leave one user after the other
(`serving.archive`), as each user's history of before is kept in the same transaction; what is
dropped then is the space of a month, without a vacuum. The few rows that have to stay move to the
default partition, which is where a reader of many rows must not miss them (`store.reading`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import structlog
from sqlalchemy import (
    Connection,
    Engine,
    MetaData,
    Table,
    delete,
    func,
    insert,
    select,
    text,
    true,
)
from sqlalchemy.exc import OperationalError

from mdp.clock import DAY
from serving.commit import ids_from
from serving.settings import Settings
from serving.store import reading, writing
from serving.tables import ARCHIVES, METADATA, PARTED, SNAPSHOTS

MOST = 10_000
"""Rows that are moved between a partition and the default one while writers wait."""
PATIENCE = 200
"""Milliseconds that a change of partitions waits for readers, and others behind it: it is tried
again with the next upkeep."""
LOCK_TIMEOUT = "55P03"
"""PostgreSQL's code for a lock that did not come in time."""
ALL = true()


class Part(NamedTuple):
    """A partition of a table."""

    table: str
    start: datetime
    """The first instant of its month (of its day: snapshots)."""

    @property
    def name(self) -> str:
        """Of the partition, such as `decisions_2026_08` or `snapshots_2026_08_31`."""
        return f"{self.table}_{self.start.strftime(_form(self.table))}"

    @property
    def next(self) -> Part:
        """The one that follows."""
        if self.table == SNAPSHOTS.name:
            return self._replace(start=self.start + timedelta(days=1))
        return self._replace(start=(self.start + timedelta(days=31)).replace(day=1))

    @property
    def begin(self) -> int:
        """Its first instant, microseconds UTC."""
        return round(self.start.timestamp() * 1e6)

    @property
    def end(self) -> int:
        """The first instant after it, microseconds UTC."""
        return self.next.begin


def part_of(table: str, at: int) -> Part:
    """The partition of an instant, microseconds UTC."""
    moment = datetime.fromtimestamp(at // 1_000_000, UTC)
    return _named(table, f"{table}_{moment.strftime(_form(table))}")


def _form(table: str) -> str:
    return "%Y_%m_%d" if table == SNAPSHOTS.name else "%Y_%m"


def _named(table: str, name: str) -> Part:
    """Raises `ValueError` for a name of another kind, such as the default partition's."""
    start = datetime.strptime(name.removeprefix(f"{table}_"), _form(table))
    return Part(table, start.replace(tzinfo=UTC))


def keep_partitions(engine: Engine, settings: Settings, now: int) -> None:
    """Make the partitions of now and of what comes next, and drop those whose time is over.

    What can't be done at once, as somebody reads for long, is done another time. In SQLite there
    is nothing to do.
    """
    if engine.dialect.name != "postgresql":
        return
    with reading(engine) as connection:
        there = parts(connection)
        leaving = [part for part in there if _is_over(connection, part, settings, now)]
    wanted = [part_of(table.name, now) for table in PARTED]
    for part in [each for first in wanted for each in (first, first.next)]:
        if part not in there:
            _make(engine, part)
    for part in leaving:
        _drop(engine, part)


def parts(connection: Connection) -> list[Part]:
    """The partitions that there are, but for the default ones, in the order of their time."""
    found = []
    children = text(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
        "WHERE inhparent = to_regclass(:table)"
    )
    for table in PARTED:
        for name in connection.scalars(children, {"table": table.name}):
            try:
                found.append(_named(table.name, name))
            except ValueError:
                continue
    return sorted(found)


def misplaced(connection: Connection, now: int) -> dict[str, int]:
    """By table, rows of the last day that lie in the default partition though there was to be one
    for them, as there was one before."""
    if connection.dialect.name != "postgresql":
        return {}
    there, counts = parts(connection), {}
    for table in PARTED:
        first = min((part.begin for part in there if part.table == table.name), default=0)
        lately = _within(default_of(table), max(now - DAY, first), now)
        counts[table.name] = connection.scalar(select(func.count()).where(lately)) or 0
    return counts


def default_of(table: Table) -> Table:
    """The default partition of a table."""
    return _called(table, f"{table.name}_default")


def _called(table: Table, name: str) -> Table:
    """A table with the columns of another."""
    return table.to_metadata(MetaData(), name=name)


def _within(table: Table, start: int, end: int) -> Any:
    """The rows whose ids begin with an instant from one on, and before another."""
    key = table.c.decision_id
    return (key >= ids_from(start)) & (key < ids_from(end))


def _is_over(connection: Connection, part: Part, settings: Settings, now: int) -> bool:
    """Whether a partition may be dropped."""
    if part.table == SNAPSHOTS.name:
        return part.end <= now - round(settings.snapshot_days * DAY)
    archived = select(func.max(ARCHIVES.c.before)).where(ARCHIVES.c.done == 1)
    if part.end > (connection.scalar(archived) or 0):
        return False
    return _rows_of(connection, _called(METADATA.tables[part.table], part.name)) <= MOST


def _rows_of(connection: Connection, table: Table, which: Any = ALL) -> int:
    """How many rows there are, counted up to one more than may be moved."""
    some = select(table.c.decision_id).where(which).limit(MOST + 1)
    return connection.scalar(select(func.count()).select_from(some.subquery())) or 0


def _make(engine: Engine, part: Part) -> None:
    """Make a partition, and move what the default one holds of its time there; where that is too
    much for writers to wait for, all of that time goes on to the default one."""
    table = METADATA.tables[part.table]
    default, new = default_of(table), _called(table, part.name)
    early = _within(default, part.begin, part.end)
    with _alone(engine) as connection:
        if part in parts(connection) or (count := _rows_of(connection, default, early)) > MOST:
            return
        connection.execute(text(f"CREATE TABLE {part.name} (LIKE {part.table} INCLUDING ALL)"))
        if count:
            moved = delete(default).where(early).returning(*default.c).cte("moved")
            connection.execute(insert(new).from_select(list(new.c.keys()), select(moved)))
        bounds = f"FROM ('{ids_from(part.begin)}') TO ('{ids_from(part.end)}')"
        attach = f"ALTER TABLE {part.table} ATTACH PARTITION {part.name} FOR VALUES {bounds}"
        connection.execute(text(attach))


def _drop(engine: Engine, part: Part) -> None:
    """Drop a partition; decisions and outcomes that have to stay move to the default one."""
    table = METADATA.tables[part.table]
    default, old = default_of(table), _called(table, part.name)
    with _alone(engine) as connection:
        if part not in parts(connection):
            return
        connection.execute(text(f"ALTER TABLE {part.table} DETACH PARTITION {part.name}"))
        if table is not SNAPSHOTS:
            connection.execute(insert(default).from_select(list(old.c.keys()), select(old)))
        connection.execute(text(f"DROP TABLE {part.name}"))


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction beside which nobody writes; given up where somebody reads for too long."""
    try:
        with writing(engine) as connection:
            connection.execute(text(f"SET LOCAL lock_timeout = {PATIENCE}"))
            yield connection
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != LOCK_TIMEOUT:
            raise
        structlog.get_logger().info("partitions are changed later, as somebody reads for long")
