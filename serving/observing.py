"""What only the store knows, for the metrics: looked up beside the requests, never by a scrape."""

from __future__ import annotations

import os
import time
from typing import Any, TextIO

from sqlalchemy import func, select

from mdp.errors import PushwiseError
from serving.daily import daily
from serving.ledger import ledger
from serving.metrics import DIRECTORY
from serving.nights import LASTS, unfinished
from serving.partitions import misplaced
from serving.routes.policies import experiment_of
from serving.service import Service
from serving.store import reading, store_file
from serving.tables import OUTBOX

GLANCE_SECONDS = 15.0
"""Between looks at what takes no time to look up."""
COUNT_SECONDS = 15.0
"""Between counts of the ledger, at least."""
REST = 20.0
"""A count is followed by so many times as long without one: it reads every decision."""


class Observer:
    """Keeps the store's figures among the metrics."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._mine: TextIO | None = None

    def look(self) -> None:
        """Whether the store's file lies where it was, and no damage to it was seen."""
        file = store_file(self._service.engine)
        self._service.metrics.store_fault.set(int(file is not None and not file.is_well))

    def glance(self) -> None:
        """What is found by an index: how late sends are, whether everything is stopped, a policy
        of the experiment is left out, a nightly batch was interrupted or rows lie in no month."""
        service = self._service
        with reading(service.engine) as connection:
            oldest = select(func.min(OUTBOX.c.due_at)).where(OUTBOX.c.state == "waiting")
            due_at = connection.scalar(oldest)
            nights = unfinished(connection, service.clock(), LASTS)
            outside = misplaced(connection, service.clock())
            try:
                world = service.registry.world(connection)
            except PushwiseError:
                killed, left_out = False, {}
            else:
                killed, left_out = world.stopped.everything, dict(world.left_out)
        late = 0.0 if due_at is None else max(0.0, (service.clock() - due_at) / 1e6)
        service.metrics.overdue.set(late)
        began = (service.clock() - nights[0].began_at) / 1e6 if nights else 0.0
        service.metrics.night.set(began)
        service.metrics.stopped.set(int(killed))
        for table, rows in outside.items():
            service.metrics.misplaced.labels(table).set(rows)
        for role in ("challenger", "shadow"):
            service.metrics.left_out.labels(role).set(int(role in left_out))

    def count(self) -> None:
        """What every row is read for: the ledger, the last days, the split between the arms. Of the
        workers that share their figures one does so."""
        if not self._is_mine():
            return
        began = time.monotonic()
        state = self._counted()
        self._service.metrics.show_ledger(state, time.monotonic() - began)

    def _counted(self) -> dict[str, Any]:
        service = self._service
        with reading(service.engine, whole=True) as connection:
            state = ledger(connection, service.clock())
            days = daily(connection, service.clock())
            by_state = select(OUTBOX.c.state, func.count()).group_by(OUTBOX.c.state)
            outbox = {row[0]: row[1] for row in connection.execute(by_state)}
            try:
                world = service.registry.world(connection)
                split = experiment_of(connection, world)["sample_ratio"]
            except PushwiseError:
                split = None
        return {
            **state,
            "daily": days,
            "outbox": outbox,
            "sample_ratio_p": 1.0 if split is None else split["p"],
        }

    def _is_mine(self) -> bool:
        """Whether this worker counts: it does for as long as it lives once it holds the lock."""
        if DIRECTORY not in os.environ or self._mine is not None:
            return True
        try:
            import fcntl
        except ImportError:  # Windows: every worker counts
            return True
        file = open(os.path.join(os.environ[DIRECTORY], "counting"), "a")  # noqa: SIM115
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._mine = file
        return True

    def close(self) -> None:
        """Leave counting to another worker."""
        if self._mine is not None:
            self._mine.close()
            self._mine = None
