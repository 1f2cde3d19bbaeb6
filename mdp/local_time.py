"""Local time: what instants read in a zone, and the instants that the 24 hours of a decision mean.

Instants and zones are those of `mdp.clock`: int64 microseconds, int16 codes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mdp.clock import DAY, HOUR, NEVER, zone_tables
from mdp.compiled import njit


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


def local_time(at: np.ndarray, zone: np.ndarray) -> np.ndarray:
    """Wall-clock time (n,) int64, microseconds as if it were UTC, of instants (n,) in zones (n,).

    An unknown zone reads as UTC.
    """
    out = np.empty(len(at), np.int64)
    zones = zone_tables()
    local_times_all(zones, zones[0].copy(), zone, at, out)
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
    zones = zone_tables()
    send_times_all(zones, zones[0].copy(), zone, decided_at, out)
    local = local_time(out.reshape(-1), np.repeat(zone, 24)).reshape(out.shape)
    return out, np.where(out == NEVER, NEVER, local)


def next_local_midnight(at: np.ndarray, zone: np.ndarray) -> np.ndarray:
    """First instant (n,) int64 after `at` whose local date is the next one."""
    out = np.empty(len(at), np.int64)
    _midnights(*zone_tables(), zone, at, out)
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
