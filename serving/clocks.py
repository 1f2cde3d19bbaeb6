"""The server's clock, and noticing that somebody sets it while the server runs."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

Clock = Callable[[], int]
"""Gives now, microseconds UTC."""


def wall_clock() -> int:
    """Now, microseconds UTC."""
    return time.time_ns() // 1000


def running_clock() -> int:
    """Microseconds since some start, which nobody can set; counts a suspended machine's sleep
    where the system tells it."""
    which = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(which) // 1000


class ClockWatch:
    """Tells jumps of the clock: logged, counted, with an alert. Decisions go on by the clock as it
    is; a user whose history is ahead of it is refused (409) until it gets there, so that no cap
    can be passed by setting it back."""

    def __init__(
        self,
        clock: Clock,
        tolerance_seconds: float,
        count: Callable[[], object],
        running: Clock = running_clock,
    ) -> None:
        """count: is called for each jump of more than the tolerance."""
        self._clock, self._running, self._count = clock, running, count
        self._tolerance = tolerance_seconds * 1e6
        self._ahead = clock() - running()

    def look(self) -> None:
        """Compare the clock with the time that has passed since the last look."""
        ahead = self._clock() - self._running()
        jump, self._ahead = ahead - self._ahead, ahead
        if abs(jump) > self._tolerance:
            self._count()
            structlog.get_logger().error("clock jumped", seconds=round(jump / 1e6, 3))
