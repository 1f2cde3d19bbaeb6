"""The store: a SQLite file in write-ahead mode, or a PostgreSQL database, shared by processes.

`reading` is a snapshot. What is read inside `writing` can't change before it commits: SQLite has
one writer at a time (`BEGIN IMMEDIATE`); in PostgreSQL writers of different users go on side by
side under advisory locks. A commit is on disk when it returns.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from sqlalchemy import (
    Connection,
    CursorResult,
    Engine,
    Row,
    Select,
    String,
    Table,
    bindparam,
    create_engine,
    event,
    func,
    inspect,
    literal_column,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from mdp.errors import BadSetting
from mdp.hashing import hash_id
from serving.prepared import Prepared, driver_errors
from serving.tables import COUNTERS, GUARDRAILS, METADATA, REVISION, SETTINGS

CURRENCY = "currency"
"""Setting that holds the currency of the log that was loaded."""
BUSY_MILLISECONDS = 30_000
"""How long a writer waits for another process's transaction."""
PAGE = 8192
"""Bytes of a page of a new SQLite store: three users' states or snapshots fit in, where only one
would fit into the usual half."""
CONNECTIONS = MappingProxyType({"pool_size": 10, "max_overflow": 30})
"""Of a process: as many as a server has threads that want one (16 for requests, 16 that send, 2
that decide, some that look after the store), so that none waits for another to give one back."""
LONGEST_LOG = 8_000
"""Pages of SQLite's write-ahead log after which a commit itself moves them into the store's file;
before that a server does so beside the commits (`checkpoint`)."""
IMMEDIATE = "immediate"
"""In a connection's `info` where SQLite is to take the lock for writing at the beginning."""
Store = Engine | Connection
"""Where a transaction takes place: on a connection of its own, or on one that is open already."""
WHOLE = 7_487_000
"""PostgreSQL's advisory lock of the whole store; those of users follow."""
BUCKETS = 128
"""Advisory locks of users: few enough that the largest batch can hold all of them."""


def open_store(url: str, make: bool = True) -> Engine:
    """The store at `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/DATABASE`.

    make: make its tables if they are not there. One that an earlier pushwise made is migrated.
    Raises `BadSetting` for one that can't be opened.
    """
    engine = None
    try:
        engine = _engine(url)
        if not make and not _made(engine):
            raise BadSetting(f"there is no store {_shown(url)!r}: make one with `pushwise load`")
        with writing(engine) as connection:
            _bring_up_to_date(connection)
        return engine
    except (ArgumentError, DBAPIError, BadSetting) as error:
        if engine is not None:
            engine.dispose()
        if isinstance(error, BadSetting):
            raise
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise BadSetting(f"the store {_shown(url)!r} can't be opened: {reason}") from error


def _engine(url: str) -> Engine:
    if url.startswith(("postgresql://", "postgres://")):
        plain = make_url(url).set(drivername="postgresql+psycopg")
        return create_engine(plain, pool_pre_ping=True, **CONNECTIONS)
    if not url.startswith("sqlite:///") or url == "sqlite:///" or ":memory:" in url:
        raise BadSetting(
            f"the store is {_shown(url)!r}; use a file such as sqlite:///pushwise.sqlite, or "
            "postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    # The connection that wrote last is taken first: SQLite empties the cache of every other one.
    # Whoever takes one ends its transaction (`reading`, `writing`).
    engine = create_engine(url, pool_use_lifo=True, pool_reset_on_return=None, **CONNECTIONS)
    event.listen(engine, "connect", _connected)
    event.listen(engine, "begin", _begin)
    return engine


def _shown(url: str) -> str:
    """The URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url


def _made(engine: Engine) -> bool:
    if engine.dialect.name == "sqlite" and not Path(engine.url.database or "").exists():
        return False
    return inspect(engine).has_table("users")


def _bring_up_to_date(connection: Connection) -> None:
    """Make the tables of an empty store, or migrate those of an older pushwise."""
    inspector = inspect(connection)
    if not inspector.has_table("users"):
        METADATA.create_all(connection)
        connection.execute(
            text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        )
        connection.execute(text("INSERT INTO alembic_version VALUES (:v)"), {"v": REVISION})
        return
    known = inspector.has_table("alembic_version")
    found = connection.scalar(text("SELECT version_num FROM alembic_version")) if known else None
    if found != REVISION:
        from serving.migrations import migrate

        migrate(connection, found)


def _connected(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # transactions are begun in `_begin` alone
    for pragma in (
        f"page_size={PAGE}",
        f"busy_timeout={BUSY_MILLISECONDS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "cache_size=-65536",
        f"wal_autocheckpoint={LONGEST_LOG}",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    immediate = connection.info.pop(IMMEDIATE, False)
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def reading(store: Store) -> Iterator[Connection]:
    """A connection that sees one state of the store."""
    with _connection(store) as connection:
        if _is_postgresql(connection):
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with driver_errors(connection), connection.begin():
            yield connection


@contextmanager
def writing(store: Store, users: Iterable[str] | None = None) -> Iterator[Connection]:
    """A connection that nobody else writes beside; commits at the end, or rolls all back.

    users: what is written is about these users alone (or keyed by these other names), so that
    those who write about others need not wait. Settings can't change meanwhile either.
    """
    with _queue(store.engine), _connection(store) as connection:
        if _is_postgresql(connection):
            connection = connection.execution_options(isolation_level="READ COMMITTED")
        connection.info[IMMEDIATE] = True
        with driver_errors(connection), connection.begin():
            if _is_postgresql(connection):
                _lock(connection, users)
            yield connection


def _connection(store: Store) -> AbstractContextManager[Connection]:
    return store.connect() if isinstance(store, Engine) else nullcontext(store)


_QUEUES: WeakKeyDictionary[Engine, threading.Lock] = WeakKeyDictionary()


def _queue(engine: Engine) -> AbstractContextManager[Any]:
    """In SQLite the writers of a process wait here for one another, as a lock wakes the next one
    at once; between processes SQLite sleeps and looks again."""
    if engine.dialect.name != "sqlite":
        return nullcontext()
    return _QUEUES.setdefault(engine, threading.Lock())


def checkpoint(engine: Engine) -> None:
    """Move what SQLite has written ahead into the store's file, which commits would wait for."""
    if engine.dialect.name != "sqlite":
        return
    with closing(engine.raw_connection()) as pooled:
        cursor = pooled.cursor()
        cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
        # Once more while nobody here writes: only a log that is moved as a whole begins anew.
        with _queue(engine):
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
        cursor.close()


def _is_postgresql(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def _lock(connection: Connection, users: Iterable[str] | None) -> None:
    if users is None:
        connection.execute(select(func.pg_advisory_xact_lock(WHOLE)))
        return
    # The shared lock comes first and buckets in ascending order: so no two writers wait in a ring.
    connection.execute(select(func.pg_advisory_xact_lock_shared(WHOLE)))
    buckets = sorted({WHOLE + 1 + hash_id(name) % BUCKETS for name in users})
    connection.execute(
        text("SELECT pg_advisory_xact_lock(b) FROM unnest(CAST(:b AS bigint[])) AS b"),
        {"b": buckets},
    )


class EachText(FunctionElement[str]):
    """The texts of a JSON list as rows of one column, `value`."""

    inherit_cache = True


@compiles(EachText, "sqlite")
def _each_in_sqlite(element: EachText, compiler: Any, **rest: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **rest)})"


@compiles(EachText, "postgresql")
def _each_in_postgresql(element: EachText, compiler: Any, **rest: Any) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **rest)} AS json))"


@cache
def by_key(table: Table, columns: tuple[str, ...] = ()) -> Select[Any]:
    """Rows of a table whose primary key is among the bound JSON list `keys`; made once, as making
    a statement takes longer than running it."""
    values = EachText(bindparam("keys", type_=String)).table_valued("value")
    chosen = [table.c[name] for name in columns] or list(table.columns)
    key = next(iter(table.primary_key.columns))
    return select(*chosen).where(key.in_(select(values.c.value)))


def found_by_key(
    connection: Connection, table: Table, keys: Iterable[str], *columns: str
) -> CursorResult[Any]:
    """Rows (or some columns) of a table whose primary key is among any number of values."""
    return connection.execute(by_key(table, columns), {"keys": key_list(keys)})


def key_list(keys: Iterable[str]) -> str:
    """The value that `by_key` binds as `keys`."""
    return orjson.dumps(list(keys)).decode()


def rows_by_key(connection: Connection, table: Table, keys: Iterable[str]) -> dict[str, Row[Any]]:
    """Rows by primary key, of those keys that exist."""
    return {row[0]: row for row in found_by_key(connection, table, keys)}


def inserting(connection: Connection, table: Table) -> Any:
    """An insert that can say what happens on a conflict."""
    return (postgresql if _is_postgresql(connection) else sqlite).insert(table)


def upsert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, or replace all their columns where the primary key exists."""
    if not rows:
        return
    statement = inserting(connection, table)
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


_NEWEST = select(func.max(GUARDRAILS.c.number)).scalar_subquery()
_ALL = Prepared(
    select(SETTINGS.c.name, SETTINGS.c.value).union_all(
        select(literal_column("'guardrails'"), GUARDRAILS.c.rules).where(
            GUARDRAILS.c.number == _NEWEST
        )
    )
)


def all_settings(connection: Connection) -> Mapping[str, Any]:
    """Everything that is the same for all decisions: policy, kill, catalog version, guardrails."""
    return _values(tuple(_ALL.rows(connection)))


@lru_cache(maxsize=8)
def _values(rows: tuple[tuple[str, str], ...]) -> Mapping[str, Any]:
    """Settings by name, of their JSON; read once, as they hardly ever change."""
    values = {name: orjson.loads(text) for name, text in rows}
    return MappingProxyType({"guardrails": {}} | values)


def count(connection: Connection, name: str, by: int) -> None:
    """Raise a counter."""
    if by:
        statement = inserting(connection, COUNTERS).values(name=name, count=by)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["name"], set_={"count": COUNTERS.c.count + by}
            )
        )
