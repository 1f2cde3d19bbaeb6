"""Figures of user-weeks are those of the events, and boosting finds what differs, and only that."""

import numpy as np
import pytest

from ingestion.parse import log_of
from ingestion.replay import UserEvents, to_events
from mdp.events import Kind, events_array
from mdp.local_time import next_local_midnight
from policies.baselines import Hold
from simulator.fidelity_weeks import (
    COUNTED,
    after_purchases,
    gaps_of,
    half_of,
    told_apart,
    weeks_of,
)
from simulator.worlds.base import lived
from simulator.worlds.logit import LogitShop


@pytest.fixture(scope="module")
def known():
    shop = LogitShop().simulator(400, 3)
    _, kernel = lived(shop, 15, 3, Hold(), record=True)
    events = to_events(log_of(kernel.tables()))
    begins = next_local_midnight(np.full(len(events.user_ids), shop.start - 1), events.zone)
    return shop, events, begins


def test_weeks_hold_what_happened_in_them(known):
    shop, events, begins = known
    weeks = weeks_of(events, begins, 14, shop.catalog.items)
    views, carts, bought = weeks[:, 0], weeks[:, 1], weeks[:, 2]
    acts = views + carts + bought
    n = len(COUNTED)
    np.testing.assert_array_equal(weeks[:, n : n + 6].sum(1), acts)
    np.testing.assert_array_equal(weeks[:, n + 6 : n + 13].sum(1), acts)
    assert len(weeks) == 2 * len(begins)
    inside = events.events["at"] < begins[events.owner] + 14 * 86_400_000_000
    assert views.sum() == (inside & (events.events["kind"] == Kind.VIEW)).sum()
    days, items, mean, longest = weeks[:, -4:].T
    assert ((days > 0) == (acts > 0)).all()
    assert days.max() <= 7
    assert (items <= views).all()
    paused = ~np.isnan(mean)
    assert (mean[paused] <= longest[paused]).all()
    assert longest[paused].max() < 7
    assert not paused[acts == 0].any()


def test_pauses_are_between_visits_not_within_them(known):
    _, events, begins = known
    owner, hours = gaps_of(events, begins, 14)
    assert hours.min() >= 0.5
    assert hours.max() < 14 * 24
    assert np.bincount(owner).max() < 40


def test_boosting_finds_more_visits_and_nothing_in_halves(known):
    shop, events, begins = known
    weeks = weeks_of(events, begins, 14, shop.catalog.items)
    user = np.tile(np.arange(len(begins)), 2)
    half = half_of(len(begins), 0)[user]
    assert told_apart(weeks, user, half, 0) == pytest.approx(0.5, abs=0.06)
    livelier = np.where(half[:, None], 2 * weeks, weeks)
    assert told_apart(livelier, user, half, 0) > 0.65


def test_one_user_cannot_be_told_from_nobody():
    one = np.zeros((2, 30))
    assert told_apart(one, np.zeros(2, np.int64), np.array([True, True]), 0) == 0.5


def test_days_with_a_purchase_are_told_by_days_since_the_last():
    day, begins = 86_400_000_000, np.array([10, 10]) * 86_400_000_000
    at = [9 * day, 12 * day, 12 * day + 5, 13 * day]
    events = events_array(len(at))
    events["at"], events["kind"] = at, Kind.PURCHASE
    users = UserEvents(
        ("a", "b"), np.zeros(2, np.int16), np.ones(2, bool), np.zeros(4, int), events
    )
    assert after_purchases(users, begins, 5) == {
        "1": (1 / 3, 3),  # the 10th, 13th and 14th day
        "2–3": (1 / 2, 2),  # the 11th and 12th
        "none before": (0.0, 5),
    }
