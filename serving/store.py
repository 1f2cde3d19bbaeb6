"""The store: a SQLite file in write-ahead mode, or a PostgreSQL database, shared by processes.

`reading` is a snapshot. What is read inside `writing` can't change before it commits: SQLite has
one writer at a time (`BEGIN IMMEDIATE`); in PostgreSQL writers of different users go on side by
side under advisory locks. A commit is on disk when it returns.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    event,
    func,
    inspect,
    literal_column,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import QueuePool

from mdp.errors import BadSetting
from mdp.hashing import hash_id
from serving.cache import cache_of, forget_notes
from serving.prepared import Prepared, driver_errors, driver_of
from serving.rows import inserting, upsert
from serving.store_file import StoreFile
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
LONGEST_LOG = 32_000
"""Pages of SQLite's write-ahead log after which a commit itself moves them into the store's file;
before that a server does so beside the commits (`checkpoint`), once a second, in which batches
write some 10,000."""
SPARE = "spare"
"""In the options of SQLite's engine: the connections that nobody uses just now."""
FILE = "file"
"""In the options of SQLite's engine: its `StoreFile`."""
Store = Engine | Connection
"""Where a transaction takes place: on a connection of its own, or on one that is open already."""
WHOLE = 7_487_000
"""PostgreSQL's advisory lock of the whole store; those of users follow."""
_KEEP = text("LOCK TABLE ONLY decisions, ONLY outcomes IN ACCESS SHARE MODE")
BUCKETS = 128
"""Advisory locks of users: few enough that the largest batch can hold all of them."""
# SQLite's driver else looks for a way to adapt each None that is written: half a microsecond.
sqlite3.register_adapter(type(None), lambda nothing: None)


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
    # Whoever takes one ends its transaction (`reading`, `writing`).
    file = StoreFile(Path(make_url(url).database or ""))
    options: dict[str, Any] = {SPARE: [], FILE: file}
    engine = create_engine(url, pool_reset_on_return=None, execution_options=options, **CONNECTIONS)
    event.listen(engine, "connect", _opened)
    event.listen(engine, "connect", lambda connection, record: file.opened())
    event.listen(engine, "begin", _begin)
    event.listen(engine, "engine_disposed", _close_spare)
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


def _opened(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # transactions are begun here alone
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
    driver = driver_of(connection)
    if not driver.in_transaction:  # else it joins in (`_transaction`)
        driver.execute("BEGIN")


@contextmanager
def _transaction(connection: Connection, begin: str) -> Iterator[None]:
    """A transaction of SQLite that `begin` begins, past SQLAlchemy, which takes as long over one as
    reading a group's users does. It joins in once it runs a statement itself."""
    driver = driver_of(connection)
    driver.execute(begin)
    try:
        yield
        connection.commit()
        driver.commit()
    except BaseException:
        connection.rollback()
        driver.rollback()
        raise


@contextmanager
def reading(store: Store, whole: bool = False) -> Iterator[Connection]:
    """A connection that sees one state of the store.

    whole: no partition of the log is dropped meanwhile, whose rows that stay
    (`serving.partitions`) would lie where the state that is seen does not have them yet.
    """
    with connected(store) as connection, driver_errors(connection):
        if not _is_postgresql(connection):
            with _transaction(connection, "BEGIN"):
                yield connection
            return
        connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            if whole:
                connection.execute(_KEEP)  # a lock takes no snapshot: that comes after it
            yield connection


@contextmanager
def writing(store: Store, users: Iterable[str] | None = None) -> Iterator[Connection]:
    """A connection that nobody else writes beside; commits at the end, or rolls all back.

    users: what is written is about these users alone (or keyed by these other names), so that
    those who write about others need not wait. Settings can't change meanwhile either.
    """
    cache = cache_of(store.engine)
    with _queue(store.engine), connected(store) as connection, driver_errors(connection):
        if cache is not None:
            forget_notes(connection)
        if not _is_postgresql(connection):
            with _transaction(connection, "BEGIN IMMEDIATE"):
                yield connection
        else:
            connection = connection.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():
                _lock(connection, users)
                yield connection
        if cache is not None:
            cache.hand_on(connection)


@contextmanager
def connected(store: Store) -> Iterator[Connection]:
    """A connection for one transaction or more, which end with this.

    In SQLite it is the one that was given back last, as SQLite empties the cache of every
    connection that does not write; and past the pool, whose way takes as long as reading a group's
    users does. PostgreSQL may go away meanwhile: there the pool looks first.
    """
    if not isinstance(store, Engine):
        yield store
        return
    file = store_file(store)
    if file is None:
        with store.connect() as connection:
            yield connection
        return
    file.need()
    spare, pool, taken = store.get_execution_options()[SPARE], store.pool, None
    assert isinstance(pool, QueuePool)
    try:
        connection = taken = spare.pop() if spare else store.connect()
        yield connection
    except BaseException as error:
        file.note(error)
        if taken is not None:
            taken.close()
        raise
    if pool.checkedout() > pool.size():  # somebody may be waiting at the pool
        connection.close()
        return
    spare.append(connection)
    if store.pool is not pool:  # the engine was disposed of meanwhile, so this must not be used
        _close_spare(store)


def store_file(engine: Engine) -> StoreFile | None:
    """The file of a SQLite store; None for PostgreSQL."""
    file: StoreFile | None = engine.get_execution_options().get(FILE)
    return file


def _close_spare(engine: Engine) -> None:
    spare = engine.get_execution_options()[SPARE]
    while spare:
        connection = spare.pop()
        connection.invalidate()  # the pool is gone, and would not close it
        connection.close()


_QUEUES: WeakKeyDictionary[Engine, threading.Lock] = WeakKeyDictionary()


def _queue(engine: Engine) -> AbstractContextManager[Any]:
    """In SQLite the writers of a process wait here for one another, as a lock wakes the next one
    at once; between processes SQLite sleeps and looks again."""
    if engine.dialect.name != "sqlite":
        return nullcontext()
    return _QUEUES.setdefault(engine, threading.Lock())


def checkpoint(engine: Engine) -> None:
    """Move what SQLite has written ahead into the store's file, which commits would wait for."""
    file = store_file(engine)
    if file is None:
        return
    file.need()
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
