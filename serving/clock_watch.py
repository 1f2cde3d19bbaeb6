"""Noticing that somebody sets a machine's clock while the server runs, and not sending by it.

A clock that jumped is counted, with an alert, and its machine sends nothing until the jump is
undone or an operator says that the clock is right now. Which machines that are is in the store:
their workers agree, a restarted one too, and machines whose clocks are right send meanwhile.
Decisions go on by the clock as it is; a user whose history is ahead of it is refused (409) until it
gets there, so that no cap can be passed by setting it back.
"""

from __future__ import annotations

import socket
import threading
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog
from sqlalchemy import Connection, Engine

from serving.clocks import Clock
from serving.metrics import Metrics
from serving.schemas import iso
from serving.store import put_setting, reading, setting, writing

JUMPED = "clocks"
"""Setting of the store: of each machine that sends nothing, what it knows of its clock."""

CONFIRMED = "clocks_confirmed"
"""Setting of the store: of machines whose clocks were confirmed last, how far ahead of the running
clock that was, for workers who have not looked since the jump."""

LEAST = 1.0
"""Seconds: two clocks are never read at the same moment."""


@cache
def this_machine() -> str:
    """A name of this machine from its start on, as long as its running clock counts; where the
    system tells none, of this process."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return uuid4().hex


class ClockWatch:
    """Tells whether a machine's clock may be sent by."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        tolerance_seconds: float,
        metrics: Metrics,
        machine: str | None = None,
    ) -> None:
        """machine: which one the clock is of; None: this one."""
        self._engine, self._clock, self._metrics = engine, clock, metrics
        self._tolerance = max(tolerance_seconds, LEAST) * 1e6
        self._machine = machine or this_machine()
        self._ahead = clock() - clock.running()
        """How far ahead of the running clock it is when it is right."""
        self._jumped = False
        self._lock = threading.Lock()

    def read(self) -> tuple[int, bool]:
        """What the clock says, and whether sends may go by it. Takes no time."""
        now = self._clock()
        return now, not self._jumped and self._is_near(now - self._clock.running() - self._ahead)

    def look(self) -> None:
        """Compare the clock with the running one, and with what the store has of this machine."""
        with self._lock:
            with reading(self._engine) as connection:
                kept = setting(connection, JUMPED, {}).get(self._machine)
                confirmed = setting(connection, CONFIRMED, {}).get(self._machine)
            if kept is not None:
                self._jumped, self._ahead = True, kept["ahead"]
            now = self._clock()
            off = now - self._clock.running() - self._ahead
            if self._jumped:
                # Undone, or confirmed by an operator: then it is from now on where it should be.
                if kept is None or self._is_near(off):
                    self._go_on(0 if self._is_near(off) else off)
            elif not self._is_near(off):
                if confirmed is not None and self._is_near(self._ahead + off - confirmed):
                    self._ahead = confirmed
                else:
                    self._stop(now - off, off)
            self._metrics.clock_off.set(off / 1e6 if self._jumped else 0.0)

    def _is_near(self, off: int) -> bool:
        return abs(off) <= self._tolerance

    def _stop(self, at: int, off: int) -> None:
        self._jumped = True
        self._metrics.clock_jumps.inc()
        seconds = round(off / 1e6, 3)
        structlog.get_logger().error("clock jumped, nothing is sent", seconds=seconds)
        entry = {"host": socket.gethostname(), "at": iso(at), "seconds": seconds}
        with writing(self._engine) as connection:
            kept = setting(connection, JUMPED, {})
            if self._machine not in kept:
                entry["ahead"] = self._ahead
                put_setting(connection, JUMPED, {**kept, self._machine: entry})

    def _go_on(self, by: int) -> None:
        self._jumped, self._ahead = False, self._ahead + by
        structlog.get_logger().warning("clock is right again, sending goes on")
        with writing(self._engine) as connection:
            kept = setting(connection, JUMPED, {})
            if self._machine in kept:
                del kept[self._machine]
                put_setting(connection, JUMPED, kept)


def paused(connection: Connection) -> list[dict[str, Any]]:
    """Machines that send nothing: their names, when their clocks jumped and by how many seconds."""
    shown = ("host", "at", "seconds")
    return [{name: m[name] for name in shown} for m in setting(connection, JUMPED, {}).values()]


def confirm(connection: Connection) -> list[dict[str, Any]]:
    """Say that the clocks of machines that send nothing are right as they are now; returns what
    `paused` told. Their workers go on within a second."""
    machines, jumped = paused(connection), setting(connection, JUMPED, {})
    if machines:
        ahead = {name: m["ahead"] + round(m["seconds"] * 1e6) for name, m in jumped.items()}
        put_setting(connection, CONFIRMED, ahead)
        put_setting(connection, JUMPED, {})
    return machines
