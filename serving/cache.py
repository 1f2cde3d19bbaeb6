"""Users' rows in Redis beside the store, so that whom a server wrote of lately need not be read
from its database again.

A row is put here soon after the transaction that wrote it is committed, and stays behind the store
where that could not be done, or where another program wrote. So what comes from here is good only
for what commits by the user's version (`serving.commit`): whoever is overtaken is read from the
store. Redis that fails is let alone for a while; nothing but time is lost with it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from queue import Queue
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
import structlog
from sqlalchemy import Connection, Engine, make_url

from mdp.errors import BadSetting
from mdp.hashing import content_hash
from serving.tables import USERS

if TYPE_CHECKING:
    from redis import Redis

CACHE = "cache"
"""In the options of an engine: its `UserCache`, if it has one."""
KEPT = 86_400
"""Seconds after which Redis drops a row that was not written again."""
PATIENCE = 0.05
"""Seconds that Redis may take over a call."""
REST = 5.0
"""Seconds for which it is let alone after it failed."""
_WROTE = "wrote"
"""In what is known of a connection: rows by user, None of one who is gone, until it commits."""
_NAMES = [column.name for column in USERS.columns]
_HISTORY = _NAMES.index("history")
Row = tuple[Any, ...]
"""A row of the table of users, as its driver has it: sealed where the store seals."""
T = TypeVar("T")


class UserCache:
    """Rows of one store's users in a Redis database, which several stores may share."""

    def __init__(self, redis: Redis, store: str, count: Callable[[str, int], None]) -> None:
        """store: its URL. count: is told of reads, by what became of them."""
        self._redis, self._count, self._rests_until = redis, count, 0.0
        self._waiting: Queue[dict[str, Row | None] | None] = Queue()
        self._thread = threading.Thread(target=self._work, name="cache", daemon=True)
        self._thread.start()
        plain = make_url(store).set(password=None).render_as_string()
        self._prefix = f"pushwise:{content_hash(plain)[:16]}:"

    def rows(self, user_ids: Sequence[str]) -> list[Row]:
        """The rows that are here, of some users."""
        if not user_ids:
            return []
        keys = [self._prefix + name for name in user_ids]
        found: list[Any] | None = self._call(lambda: self._redis.mget(keys))
        if found is None:
            self._count("failed", len(keys))
            return []
        rows = [row for packed in found if packed and (row := _unpacked(packed))]
        self._count("hit", len(rows))
        self._count("miss", len(keys) - len(rows))
        return rows

    def drop(self, user_ids: Iterable[str]) -> None:
        """Take users out."""
        self._put(dict.fromkeys(user_ids))

    def hand_on(self, connection: Connection) -> None:
        """Put in what the transaction that was just committed wrote: soon, beside whoever waits for
        its answer."""
        if rows := connection.info.pop(_WROTE, None):
            self._waiting.put(rows)

    def settle(self) -> None:
        """Wait until all is put in that was handed on."""
        self._waiting.join()

    def close(self) -> None:
        """Put in what waits, and leave Redis."""
        self._waiting.put(None)
        self._thread.join()
        self._redis.close()

    def _work(self) -> None:
        while (rows := self._waiting.get()) is not None:
            self._put(rows)
            self._waiting.task_done()

    def _put(self, rows: dict[str, Row | None]) -> None:
        if not rows:
            return
        pipeline = self._redis.pipeline(transaction=False)
        for name, row in rows.items():
            if row is None:
                pipeline.delete(self._prefix + name)
            else:
                pipeline.set(self._prefix + name, _packed(row), ex=KEPT)
        self._call(pipeline.execute)

    def _call(self, do: Callable[[], T]) -> T | None:
        """What Redis answers; None where it fails or is let alone."""
        from redis import RedisError

        if time.monotonic() < self._rests_until:
            return None
        try:
            return do()
        except RedisError as error:
            self._rests_until = time.monotonic() + REST
            structlog.get_logger().warning("redis failed", error=str(error), rest_seconds=REST)
            return None


def open_cache(url: str, store: str, count: Callable[[str, int], None]) -> UserCache:
    """The cache in `redis://HOST:PORT/DATABASE`, reached or not. Raises `BadSetting`."""
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise BadSetting(
            "PUSHWISE_REDIS is set, and Redis's client is not installed: run "
            "pip install 'pushwise[cache]'"
        ) from error
    try:
        redis = Redis.from_url(
            url,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        # Not what it is: that may hold a password.
        raise BadSetting(
            "PUSHWISE_REDIS is no URL of Redis; use one such as redis://localhost:6379/0"
        ) from error
    return UserCache(redis, store, count)


def cache_of(engine: Engine) -> UserCache | None:
    """The cache beside a store, where there is one."""
    found: UserCache | None = engine.get_execution_options().get(CACHE)
    return found


def wrote(connection: Connection, rows: Iterable[Row]) -> None:
    """Note rows of users that a transaction wrote, for when it has committed."""
    if cache_of(connection.engine) is not None:
        noted = connection.info.setdefault(_WROTE, {})
        noted.update((row[0], row) for row in rows)


def erased(connection: Connection, user_id: str) -> None:
    """Note a user whom a transaction deleted, for when it has committed."""
    if cache_of(connection.engine) is not None:
        connection.info.setdefault(_WROTE, {})[user_id] = None


def forget_notes(connection: Connection) -> None:
    """Begin a transaction: what another noted that was rolled back is no more."""
    connection.info.pop(_WROTE, None)


def _packed(row: Row) -> bytes:
    rest = [*row[:_HISTORY], *row[_HISTORY + 1 :]]
    return orjson.dumps(rest) + b"\n" + bytes(row[_HISTORY])


def _unpacked(packed: bytes) -> Row | None:
    """The row; None where it is none."""
    head, _, history = packed.partition(b"\n")  # JSON writes no such byte itself
    try:
        rest = orjson.loads(head)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(rest, list) or len(rest) != len(_NAMES) - 1:
        return None  # of another version of pushwise
    return (*rest[:_HISTORY], history, *rest[_HISTORY:])
