"""Local time against `zoneinfo`, over zones and daylight saving."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mdp.clock import DAY, HOUR, NEVER, zone_codes
from mdp.local_time import local_day, local_hour, next_local_midnight, send_times

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(when: datetime) -> int:
    return (when - EPOCH) // timedelta(microseconds=1)


def one(name: str, at: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array([at], np.int64), zone_codes([name])


@given(
    zone=st.sampled_from(ZONES),
    when=st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1)),
)
def test_local_time_is_that_of_zoneinfo(zone, when):
    when = when.replace(tzinfo=UTC)
    here = when.astimezone(ZoneInfo(zone))
    at, code = one(zone, micros(when))
    assert local_hour(at, code)[0] == here.hour
    assert local_day(at, code)[0] == (here.date() - EPOCH.date()).days


@given(
    zone=st.sampled_from(ZONES),
    when=st.datetimes(datetime(2019, 1, 1), datetime(2021, 1, 1)),
)
def test_an_hour_means_its_first_occurrence_from_the_decision_on(zone, when):
    at, code = one(zone, micros(when.replace(tzinfo=UTC)))
    instants, wall = (part[0] for part in send_times(at, code))
    now = int(local_hour(at, code)[0])
    assert instants[now] == at[0]
    for hour in range(24):
        if instants[hour] == NEVER:
            continue
        here = (EPOCH + timedelta(microseconds=int(instants[hour]))).astimezone(ZoneInfo(zone))
        assert here.hour == hour
        assert wall[hour] // HOUR % 24 == hour
        assert 0 <= instants[hour] - at[0] < 25 * HOUR
        if hour != now:
            assert (here.minute, here.second, here.microsecond) == (0, 0, 0)


def test_times_of_a_batch_are_those_of_each_alone():
    rng = np.random.default_rng(0)
    names = [*ZONES, "nowhere"]
    zone = zone_codes([names[i] for i in rng.integers(len(names), size=300)])
    at = rng.integers(0, 90 * 365, 300) * DAY + rng.integers(0, 24, 300) * HOUR
    for i in range(300):
        alone = at[i : i + 1], zone[i : i + 1]
        assert local_hour(at, zone)[i] == local_hour(*alone)[0]
        assert next_local_midnight(at, zone)[i] == next_local_midnight(*alone)[0]
    for batch, single in zip(
        send_times(at, zone),
        zip(*(send_times(at[i : i + 1], zone[i : i + 1]) for i in range(300)), strict=True),
        strict=True,
    ):
        np.testing.assert_array_equal(batch, np.concatenate(single))


def test_an_hour_that_daylight_saving_skips_is_never():
    at, zone = one("Europe/Berlin", micros(datetime(2026, 3, 28, 23, 0, tzinfo=UTC)))
    instants = send_times(at, zone)[0][0]
    assert instants[2] == NEVER
    assert (np.delete(instants, 2) != NEVER).all()
    assert instants[3] - instants[1] == HOUR


def test_a_repeated_hour_is_the_first_one():
    at, zone = one("Europe/Berlin", micros(datetime(2026, 10, 24, 22, 0, tzinfo=UTC)))
    instants = send_times(at, zone)[0][0]
    assert instants[2] - instants[1] == HOUR
    assert instants[3] - instants[2] == 2 * HOUR


@given(
    zone=st.sampled_from((*ZONES, "America/Santiago")),
    when=st.datetimes(datetime(2019, 1, 1), datetime(2021, 1, 1)),
)
def test_next_local_midnight_starts_the_next_date(zone, when):
    at, code = one(zone, micros(when.replace(tzinfo=UTC)))
    midnight = next_local_midnight(at, code)
    assert local_day(midnight, code)[0] == local_day(at, code)[0] + 1
    assert local_day(midnight - 1, code)[0] == local_day(at, code)[0]
    assert 0 < midnight[0] - at[0] <= DAY + HOUR
