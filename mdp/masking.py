"""The mask: which items, variants and hours a decision may use, each refusal with a reason.

One function, `mask`, for training, evaluation and server. Hold is always allowed. A rule that
spans factors masks the whole item. Every rule is checked at the instant that an hour means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mdp.clock import DAY, HOUR, MINUTE, NEVER, zone_tables
from mdp.compiled import njit
from mdp.guardrails import Guardrails, Reason, limits
from mdp.local_time import local_time, segment, send_times, steady
from mdp.state import FREE, RELEASED, RING

_UNSUBSCRIBE_RISK = int(Reason.UNSUBSCRIBE_RISK)
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


def first_quiet(guardrails: Guardrails, zone: int, at: int, until: int) -> int:
    """The first instant from `at` on, microseconds UTC, that is in quiet hours on the clock of a
    zone (its code); `until` where none is before that."""
    # Two days hold every time of a local day, whatever daylight saving skips.
    instants = np.arange(at - at % MINUTE, min(until, at + 2 * DAY), MINUTE)
    local = local_time(instants, np.full(len(instants), zone, np.int16))
    quiet = np.flatnonzero(limits(guardrails)[0][local // MINUTE % 1440])
    return max(at, int(instants[quiet[0]])) if len(quiet) else until


@njit(cache=True)
def mask_risky(
    base: Any,
    item: Any,
    variant: Any,
    hour: Any,
    cloglog: Any,
    limits: Any,
    reasons: Any,
    action_mask: Any,
) -> None:
    """Masks the items of N decisions of which some send is riskier than the ceiling.

    An item is judged by the copy and the hour with the highest risk: of the listed copy that the
    catalogue allows, and of the hours outside quiet hours whatever caps say of them (were it the
    allowed hours, raising a cap would mask items). So no allowed send is above the ceiling.

    base: (N, H), item (N, H, K), variant (N, H, V) and hour (N, H, 24), terms of the heads, of
    which the last is unsubscribing; cloglog: (H,). limits: from `risk_limits`. reasons: of items,
    variants and hours; action_mask: (N, K + V + 24).
    """
    of_item, of_variant, of_hour = reasons
    last = cloglog.size - 1
    most = limits[1] if cloglog[last] else limits[0]
    if most == np.inf:
        return
    for n in range(of_item.shape[0]):
        copy, when = -np.inf, -np.inf
        for v in range(of_variant.shape[1]):
            if of_variant[n, v] == 0:
                copy = max(copy, variant[n, last, v])
        for h in range(24):
            if of_hour[n, h] != _QUIET_HOURS and of_hour[n, h] != _NO_SUCH_HOUR:
                when = max(when, hour[n, last, h])
        for k in range(of_item.shape[1]):
            risky = base[n, last] + item[n, last, k] + copy + when > most
            if of_item[n, k] == 0 and risky:
                of_item[n, k], action_mask[n, k] = _UNSUBSCRIBE_RISK, 0
