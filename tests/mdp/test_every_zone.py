"""Quiet hours in every IANA zone, around every change of its clock in ten years."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pytest

from mdp.clock import DAY, HOUR, NEVER, zone_codes
from mdp.guardrails import Guardrails, Reason
from mdp.masking import first_quiet, mask
from mdp.state import new_histories

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEARS = range(2020, 2030)
WINDOWS = (("22:00", "08:00"), ("23:30", "06:15"), ("01:30", "03:30"), ("00:00", "05:00"))
"""Quiet hours: two that cross midnight, one within the hours that are missing or repeated."""


def local(zone: ZoneInfo, at: int) -> datetime:
    return (EPOCH + timedelta(microseconds=at)).astimezone(zone)


def changes(zone: ZoneInfo) -> list[int]:
    """Instants, to the half hour, at which a zone's offset changes."""
    half_hours = 48 * 366 * len(YEARS)
    start = int((datetime(YEARS[0], 1, 1, tzinfo=UTC) - EPOCH).total_seconds())
    found: list[int] = []

    def offset(n: int) -> timedelta | None:
        return local(zone, (start + 1800 * n) * 1_000_000).utcoffset()

    def search(low: int, high: int) -> None:
        """Halve what lies between two months' ends until the change is found."""
        if offset(low) == offset(high):
            return
        if high - low == 1:
            found.append((start + 1800 * high) * 1_000_000)
            return
        middle = (low + high) // 2
        search(low, middle)
        search(middle, high)

    step = 48 * 10  # no zone changes twice within ten days, to and fro
    for low in range(0, half_hours, step):
        search(low, min(low + step, half_hours))
    return found


@pytest.fixture(scope="module")
def decisions() -> tuple[list[str], np.ndarray]:
    """Zones and instants (n,): a day, half a day and moments before and after each change, and one
    instant of every zone."""
    names: list[str] = []
    instants: list[int] = []
    kinds: dict[tuple[int, ...], int] = {}
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        around = changes(zone)
        kinds[tuple(around)] = kinds.get(tuple(around), 0) + 1
        # Of zones that change at the same instants three will do.
        many = around if kinds[tuple(around)] <= 3 else around[:1]
        for at in [*many, 20_500 * DAY]:
            for before in (DAY - HOUR, 12 * HOUR, 90 * 60_000_000, 1, -1):
                names.append(name)
                instants.append(at - before)
    return names, np.array(instants, np.int64)


def is_quiet(here: datetime, start: str, end: str) -> bool:
    now = f"{here:%H:%M}"
    return start <= now < end if start < end else not end <= now < start


@pytest.mark.slow
@pytest.mark.parametrize(("start", "end"), WINDOWS)
def test_nothing_is_ever_sent_in_quiet_hours(decisions, start, end):
    names, at = decisions
    rules = Guardrails(quiet_start=start, quiet_end=end, per_calendar_day=None, per_7d=None)
    n = len(names)
    found = mask(
        rules, new_histories(n, True), at, zone_codes(names), np.zeros((n, 1), np.uint64),
        np.full((n, 1), NEVER), np.zeros((n, 1), np.uint8), np.zeros((n, 1), np.uint8),
    )  # fmt: skip
    allowed, missing = 0, 0
    for row, name in enumerate(names):
        zone = ZoneInfo(name)
        for hour in range(24):
            reason, when = found.hour[row, hour], int(found.send_at[row, hour])
            if reason == Reason.NO_SUCH_HOUR:
                missing += 1
            if reason != Reason.ALLOWED:
                continue
            here = local(zone, when)
            assert not is_quiet(here, start, end), (name, here)
            assert here.hour == hour
            # The next 13:00 is 27 hours off where clocks go back by three (Antarctica/Casey).
            assert 0 <= when - at[row] <= DAY + 3 * HOUR, (name, local(zone, int(at[row])), here)
            allowed += 1
    assert allowed > 10 * n
    assert missing > 0


@pytest.mark.slow
@pytest.mark.parametrize(("start", "end"), WINDOWS)
def test_quiet_hours_begin_where_a_message_ends(decisions, start, end):
    rules = Guardrails(quiet_start=start, quiet_end=end)
    some = list(zip(decisions[0], decisions[1].tolist(), strict=True))[::3]
    waited = 0
    for name, at in some:
        zone, code = ZoneInfo(name), int(zone_codes([name])[0])
        begin = first_quiet(rules, code, at, at + 2 * DAY)
        assert is_quiet(local(zone, begin), start, end), (name, local(zone, at))
        between = {at + (begin - at) * part // 8 for part in range(8)} | {begin - 1}
        waited += begin > at
        for instant in between - {begin, at - 1}:
            assert not is_quiet(local(zone, instant), start, end), (name, local(zone, instant))
        assert first_quiet(rules, code, at, begin) == begin
    assert waited > len(some) // 4
