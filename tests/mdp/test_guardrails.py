"""The mask: what each rule refuses, and that looser rules never refuse more."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdp.catalog import Catalog
from mdp.clock import DAY, HOUR, NEVER, zone_codes
from mdp.errors import BadSetting
from mdp.events import Kind, event_order, events_array
from mdp.guardrails import Guardrails, Reason
from mdp.hashing import hash_ids
from mdp.local_time import send_times
from mdp.masking import mask
from mdp.reasons import catalog_reasons
from mdp.state import apply, features, new_histories

T0 = 20_000 * DAY
FREE = Guardrails(
    quiet_start="00:00",
    quiet_end="00:00",
    per_calendar_day=None,
    per_7d=None,
    min_hours=0,
    item_cooldown_days=0,
)
ITEMS = hash_ids(["i0", "i1"])


def sent(*times: int, item: int = int(ITEMS[0])) -> np.ndarray:
    histories = new_histories(1)
    events = events_array(len(times))
    events["kind"], events["at"], events["send_at"] = Kind.SEND, T0 - 30 * DAY, times
    events["id"] = events["decision"] = np.arange(len(times)) + 1
    events["item"] = item
    owner = np.zeros(len(times), np.int64)
    apply(histories, owner, events[event_order(owner, events)])
    return histories


def masked(
    rules: Guardrails,
    histories: np.ndarray,
    at: int = T0,
    zone: str = "UTC",
    until: tuple[int, int] = (NEVER, NEVER),
):
    when = np.array([at])
    return mask(
        rules,
        features(histories, when),
        when,
        zone_codes([zone]),
        ITEMS[None, :],
        np.array([until]),
        np.zeros((1, 2), np.uint8),
        np.zeros((1, 1), np.uint8),
    )


def test_nothing_is_refused_without_rules():
    assert (masked(FREE, sent(T0 - DAY)).allowed == 1).all()


@pytest.mark.parametrize(
    ("start", "end", "quiet"),
    [
        ("22:00", "08:00", {22, 23, *range(8)}),
        ("12:00", "14:00", {12, 13}),
        ("07:00", "07:00", set()),
    ],
)
def test_quiet_hours_may_cross_midnight(start, end, quiet):
    hours = masked(replace(FREE, quiet_start=start, quiet_end=end), new_histories(1)).hour[0]
    assert set(np.flatnonzero(hours == Reason.QUIET_HOURS)) == quiet
    assert (np.delete(hours, sorted(quiet)) == 0).all()


def test_quiet_hours_are_the_users():
    rules = replace(FREE, quiet_start="12:00", quiet_end="13:00")
    hours = masked(rules, new_histories(1), zone="Asia/Tokyo").hour[0]
    assert set(np.flatnonzero(hours)) == {12}


def test_a_cap_counts_by_the_local_date_of_sending():
    rules = replace(FREE, per_calendar_day=1)
    histories = sent(T0 + 3 * HOUR)
    assert (masked(rules, histories).hour == Reason.CAP_CALENDAR_DAY).all()
    later = masked(rules, histories, at=T0 + 5 * HOUR).hour[0]
    assert set(np.flatnonzero(later == 0)) == {0, 1, 2, 3, 4}


def test_a_scheduled_send_reserves_its_place():
    rules = replace(FREE, per_24h=1)
    hours = masked(rules, sent(T0 + 12 * HOUR)).hour[0]
    assert (hours == Reason.CAP_24H).all()


@given(
    times=st.lists(st.integers(-9 * 24, 23), max_size=12, unique=True),
    cap=st.integers(0, 6),
    window=st.sampled_from([1, 7]),
)
def test_window_caps_are_those_of_a_brute_count(times, cap, window):
    rules = FREE.updated({"caps": {"per_24h" if window == 1 else "per_7d": cap}})
    stamps = [T0 + hours * HOUR for hours in times]
    hours = masked(rules, sent(*stamps)).hour[0]
    instants = send_times(np.array([T0]), zone_codes(["UTC"]))[0][0]
    for hour, instant in enumerate(instants):
        every = np.array([*stamps, instant])
        ends = every[(every >= instant) & (every < instant + window * DAY)]
        full = any(((every > end - window * DAY) & (every <= end)).sum() > cap for end in ends)
        assert (hours[hour] != 0) == full


def test_gaps_and_cool_downs():
    hours = masked(replace(FREE, min_hours=4), sent(T0 + 10 * HOUR)).hour[0]
    assert set(np.flatnonzero(hours == Reason.MIN_GAP)) == {7, 8, 9, 10, 11, 12, 13}
    cooling = masked(replace(FREE, item_cooldown_days=3), sent(T0 - 2 * DAY)).item[0]
    np.testing.assert_array_equal(cooling, [Reason.ITEM_COOLDOWN, 0])
    over = masked(replace(FREE, item_cooldown_days=2), sent(T0 - 2 * DAY)).item[0]
    assert (over == 0).all()


def test_an_item_gone_before_the_last_hour_of_sending_is_masked():
    def items(rules: Guardrails, until: int, histories: np.ndarray) -> list[int]:
        return masked(rules, histories, until=(until, NEVER)).item[0].tolist()

    fresh, gone = new_histories(1), int(Reason.NOT_AVAILABLE)
    assert items(FREE, T0 + 23 * HOUR, fresh) == [gone, 0]
    assert items(FREE, T0 + 23 * HOUR + 1, fresh) == [0, 0]
    quiet = replace(FREE, quiet_start="22:00", quiet_end="08:00")
    assert items(quiet, T0 + 21 * HOUR, fresh) == [gone, 0]
    assert items(quiet, T0 + 21 * HOUR + 1, fresh) == [0, 0]
    # A cap leaves only the morning, and the item is masked all the same: see the next test.
    capped = replace(FREE, per_24h=1)
    assert items(capped, T0 + 20 * HOUR, sent(T0 - 20 * HOUR)) == [gone, 0]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [("consent", 0, Reason.CONSENT), ("unsubscribed", 1, Reason.UNSUBSCRIBED)],
)
def test_a_user_who_must_not_be_pushed(field, value, reason):
    histories = new_histories(1)
    histories[field] = value
    assert (masked(FREE, histories).item == reason).all()


def test_an_unknown_zone_holds():
    assert (masked(FREE, new_histories(1), zone="").item == Reason.TIMEZONE_UNKNOWN).all()


@given(
    times=st.lists(st.integers(-9 * 24, 23), max_size=10, unique=True),
    at=st.integers(0, 23),
    until=st.integers(0, 48),
    cap=st.integers(0, 5),
    name=st.sampled_from(["per_calendar_day", "per_24h", "per_7d"]),
    zone=st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York"]),
)
def test_raising_a_cap_never_shrinks_the_mask(times, at, until, cap, name, zone):
    histories = sent(*(T0 + hours * HOUR for hours in times))

    def allowed(value: object) -> np.ndarray:
        rules = Guardrails().updated({"caps": {name: value}})
        gone = (T0 + until * HOUR, NEVER)
        return masked(rules, histories, T0 + at * HOUR, zone, gone).allowed

    tight = allowed(cap)
    for looser in (cap + 1, "none"):
        assert (allowed(looser) >= tight).all()


def test_catalogue_rules(catalog):
    items = catalog.items
    stock = items.stock.copy()
    stock[1] = 0
    until = items.available_until.copy()
    until[2], until[3] = T0, T0 + 1
    variants = replace(
        catalog.variants,
        statuses=("approved", "draft", "approved"),
        locales=("", "", "de"),
    )
    changed = Catalog(replace(items, stock=stock, available_until=until), variants)
    item, variant = catalog_reasons(
        changed,
        np.array([[0, 1, 2, 3, 4, -1]]),
        np.array([[0, 1, 2, -1]]),
        np.array([T0]),
        locales=["en"],
        blocked=[frozenset({"c"})],
    )
    R = Reason
    np.testing.assert_array_equal(
        item[0], [0, R.OUT_OF_STOCK, R.NOT_AVAILABLE, 0, R.PREFERENCE, R.PADDING]
    )
    np.testing.assert_array_equal(variant[0], [0, R.NOT_APPROVED, R.LOCALE, R.PADDING])
    assert (changed.items.available_until[0]) == NEVER


def test_copy_of_one_item_needs_that_item_alone(catalog):
    variants = replace(catalog.variants, items=("i2", "", ""))
    changed = Catalog(catalog.items, variants)
    both = catalog_reasons(changed, np.array([[1, 2]]), np.array([[0, 1]]), np.array([T0]))[1]
    alone = catalog_reasons(changed, np.array([[2, -1]]), np.array([[0, 1]]), np.array([T0]))[1]
    np.testing.assert_array_equal(both[0], [Reason.OTHER_ITEM, 0])
    np.testing.assert_array_equal(alone[0], [0, 0])


def test_settings_are_checked_and_come_back():
    rules = Guardrails().updated({"caps": {"per_7d": "none", "per_24h": 2}})
    assert (rules.per_7d, rules.per_24h) == (None, 2)
    assert Guardrails().updated(rules.to_mapping()) == rules
    assert rules.looser_than(Guardrails()) == ["caps.per_7d"]


def test_a_holdout_that_lets_users_go_is_looser():
    half = Guardrails(holdout_share=0.5)
    assert Guardrails(holdout_share=0.4).looser_than(half) == ["holdout.share"]
    assert Guardrails(holdout_share=0.6).looser_than(half) == []
    assert Guardrails(holdout_share=0.6, holdout_salt="x").looser_than(half) == ["holdout.salt"]
    assert Guardrails(holdout_salt="x").looser_than(Guardrails()) == []


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"caps": 3}, r"table \[caps\]"),
        ({"caps": {"per_7d": None}}, "per_7d is null"),
        ({"caps": {"per_7d": 40}}, "per_7d is 40; use a whole number from 0 to 31"),
        ({"caps": {"per_7d": True}}, "per_7d is True"),
        ({"caps": {"per_24h": 1.5}}, "per_24h is 1.5"),
        ({"gaps": {"min_hours": -1}}, "min_hours is -1"),
        ({"gaps": {"min_hours": "4"}}, "min_hours is '4'"),
        ({"gaps": {"item_cooldown_days": float("inf")}}, "item_cooldown_days is inf"),
        ({"gaps": {"item_cooldown_days": float("nan")}}, "item_cooldown_days is nan"),
        ({"exploration": {"floor": "none"}}, "floor is 'none'"),
        ({"quiet_hours": {"start": 22}}, "start is 22; write a text"),
        ({"quiet_hours": {"end": "8"}}, "end is '8'"),
        ({"quiet_hours": {"end": "²:00"}}, "end is '²:00'"),
        ({"holdout": {"salt": 5}}, "salt is 5"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(tables, message):
    with pytest.raises(BadSetting, match=message):
        Guardrails().updated(tables)
