"""What is done beside the requests, and what is kept for a time only: snapshots and answers to
idempotency keys."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy import Engine, delete, select, true

from mdp.clock import DAY
from serving.nights import FIRST_KEY, LAST_KEY
from serving.partitions import default_of, keep_partitions
from serving.settings import Settings
from serving.store import writing
from serving.tables import IDEMPOTENCY, SNAPSHOTS

AT_ONCE = 5000
"""Rows deleted in one transaction, which others wait for."""

NIGHT_DAYS = 1
"""How long the answers of a nightly batch are kept, which can go on for half of that."""

LONGEST_FAREWELL = 5.0
"""Seconds that a thread which rests is waited for when the server stops."""


def prune(engine: Engine, settings: Settings, now: int) -> int:
    """Delete what has been kept for long enough; returns the number of rows, without those of
    partitions, which are kept in order too."""
    keep_partitions(engine, settings, now)
    snapshots = default_of(SNAPSHOTS) if engine.dialect.name == "postgresql" else SNAPSHOTS
    total = 0
    of_nights = (IDEMPOTENCY.c.key >= FIRST_KEY) & (IDEMPOTENCY.c.key < LAST_KEY)
    for table, which, days in (
        (snapshots, true(), settings.snapshot_days),
        (IDEMPOTENCY, of_nights, NIGHT_DAYS),
        (IDEMPOTENCY, true(), settings.idempotency_days),
    ):
        key = next(iter(table.primary_key.columns))
        old = select(key).where(which, table.c.at < now - round(days * DAY)).limit(AT_ONCE)
        deleted = AT_ONCE
        while deleted == AT_ONCE:
            with writing(engine, ()) as connection:
                deleted = connection.execute(delete(table).where(key.in_(old))).rowcount
            total += deleted
    return total


class Every:
    """A thread that does something now and then; an error is logged, and it goes on."""

    def __init__(
        self, name: str, seconds: float, do: Callable[[], object], rest: float | None = None
    ) -> None:
        """seconds: between one time and the next. rest: it is done at once when the thread starts,
        and waits so many times as long as it took, where that is longer."""
        self._seconds, self._do, self._rest = seconds, do, rest
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Finish what is being done, then stop; what rests (it may take minutes, and only looks)
        is not waited for long."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(None if self._rest is None else LONGEST_FAREWELL)

    def _run(self) -> None:
        wait = self._seconds if self._rest is None else 0.0
        while not self._stop.wait(wait):
            began = time.monotonic()
            try:
                self._do()
            except Exception as error:
                structlog.get_logger().error(self._thread.name, error=str(error))
            wait = max(self._seconds, (self._rest or 0.0) * (time.monotonic() - began))
