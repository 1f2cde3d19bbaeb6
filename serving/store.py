"""The store: one SQLite file in write-ahead mode, shared by threads and processes.

`reading` is a snapshot; `writing` takes the write lock at once (`BEGIN IMMEDIATE`), so what is
read inside it can't change before it commits. A commit is on disk when it returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, Row, Select, Table, create_engine, event, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import ArgumentError, DatabaseError

from mdp.errors import BadSetting
from serving.tables import COUNTERS, GUARDRAILS, METADATA, SETTINGS

BUSY_MILLISECONDS = 30_000
"""How long a writer waits for another process's transaction."""


def open_store(url: str, make: bool = True) -> Engine:
    """The store at a URL such as `sqlite:///pushwise.sqlite`.

    make: make it if it is not there. Raises `BadSetting` for one that can't be opened.
    """
    if not url.startswith("sqlite:///") or url == "sqlite:///" or ":memory:" in url:
        raise BadSetting(f"the store is {url!r}; use a file such as sqlite:///pushwise.sqlite")
    if not make and not Path(url.removeprefix("sqlite:///")).exists():
        raise BadSetting(f"there is no store {url!r}: make one with `pushwise load`")
    try:
        engine = create_engine(url)
        event.listen(engine, "connect", _connected)
        event.listen(engine, "begin", _begin)
        with writing(engine) as connection:
            METADATA.create_all(connection)
    except (ArgumentError, DatabaseError) as error:
        reason = error.orig if isinstance(error, DatabaseError) else error
        raise BadSetting(f"the store {url!r} can't be opened: {reason}") from error
    return engine


def _connected(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # transactions are begun in `_begin` alone
    for pragma in (
        f"busy_timeout={BUSY_MILLISECONDS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "cache_size=-65536",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one state of the store."""
    with engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A connection that holds the write lock; commits at the end, or rolls all back."""
    with engine.connect() as plain:
        connection = plain.execution_options(immediate=True)
        with connection.begin():
            yield connection


def by_key(table: Table, keys: Iterable[str], column: str | None = None) -> Select[Any]:
    """Rows of a table whose primary key (or another column) is among any number of values."""
    chosen = table.c[column] if column else next(iter(table.primary_key.columns))
    values = func.json_each(orjson.dumps(list(keys)).decode()).table_valued("value")
    return select(table).where(chosen.in_(select(values.c.value)))


def rows_by_key(connection: Connection, table: Table, keys: Iterable[str]) -> dict[str, Row[Any]]:
    """Rows by primary key, of those keys that exist."""
    return {row[0]: row for row in connection.execute(by_key(table, keys))}


def upsert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, or replace all their columns where the primary key exists."""
    if not rows:
        return
    statement = insert(table)
    keys = [column.name for column in table.primary_key.columns]
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), rows)


def setting(connection: Connection, name: str, default: Any = None) -> Any:
    """A value kept by name."""
    row = connection.execute(select(SETTINGS.c.value).where(SETTINGS.c.name == name)).first()
    return default if row is None else row[0]


def put_setting(connection: Connection, name: str, value: Any) -> None:
    """Keep a value by name."""
    upsert(connection, SETTINGS, [{"name": name, "value": value}])


def touch_catalog(connection: Connection) -> None:
    """Tell every process that items or variants have changed."""
    put_setting(connection, "catalog", setting(connection, "catalog", 0) + 1)


def all_settings(connection: Connection) -> dict[str, Any]:
    """Everything that is the same for all decisions: policy, kill, catalog version, guardrails."""
    values = {row.name: row.value for row in connection.execute(select(SETTINGS))}
    newest = select(GUARDRAILS.c.rules).order_by(GUARDRAILS.c.number.desc()).limit(1)
    row = connection.execute(newest).first()
    return {**values, "guardrails": {} if row is None else row[0]}


def count(connection: Connection, name: str, by: int) -> None:
    """Raise a counter."""
    if by:
        statement = insert(COUNTERS).values(name=name, count=by)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["name"], set_={"count": COUNTERS.c.count + by}
            )
        )
