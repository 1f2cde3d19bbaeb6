"""The server's clock, and one beside it that nobody can set."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def __call__(self) -> int:
        """Now, microseconds UTC."""
        ...

    def running(self) -> int:
        """Microseconds since some start of the machine's, which nobody can set."""
        ...


class WallClock:
    """The machine's."""

    def __call__(self) -> int:
        """Now, microseconds UTC."""
        return time.time_ns() // 1000

    def running(self) -> int:
        """Microseconds since the machine started, a suspended one's sleep among them where the
        system counts it."""
        which = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        return time.clock_gettime_ns(which) // 1000


wall_clock = WallClock()
