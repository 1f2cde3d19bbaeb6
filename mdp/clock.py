"""Units of time, and the offsets of IANA zones: all that needs no compiled code.

Instants are int64 microseconds since 1970-01-01 UTC. A zone is an int16 code that this process
hands out (`zone_code`), -1 for none; codes are never stored.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 3600 * SECOND
DAY = 24 * HOUR
NEVER = np.iinfo(np.int64).min
"""The instant of what has not happened."""
NO_ZONE = -1

_FIRST, _LAST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (1985, 2065))
_STEP = 2 * 86_400
"""Seconds: no offset lasts less."""
_lock = threading.Lock()
_codes: dict[str, int] = {}
_names: list[str] = []
_tables: list[tuple[np.ndarray, np.ndarray]] = []
_NO_PLACES = ("Factory", "localtime", "posixrules")
"""Files beside the zones: of a machine that was told none, and of this very machine."""
_OTHER_CLOCKS = ("right/", "posix/")
"""Copies of the zones, the first of which counts leap seconds."""
# UTC comes first, which an unknown zone reads as: zone z has the place z + 1.
_UTC = (np.array([NEVER]), np.array([0]))
_flat: tuple[np.ndarray, np.ndarray, np.ndarray] = (np.array([0, 1]), *_UTC)


def _offset(zone: ZoneInfo, at: int) -> int:
    """Seconds that the zone's clock is ahead of UTC at an instant, seconds since 1970."""
    offset = datetime.fromtimestamp(at, zone).utcoffset()
    assert offset is not None
    return offset.days * 86_400 + offset.seconds


def _transitions(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Instants where the zone's offset changes, and the offset from each on, both microseconds.

    `zoneinfo` has no list of them, so they are found by sampling and bisection.
    """
    zone = ZoneInfo(name)
    offset = _offset(zone, _FIRST)
    starts, offsets = [NEVER], [offset * SECOND]
    for at in range(_FIRST, _LAST, _STEP):
        changed = _offset(zone, at + _STEP)
        if changed != offset:
            low, high = at, at + _STEP
            while high - low > 1:
                middle = (low + high) // 2
                if _offset(zone, middle) == offset:
                    low = middle
                else:
                    high = middle
            starts.append(high * SECOND)
            offsets.append(changed * SECOND)
            offset = changed
    return np.array(starts, np.int64), np.array(offsets, np.int64)


@lru_cache(maxsize=4096)
def zone_code(name: str | None) -> int:
    """The code of an IANA zone, `NO_ZONE` for one that does not exist (or None)."""
    if not name or name in _NO_PLACES or name.startswith(_OTHER_CLOCKS):
        return NO_ZONE
    with _lock:
        if name in _codes:
            return _codes[name]
        try:
            table = _transitions(name)
        except (KeyError, OSError, ValueError):
            return NO_ZONE
        _names.append(name)
        _tables.append(table)
        tables = [_UTC, *_tables]
        sizes = [len(starts) for starts, _ in tables]
        global _flat
        _flat = (
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            np.concatenate([starts for starts, _ in tables]),
            np.concatenate([offsets for _, offsets in tables]),
        )
        _codes[name] = len(_names) - 1
        return _codes[name]


def zone_codes(names: Sequence[str | None]) -> np.ndarray:
    """Codes (n,) int16 of n zone names."""
    return np.array([zone_code(name) for name in names], np.int16)


def zone_name(code: int) -> str | None:
    """The zone's name, None for `NO_ZONE`."""
    return None if code == NO_ZONE else _names[code]


def zone_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What compiled code gives `segment` first, and offsets: bounds of each zone's changes, from
    UTC's on, their instants and the offsets from then on."""
    return _flat
