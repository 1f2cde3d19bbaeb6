"""Guardrails: which items, variants and hours a decision may use, each refusal with a reason.

One function, `mask`, for training, evaluation and server. Hold is always allowed. A rule that
spans factors masks the whole item. Every rule is checked at the instant that an hour means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit

from mdp.clock import (
    DAY,
    HOUR,
    MINUTE,
    NEVER,
    segment,
    send_times,
    steady,
    zone_tables,
)
from mdp.errors import BadSetting
from mdp.hashing import content_hash
from mdp.state import FREE, RELEASED, RING


class Reason(IntEnum):
    """Why a factor is masked; ALLOWED where it is not."""

    ALLOWED = 0
    PADDING = 1
    CONSENT = 2
    UNSUBSCRIBED = 3
    TIMEZONE_UNKNOWN = 4
    OUT_OF_STOCK = 5
    NOT_AVAILABLE = 6
    PREFERENCE = 7
    ITEM_COOLDOWN = 8
    NOT_APPROVED = 9
    LOCALE = 10
    OTHER_ITEM = 11
    OTHER_SEGMENT = 12
    NO_SUCH_HOUR = 13
    QUIET_HOURS = 14
    CAP_CALENDAR_DAY = 15
    CAP_24H = 16
    CAP_7D = 17
    MIN_GAP = 18
    CONSENT_UNKNOWN = 19


_NO_SUCH_HOUR, _QUIET_HOURS = int(Reason.NO_SUCH_HOUR), int(Reason.QUIET_HOURS)
_CAP_CALENDAR_DAY, _CAP_24H, _CAP_7D = (
    int(Reason.CAP_CALENDAR_DAY),
    int(Reason.CAP_24H),
    int(Reason.CAP_7D),
)
_MIN_GAP, _ITEM_COOLDOWN = int(Reason.MIN_GAP), int(Reason.ITEM_COOLDOWN)
_UNSUBSCRIBED, _CONSENT, _TIMEZONE_UNKNOWN, _NOT_AVAILABLE = (
    int(Reason.UNSUBSCRIBED),
    int(Reason.CONSENT),
    int(Reason.TIMEZONE_UNKNOWN),
    int(Reason.NOT_AVAILABLE),
)
LONGEST_GAP = 3650
"""Most days of a gap or a cool-down."""


def _minutes(text: str, name: str) -> int:
    hours, _, minutes = text.partition(":")
    if not (hours.isdecimal() and minutes.isdecimal() and int(hours) < 24 and int(minutes) < 60):
        raise BadSetting(f"{name} is {text!r}; write a time of day such as '22:00'")
    return int(hours) * 60 + int(minutes)


def _number(value: Any, name: str, highest: float) -> None:
    """Raises `BadSetting` unless a value is a number from 0 to `highest`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and 0 <= value <= highest):
        raise BadSetting(f"{name} is {value!r}; use a number from 0 to {highest:g}")


@dataclass(frozen=True)
class Guardrails:
    """Limits on what may be sent, in force after any policy has scored."""

    quiet_start: str = "22:00"
    """Quiet hours begin, on the user's clock."""
    quiet_end: str = "08:00"
    """Quiet hours end; equal to the start for none."""
    per_calendar_day: int | None = 1
    """Most sends on one local date; 0 for never, None for no cap."""
    per_24h: int | None = None
    """Most sends in any 24 hours."""
    per_7d: int | None = 7
    """Most sends in any 7 days."""
    min_hours: float = 4.0
    """Hours between two sends."""
    item_cooldown_days: float = 3.0
    """Days until the same item may be pushed again."""
    floor: float = 0.02
    """Exploration floor: the probability of drawing from the exploration mixture."""
    holdout_share: float = 0.0
    """Share of users that never get a push, for measuring."""
    holdout_salt: str = "pushwise"
    """Decides, with the user's id, who is held out."""

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            time = getattr(self, f"quiet_{name}")
            if not isinstance(time, str):
                raise BadSetting(f"quiet_hours.{name} is {time!r}; write a text such as '22:00'")
            _minutes(time, f"quiet_hours.{name}")
        for name in ("per_calendar_day", "per_24h", "per_7d"):
            cap = getattr(self, name)
            whole = isinstance(cap, int) and not isinstance(cap, bool)
            if cap is not None and not (whole and 0 <= cap < RING):
                raise BadSetting(
                    f"caps.{name} is {cap!r}; use a whole number from 0 to {RING - 1}, or 'none'"
                )
        _number(self.min_hours, "gaps.min_hours", LONGEST_GAP * 24)
        _number(self.item_cooldown_days, "gaps.item_cooldown_days", LONGEST_GAP)
        _number(self.floor, "exploration.floor", 1)
        _number(self.holdout_share, "holdout.share", 1)
        if not isinstance(self.holdout_salt, str):
            raise BadSetting(f"holdout.salt is {self.holdout_salt!r}; write a text")

    def updated(self, tables: Mapping[str, Any]) -> Guardrails:
        """These guardrails with the keys of a parsed TOML file (or manifest) put over them.

        A cap given as "none" is lifted. Raises `BadSetting` for an unknown table or key.
        """
        changes: dict[str, Any] = {}
        for table, keys in tables.items():
            if table not in _TABLES or not isinstance(keys, Mapping):
                raise BadSetting(
                    f"unknown guardrail table [{table}]; known: {', '.join(sorted(_TABLES))}"
                )
            for key, value in keys.items():
                if key not in _TABLES[table]:
                    known = ", ".join(_TABLES[table])
                    raise BadSetting(f"unknown guardrail {table}.{key}; known there: {known}")
                lifted = table == "caps" and value == "none"
                changes[_TABLES[table][key]] = None if lifted else value
        return replace(self, **changes)

    def to_mapping(self) -> dict[str, dict[str, Any]]:
        """As the tables of the TOML file; a cap that is lifted is "none"."""
        values = asdict(self)
        return {
            table: {
                key: "none" if values[name] is None else values[name] for key, name in keys.items()
            }
            for table, keys in _TABLES.items()
        }

    @property
    def hash(self) -> str:
        """Content hash of the values."""
        return content_hash(self.to_mapping())

    def looser_than(self, other: Guardrails) -> list[str]:
        """Names of the limits that allow here what `other` forbids."""
        names = []
        for name in ("per_calendar_day", "per_24h", "per_7d"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if theirs is not None and (mine is None or mine > theirs):
                names.append(f"caps.{name}")
        for name in ("min_hours", "item_cooldown_days"):
            if getattr(self, name) < getattr(other, name):
                names.append(f"gaps.{name}")
        if other.quiet_minutes() - self.quiet_minutes():
            names.append("quiet_hours")
        return names

    def quiet_minutes(self) -> set[int]:
        """Minutes of the local day in which nothing is sent."""
        start, end = _minutes(self.quiet_start, "start"), _minutes(self.quiet_end, "end")
        return {(start + i) % 1440 for i in range((end - start) % 1440)}


_TABLES: dict[str, dict[str, str]] = {
    "quiet_hours": {"start": "quiet_start", "end": "quiet_end"},
    "caps": {name: name for name in ("per_calendar_day", "per_24h", "per_7d")},
    "gaps": {name: name for name in ("min_hours", "item_cooldown_days")},
    "exploration": {"floor": "floor"},
    "holdout": {"share": "holdout_share", "salt": "holdout_salt"},
}
assert {name for keys in _TABLES.values() for name in keys.values()} == {
    field.name for field in fields(Guardrails)
}


@dataclass(frozen=True)
class Mask:
    """What N decisions with K candidates and V variants may use."""

    item: np.ndarray
    """`Reason` of each candidate (N, K) uint8."""
    variant: np.ndarray
    """`Reason` of each variant (N, V) uint8."""
    hour: np.ndarray
    """`Reason` of each hour (N, 24) uint8."""
    send_at: np.ndarray
    """Instant that each hour means (N, 24) int64, `NEVER` where there is none."""

    @property
    def allowed(self) -> np.ndarray:
        """The observation's `action_mask` (N, K + V + 24) int8: items, variants, hours."""
        return np.concatenate([self.item == 0, self.variant == 0, self.hour == 0], 1).astype(
            np.int8
        )


@njit(cache=True)
def _reserved(send: Any) -> Any:
    """Whether a ring slot counts for caps: sent, or scheduled and not released."""
    return (send.status != FREE) & (send.status != RELEASED)


@njit(cache=True)
def _full(sends: Any, count: Any, at: Any, window: Any, cap: Any) -> Any:
    """Whether one more send at `at` beside the first `count` would put more than `cap` into some
    window."""
    if count < cap:
        return False
    for last in range(-1, count):
        end = at if last < 0 else sends[last]
        if last >= 0 and (end <= at or end - at >= window):
            continue
        inside = 1
        for i in range(count):
            inside += end - window < sends[i] <= end
        if inside > cap:
            return True
    return False


@njit(cache=True)
def mask_scratch() -> Any:
    """Arrays that `mask_all` works in."""
    sends, days = np.empty(RING, np.int64), np.empty(RING, np.int64)
    hours = np.empty(24, np.int64), np.empty(24, np.int64)
    return (sends, days), np.empty(RING, np.uint64), hours


@njit(cache=True)
def mask_all(
    histories: Any,
    decided_at: Any,
    zone: Any,
    at: Any,
    zones: Any,
    near: Any,
    rules: Any,
    hashes: Any,
    available_until: Any,
    scratch: Any,
    out: Any,
    out_item: Any,
) -> None:
    """Fills the hours' reasons (N, 24), and adds to the catalogue's reasons (N, K) those of the
    user, of cool-downs and of time. at: (N, 24) from `send_times`; near: where `segment` begins,
    one a zone; rules: from `limits`."""
    bounds, starts, offsets = zones
    quiet, caps, gap, cooldown = rules
    (sends, days), sent, (beside, reasons) = scratch
    reach = max(gap, cooldown, 7 * DAY)
    # No cap: more than the ring can hold.
    most_today, most_24h, most_7d = (
        caps[0] if caps[0] >= 0 else RING + 1,
        caps[1] if caps[1] >= 0 else RING + 1,
        caps[2] if caps[2] >= 0 else RING + 1,
    )
    for n in range(histories.size):
        state, began = histories[n], decided_at[n]
        place = segment(bounds, starts, zone[n], began, near[zone[n] + 1])
        near[zone[n] + 1] = place
        offset = offsets[place]
        even = steady(bounds, starts, zone[n], began, place)
        minute, this_day = ((began + offset) // MINUTE) % 1440, (began + offset) // DAY
        now = minute // 60
        count: Any = 0
        newest = NEVER
        for slot in range(RING):
            send = state.ring[slot]
            sends[count], sent[count] = send.send_at, send.item
            # Nothing older than the longest window bears on an hour from the decision on.
            count += (send.send_at > began - reach) & _reserved(send)
        for i in range(count):
            newest, days[i] = max(newest, sends[i]), -1
            if sends[i] > began - 3 * DAY:  # a local day is never that far off
                if not even:
                    offset = offsets[segment(bounds, starts, zone[n], sends[i], place)]
                days[i] = (sends[i] + offset) // DAY
        when = at[n]
        _count_beside(sends, days, count, when, this_day, now, gap, beside)
        for hour in range(24):
            reason = _MIN_GAP if (beside[hour] >> _CLOSE) & _EACH else 0
            reason = _CAP_7D if (beside[hour] >> _WEEK) & _EACH > most_7d else reason
            reason = _CAP_24H if (beside[hour] >> _24H) & _EACH > most_24h else reason
            reasons[hour] = _CAP_CALENDAR_DAY if beside[hour] & _EACH > most_today else reason
        if newest > began:
            _cap_ahead(sends, count, newest, when, caps, reasons)
        last = NEVER
        for hour in range(24):
            silent = quiet[minute if hour == now else 60 * hour]
            last = max(last, NEVER if silent else when[hour])
            reason = _QUIET_HOURS if silent else reasons[hour]
            out[n, hour] = _NO_SUCH_HOUR if when[hour] == NEVER else reason
        whole = 0
        if state.unsubscribed == 1:
            whole = _UNSUBSCRIBED
        elif state.consent == 0:
            whole = _CONSENT
        elif zone[n] < 0:
            whole = _TIMEZONE_UNKNOWN
        recent = 0
        for i in range(count):
            if sends[i] + cooldown > began:
                sent[recent] = sent[i]
                recent += 1
        for k in range(out_item.shape[1]):
            if out_item[n, k] != 0:
                continue
            until = available_until[n, k]
            if whole:
                out_item[n, k] = whole
                continue
            # The last hour outside quiet hours, whatever caps and gaps say of it: were it the
            # last allowed hour, raising a cap would mask items.
            if until != NEVER and until <= last:
                out_item[n, k] = _NOT_AVAILABLE
            for i in range(recent):
                if sent[i] == hashes[n, k]:
                    out_item[n, k] = _ITEM_COOLDOWN


_EACH, _CLOSE, _24H, _WEEK = 255, 8, 16, 24
"""Four counts lie in one integer, each of a byte: of the day, too close, of 24 hours, of 7 days."""


@njit(cache=True)
def _count_beside(
    sends: Any, days: Any, count: Any, when: Any, this_day: Any, now: Any, gap: Any, out: Any
) -> None:
    """Sends, one at each hour among them, that are too close to it and on its day, in the 24 hours
    and in the 7 days up to it."""
    out[:] = 1 | 1 << _24H | 1 << _WEEK
    for i in range(count):
        for hour in range(24):
            since = when[hour] - sends[i]
            on_day = days[i] == this_day + (hour < now)
            before, close = since >= 0, abs(since) < gap
            out[hour] += (
                np.int64(on_day)
                | np.int64(close) << _CLOSE
                | np.int64(before & (since < 24 * HOUR)) << _24H
                | np.int64(before & (since < 7 * DAY)) << _WEEK
            )


@njit(cache=True)
def _cap_ahead(sends: Any, count: Any, newest: Any, when: Any, caps: Any, out: Any) -> None:
    """Adds the caps that an hour breaks with sends scheduled after it."""
    for hour in range(24):
        at = when[hour]
        if newest <= at or out[hour] == _CAP_CALENDAR_DAY or out[hour] == _CAP_24H:
            continue
        if caps[1] >= 0 and _full(sends, count, at, 24 * HOUR, caps[1]):
            out[hour] = _CAP_24H
        elif caps[2] >= 0 and _full(sends, count, at, 7 * DAY, caps[2]):
            out[hour] = _CAP_7D


@lru_cache(maxsize=64)
def limits(guardrails: Guardrails) -> tuple[np.ndarray, np.ndarray, int, int]:
    """What compiled code knows of guardrails: whether each minute of the local day is quiet
    (1440,) bool, the caps of a calendar day, 24 hours and 7 days (3,) int64, -1 for none, and the
    gap and the cool-down in microseconds."""
    quiet = np.zeros(1440, np.bool_)
    quiet[list(guardrails.quiet_minutes())] = True
    caps = (guardrails.per_calendar_day, guardrails.per_24h, guardrails.per_7d)
    return (
        quiet,
        np.array([-1 if cap is None else cap for cap in caps], np.int64),
        int(guardrails.min_hours * HOUR),
        int(guardrails.item_cooldown_days * DAY),
    )


def mask(
    guardrails: Guardrails,
    histories: np.ndarray,
    decided_at: np.ndarray,
    zone: np.ndarray,
    item_hashes: np.ndarray,
    available_until: np.ndarray,
    item_reason: np.ndarray,
    variant_reason: np.ndarray,
) -> Mask:
    """The mask of N decisions.

    histories: (N,) `HISTORY`. decided_at: (N,) int64. zone: (N,) int16 codes. item_hashes:
    (N, K) uint64 and available_until: (N, K) int64, of the candidates. item_reason: (N, K) and
    variant_reason: (N, V) uint8, from `catalog_reasons`.
    """
    send_at, _ = send_times(decided_at, zone)
    hours = np.zeros((len(histories), 24), np.uint8)
    items = item_reason.copy()
    zones = zone_tables()
    mask_all(
        histories,
        decided_at,
        zone,
        send_at,
        zones,
        zones[0].copy(),
        limits(guardrails),
        item_hashes,
        available_until,
        mask_scratch(),
        hours,
        items,
    )
    return Mask(items, variant_reason.copy(), hours, send_at)
