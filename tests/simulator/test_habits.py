"""Habits read from a shop's events are those that the events were drawn with."""

import numpy as np
import pytest

from ingestion.parse import log_of
from ingestion.replay import to_events
from mdp.clock import DAY, HOUR, MINUTE
from mdp.events import Kind
from mdp.local_time import local_hour
from policies.baselines import Hold
from simulator.habits import Acts, habits_of
from simulator.worlds.base import lived
from simulator.worlds.logit import LogitShop


@pytest.fixture(scope="module")
def known():
    """A shop without pushes, and the habits read from 60 of its days."""
    shop = LogitShop().simulator(300, 2)
    later, kernel = lived(shop, 60, 2, Hold(), record=True)
    users = to_events(log_of(kernel.tables()))
    mine = users.events["kind"] <= Kind.PURCHASE
    events, owner = users.events[mine], users.owner[mine]
    place = {item: row for row, item in enumerate(shop.catalog.items.hashes.tolist())}
    item = np.array([place[item] for item in events["item"].tolist()])
    paid = np.where(events["kind"] == Kind.PURCHASE, events["value"], np.nan).astype(float)
    acts = Acts(owner, item, events["kind"], events["at"], paid)
    return shop, habits_of(shop.users, acts, shop.catalog.items.price, later.start), acts


def test_visits_touches_and_purchases_are_those_of_the_shop(known):
    shop, habits, _ = known
    organic, visits = shop.organic, habits.visits
    touches = habits.ends.sum(1) / habits.ends[:, 0]
    assert visits.sessions.mean() == pytest.approx(organic.sessions.mean(), rel=0.1)
    assert visits.leaving == 0
    # A few are not seen, for demand drops after a purchase.
    assert touches.mean() == pytest.approx(organic.touches.mean(), rel=0.1)
    assert habits.buy.mean() == pytest.approx(organic.buy.mean(), rel=0.25)
    assert habits.cart == pytest.approx(organic.cart, rel=0.1)
    assert habits.view == 1.0
    assert np.corrcoef(visits.sessions, organic.sessions)[0, 1] > 0.7
    assert np.corrcoef(touches, organic.touches)[0, 1] > 0.5


def test_hours_and_weekdays_are_those_of_the_shop(known):
    shop, habits, _ = known
    np.testing.assert_allclose(habits.hours.sum(1), 1.0)
    assert np.corrcoef(habits.hours.mean(0), shop.organic.hours.mean(0))[0, 1] > 0.98
    true = shop.organic.hours
    own = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(habits.hours, true, strict=True)])
    common = np.mean([np.corrcoef(true.mean(0), b)[0, 1] for b in true])
    assert own > common + 0.05
    assert habits.weekday.mean() == pytest.approx(1.0)
    np.testing.assert_allclose(habits.weekday, shop.organic.weekday, atol=0.08)


def test_one_long_visit_tells_less_of_a_users_hours_than_two_short_ones():
    shop = LogitShop().simulator(1, 2)
    begin = (shop.start // DAY) * DAY
    ahead = int(local_hour(np.array([begin]), shop.users.codes)[0]) * HOUR
    long = [begin + 8 * HOUR + n * MINUTE for n in range(10)]
    at = np.array(long + [begin + day * DAY + 20 * HOUR for day in (1, 2)]) - ahead
    item = np.zeros(12, np.int64)
    acts = Acts(item, item, np.full(12, Kind.VIEW, np.int8), at, np.full(12, np.nan))
    hours = habits_of(shop.users, acts, shop.catalog.items.price, begin + 5 * DAY).hours[0]
    assert hours[20] > hours[8] > hours[3]


def test_items_cost_what_was_paid_for_them_or_else_their_price(known):
    shop, habits, acts = known
    np.testing.assert_allclose(habits.spend, shop.catalog.items.price, atol=0.006)
    bought = acts.kind == Kind.PURCHASE
    one = int(acts.item[bought][0])
    acts.value[bought & (acts.item == one)] *= 3
    again = habits_of(shop.users, acts, shop.catalog.items.price, int(acts.at.max()))
    assert again.spend[one] == pytest.approx(3 * shop.catalog.items.price[one], abs=0.01)


def test_fewer_views_after_a_purchase_than_before_are_satiation(known):
    shop, _, acts = known
    later = shop.start + 60 * DAY
    price = shop.catalog.items.price
    bought = acts.kind == Kind.PURCHASE
    owner, item, at = acts.owner[bought], acts.item[bought], acts.at[bought]

    def viewed(before: int, after: int) -> float:
        """Views of what was bought on as many days before and after each purchase."""
        gap = np.concatenate([-np.arange(1, before + 1), np.arange(1, after + 1)]) * DAY
        views = Acts(
            owner=np.concatenate([owner, owner.repeat(len(gap))]),
            item=np.concatenate([item, item.repeat(len(gap))]),
            kind=np.repeat([Kind.PURCHASE, Kind.VIEW], [len(at), len(at) * len(gap)]).astype(
                np.int8
            ),
            at=np.concatenate([at, (at[:, None] + gap).ravel()]),
            value=np.full(len(at) * (1 + len(gap)), np.nan),
        )
        return habits_of(shop.users, views, price, later).satiation

    assert viewed(4, 4) == 0.0
    assert viewed(4, 2) == pytest.approx(0.53, abs=0.03)  # a half, and more at once
    assert viewed(2, 4) == 0.0


def test_a_shop_that_logs_purchases_only_and_users_without_a_past():
    shop = LogitShop().simulator(3, 0)
    start = shop.start
    acts = Acts(
        owner=np.array([0, 0, 1]),
        item=np.array([4, 5, 4]),
        kind=np.full(3, Kind.PURCHASE, np.int8),
        at=start + np.array([0, DAY, 0]),
        value=np.full(3, np.nan),
    )
    habits = habits_of(shop.users, acts, shop.catalog.items.price, start + 30 * DAY)
    assert (habits.view, habits.cart) == (0.0, 0.0)
    np.testing.assert_array_equal(habits.buy, 1.0)
    visits = habits.visits
    assert visits.sessions[0] > visits.sessions[1]
    assert visits.sessions[1] == pytest.approx(
        visits.sessions[2], rel=0.05
    )  # a first visit tells of no rate
    assert habits.satiation == 0.0
