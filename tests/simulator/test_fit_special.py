"""What special days do to visits and purchases is found, and leaves habits as they are."""

from dataclasses import replace

import numpy as np
import pytest

from ingestion.parse import log_of
from ingestion.replay import to_events
from mdp.clock import DAY, HOUR
from mdp.events import Kind
from mdp.special_days import NO_DAYS
from policies.baselines import Hold
from simulator.fit_lull import lull_and_habits
from simulator.fit_special import WIDTH, with_special_days
from simulator.habits import Acts
from simulator.special_days import SpecialDays
from simulator.worlds.base import lived
from simulator.worlds.logit import LogitShop

USERS, DAYS = 600, 40
SALES, QUIET, FUTURE = (6, 15, 28), (10, 21), 60
VISITS, BUYING = 2.0, 1.5


@pytest.fixture(scope="module")
def shop():
    return LogitShop().simulator(USERS, 2)


@pytest.fixture(scope="module")
def special(shop):
    """Sales, of which one is still to come, and days on which nothing happens."""
    named = dict.fromkeys(QUIET, 0) | dict.fromkeys((*SALES, FUTURE), 1)
    days = np.array(sorted(named), np.int32)
    names = np.array([named[day] for day in days.tolist()])
    return SpecialDays(days + np.int32(shop.start // DAY), names, ("quiet", "sale"))


def habits_and_acts(shop, aside):
    """The habits read from a life without pushes, and what was done in it."""
    later, kernel = lived(shop, DAYS, 2, Hold(), record=True)
    users = to_events(log_of(kernel.tables()))
    mine = users.events["kind"] <= Kind.PURCHASE
    events, owner = users.events[mine], users.owner[mine]
    place = {item: row for row, item in enumerate(shop.catalog.items.hashes.tolist())}
    item = np.array([place[item] for item in events["item"].tolist()])
    acts = Acts(owner, item, events["kind"], events["at"], events["value"].astype(float))
    price = shop.catalog.items.price
    return lull_and_habits(shop.users, users, acts, price, later.start, aside)[1], acts


@pytest.fixture(scope="module")
def known(shop, special):
    """Habits of the shop with sales, read without them and with them, and of the shop without
    any; and what was done in the first."""
    sales = special.day[special.name == 1]
    factors = np.tile(np.array([VISITS, BUYING], np.float32), (len(sales), 1))
    lively = replace(shop, organic=replace(shop.organic, special_day=sales, special=factors))
    aside, acts = habits_and_acts(lively, special.day)
    return aside, habits_and_acts(lively, NO_DAYS)[0], habits_and_acts(shop, NO_DAYS)[0], acts


def fitted(shop, habits, special, acts):
    weekday = habits.weekday.astype(np.float32)
    return with_special_days(replace(shop.organic, weekday=weekday), special, shop.users, acts)


def test_a_planted_day_is_found_and_one_that_does_nothing_does_nothing(shop, special, known):
    organic = fitted(shop, known[0], special, known[-1])
    np.testing.assert_array_equal(organic.special_day, special.day)
    sale, quiet = (np.unique(organic.special[special.name == row], axis=0) for row in (1, 0))
    assert len(sale) == len(quiet) == 1
    assert sale[0, 0] == pytest.approx(VISITS, rel=0.08)
    assert sale[0, 1] == pytest.approx(BUYING, rel=0.25)
    assert quiet[0, 0] == pytest.approx(1.0, abs=0.12)
    assert quiet[0, 1] == pytest.approx(1.0, abs=0.25)


def test_habits_are_those_of_ordinary_days(known):
    aside, bent, plain, _ = known
    for name in ("sessions", "alive"):
        means = [getattr(one.visits, name).mean() for one in known[:3]]
        assert means[0] == pytest.approx(means[2], rel=0.01)
    assert bent.visits.sessions.mean() > 1.05 * plain.visits.sessions.mean()
    assert bent.buy.mean() > 1.05 * plain.buy.mean()
    assert aside.buy.mean() == pytest.approx(plain.buy.mean(), rel=0.04)
    off = [np.abs(one.weekday - plain.weekday).max() for one in (aside, bent)]
    assert off[0] < 0.05 < off[1]


def scattered(shop, spread):
    """Views on days of which each is another (Acts), and which day had the most."""
    rng = np.random.default_rng(5)
    counts = rng.poisson(300 * np.exp(spread * rng.normal(size=DAYS)))
    day = np.repeat(np.arange(DAYS), counts)
    at = shop.start // DAY * DAY + day * DAY + rng.integers(0, 24, len(day)) * HOUR
    none = np.zeros(len(day), np.int64)
    views = np.full(len(day), Kind.VIEW, np.int8)
    acts = Acts(rng.integers(0, USERS, len(day)), none, views, at, np.full(len(day), np.nan))
    inside = np.arange(1, DAYS - 1)
    return acts, int(inside[np.argmax(counts[inside])])


def test_luck_of_one_day_is_no_large_effect(shop):
    """Days that scatter by 0.5 say less than ones that scatter by Poisson's law alone."""
    shop = replace(shop, users=replace(shop.users, zones=("UTC",) * USERS))
    acts, most = scattered(shop, 0.5)
    flat = replace(shop.organic, weekday=np.ones(7, np.float32))
    one = SpecialDays(np.array([shop.start // DAY + most], np.int32), np.zeros(1, np.int64), ("x",))
    organic = with_special_days(flat, one, shop.users, acts)
    assert organic.special is not None
    found = np.log(organic.special[0, 0])
    count = np.bincount(acts.at // DAY - shop.start // DAY)
    apart = np.log(count[most] / np.delete(count, most).mean())
    assert apart > WIDTH
    assert 0.2 * apart < found < 0.7 * apart


def test_few_ordinary_days_say_nothing(shop, special, known):
    early = known[-1].only(known[-1].at < shop.start + 14 * DAY)
    assert fitted(shop, known[0], special, early).special is None
    nothing = early.only(np.zeros(len(early.at), bool))
    assert fitted(shop, known[0], special, nothing).special is None
    none = SpecialDays(NO_DAYS, np.zeros(0, np.int64), ())
    assert fitted(shop, known[0], none, known[-1]).special is None


def test_a_shop_without_views_says_of_visits_alone(shop, special, known):
    acts = known[-1].only(known[-1].kind == Kind.PURCHASE)
    found = fitted(shop, known[0], special, acts).special
    np.testing.assert_array_equal(found[:, 1], 1.0)
    assert (found[special.name == 1, 0] > 1.4).all()
