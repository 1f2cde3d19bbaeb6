"""Local time: offsets of IANA zones, and the instants that the 24 hours of a decision mean.

Instants are int64 microseconds since 1970-01-01 UTC. A zone is an int16 code that this process
hands out (`zone_code`), -1 for none; codes are never stored.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numba import njit

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 3600 * SECOND
DAY = 24 * HOUR
NEVER = np.iinfo(np.int64).min
"""The instant of what has not happened."""
NO_ZONE = -1

_FIRST, _LAST, _STEP = datetime(1985, 1, 1), datetime(2065, 1, 1), timedelta(days=2)
_lock = threading.Lock()
_codes: dict[str, int] = {}
_names: list[str] = []
_tables: list[tuple[np.ndarray, np.ndarray]] = []
# UTC comes first, which an unknown zone reads as: zone z has the place z + 1.
_UTC = (np.array([NEVER]), np.array([0]))
_flat: tuple[np.ndarray, np.ndarray, np.ndarray] = (np.array([0, 1]), *_UTC)


def _offset_seconds(zone: ZoneInfo, utc: datetime) -> int:
    offset = utc.replace(tzinfo=UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def _transitions(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Instants where the zone's offset changes, and the offset from each on, both microseconds.

    `zoneinfo` has no list of them, so they are found by sampling and bisection.
    """
    zone = ZoneInfo(name)
    at, offset = _FIRST, _offset_seconds(zone, _FIRST)
    starts, offsets = [NEVER], [offset]
    while at < _LAST:
        following = at + _STEP
        changed = _offset_seconds(zone, following)
        if changed != offset:
            low, high = at, following
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                if _offset_seconds(zone, middle) == offset:
                    low = middle
                else:
                    high = middle
            starts.append(int((high - datetime(1970, 1, 1)).total_seconds()) * SECOND)
            offsets.append(changed)
        at, offset = following, changed
    return np.array(starts, np.int64), np.array(offsets, np.int64) * SECOND


@lru_cache(maxsize=4096)
def zone_code(name: str | None) -> int:
    """The code of an IANA zone, `NO_ZONE` for one that does not exist (or None)."""
    if not name:
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


@njit(cache=True)
def segment(bounds: Any, starts: Any, zone: Any, at: Any, near: Any) -> Any:
    """Index of the last change of a zone's offset up to an instant, sought from the index `near`
    on: times of one zone mostly lie between the same two changes."""
    while starts[near] > at:
        near -= 1
    while near + 1 < bounds[zone + 2] and starts[near + 1] <= at:
        near += 1
    return near


@njit(cache=True)
def steady(bounds: Any, starts: Any, zone: Any, at: Any, now: Any) -> Any:
    """Whether a zone's offset stays the same from three days before `at`, which lies in the
    `segment` `now`, to three days after."""
    begun = (starts[now] == NEVER) | (starts[now] <= at - 3 * DAY)
    return begun and (now + 1 == bounds[zone + 2] or starts[now + 1] > at + 3 * DAY)


@njit(cache=True)
def local_times_all(zones: Any, near: Any, zone: Any, at: Any, out: Any) -> None:
    """Fills what `local_time` returns; near: where `segment` begins, one a zone."""
    bounds, starts, offsets = zones
    for i in range(at.size):
        now = segment(bounds, starts, zone[i], at[i], near[zone[i] + 1])
        near[zone[i] + 1] = now
        out[i] = at[i] + offsets[now]


@njit(cache=True)
def send_times_all(zones: Any, near: Any, zone: Any, at: Any, out: Any) -> None:
    """Fills the instants that `send_times` returns; near: where `segment` begins, one a zone."""
    bounds, starts, offsets = zones
    for i in range(at.size):
        now = segment(bounds, starts, zone[i], at[i], near[zone[i] + 1])
        near[zone[i] + 1] = now
        offset = offsets[now]
        here = at[i] + offset
        hour_now = (here // HOUR) % 24
        midnight = (here // HOUR - hour_now) * HOUR
        if steady(bounds, starts, zone[i], at[i], now):
            first, times = midnight - offset, out[i]
            for hour in range(times.size):
                times[hour] = first + hour * HOUR + (DAY if hour < hour_now else 0)
            times[hour_now] = at[i]
            continue
        for hour in range(24):
            if hour == hour_now:
                out[i, hour] = at[i]
                continue
            wall = midnight + hour * HOUR
            if hour < hour_now:
                wall += DAY
            # Two offsets can give this wall time; the first instant that reads as it is meant.
            found = NEVER
            for probe in (wall - DAY, wall + DAY):
                instant = wall - offsets[segment(bounds, starts, zone[i], probe, now)]
                reads = instant + offsets[segment(bounds, starts, zone[i], instant, now)]
                if reads == wall and instant > at[i] and (found == NEVER or instant < found):
                    found = instant
            out[i, hour] = found


def zone_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What compiled code gives `segment` first, and offsets: bounds of each zone's changes, from
    UTC's on, their instants and the offsets from then on."""
    return _flat


def local_time(at: np.ndarray, zone: np.ndarray) -> np.ndarray:
    """Wall-clock time (n,) int64, microseconds as if it were UTC, of instants (n,) in zones (n,).

    An unknown zone reads as UTC.
    """
    out = np.empty(len(at), np.int64)
    local_times_all(_flat, _flat[0].copy(), zone, at, out)
    return out


def local_hour(at: np.ndarray, zone: np.ndarray) -> np.ndarray:
    """Hour of the day 0–23 (n,) int8 on the user's clock."""
    return ((local_time(at, zone) // HOUR) % 24).astype(np.int8)


def local_day(at: np.ndarray, zone: np.ndarray) -> np.ndarray:
    """Local date (n,) int64, days since 1970-01-01: the epoch of a decision made then."""
    return local_time(at, zone) // DAY


def send_times(decided_at: np.ndarray, zone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each of the 24 hours means for decisions made now.

    Hour h is its first occurrence from `decided_at` (n,) on: now if h is the current local hour,
    else the next h:00; a repeated h:00 is the first one.

    Returns the instants (n, 24) int64, `NEVER` where daylight saving skips that h:00, and the
    same instants as wall-clock time (n, 24) int64.
    """
    out = np.empty((len(decided_at), 24), np.int64)
    send_times_all(_flat, _flat[0].copy(), zone, decided_at, out)
    local = local_time(out.reshape(-1), np.repeat(zone, 24)).reshape(out.shape)
    return out, np.where(out == NEVER, NEVER, local)


def next_local_midnight(at: np.ndarray, zone: np.ndarray) -> np.ndarray:
    """First instant (n,) int64 after `at` whose local date is the next one."""
    out = np.empty(len(at), np.int64)
    _midnights(*_flat, zone, at, out)
    return out


def midnights_from(start: int, zone: np.ndarray, day: int | np.ndarray = 0) -> np.ndarray:
    """Instants (n,) int64 of the local midnights `day` days after each zone's first from `start`
    (microseconds UTC) on; day: one number, or (n,)."""
    first = next_local_midnight(np.full(len(zone), start - 1), zone)
    if not np.any(day):
        return first
    # Half a day is taken off, since a day has 23 to 25 hours.
    return next_local_midnight(first + np.asarray(day, np.int64) * DAY - DAY // 2, zone)


@njit(cache=True)
def _midnights(bounds: Any, starts: Any, offsets: Any, zone: Any, at: Any, out: Any) -> None:
    near = bounds.copy()
    for i in range(at.size):
        now = segment(bounds, starts, zone[i], at[i], near[zone[i] + 1])
        near[zone[i] + 1] = now
        wall = ((at[i] + offsets[now]) // DAY + 1) * DAY
        if steady(bounds, starts, zone[i], at[i], now):
            out[i] = wall - offsets[now]
            continue
        first = wall - offsets[segment(bounds, starts, zone[i], wall - DAY, now)]
        second = wall - offsets[segment(bounds, starts, zone[i], wall + DAY, now)]
        earliest = min(first, second)
        reads = earliest + offsets[segment(bounds, starts, zone[i], earliest, now)]
        out[i] = earliest if reads >= wall else max(first, second)
