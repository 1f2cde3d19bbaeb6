"""A lull after purchases is found where one was planted, and none where there is none."""

from dataclasses import replace

import numpy as np
import pytest

from ingestion.parse import log_of
from ingestion.replay import UserEvents, to_events
from mdp.events import Kind
from policies.baselines import Hold
from simulator.description import Simulator
from simulator.fit_lull import left_by, level_of, lull_of
from simulator.habits import Acts, habits_of
from simulator.lull import Lull
from simulator.worlds.base import lived
from simulator.worlds.logit import LogitShop

DAYS = 45


def shop(lull: Lull | None, users: int = 400) -> Simulator:
    """A shop whose users buy often, some twenty times as often as others."""
    plain = LogitShop().simulator(users, 3)
    often = np.geomspace(0.03, 0.6, users)
    buy = np.random.default_rng(3).permutation(often).astype(np.float32)
    organic = replace(plain.organic, buy=buy, sessions=plain.organic.sessions * 2, lull=lull)
    return replace(plain, organic=organic)


def logged(simulator: Simulator) -> tuple[UserEvents, Acts, int]:
    """Events of the shop's days without pushes, what users did, and when the days end."""
    later, kernel = lived(simulator, DAYS, 2, Hold(), record=True)
    users = to_events(log_of(kernel.tables()))
    mine = users.events["kind"] <= Kind.PURCHASE
    events, owner = users.events[mine], users.owner[mine]
    place = {item: row for row, item in enumerate(simulator.catalog.items.hashes.tolist())}
    item = np.array([place[item] for item in events["item"].tolist()])
    value = np.where(events["kind"] == Kind.PURCHASE, events["value"], np.nan).astype(float)
    return users, Acts(owner, item, events["kind"], events["at"], value), later.start


def without(users: UserEvents, acts: Acts, *kinds: Kind) -> tuple[UserEvents, Acts]:
    """The same without the events of some kinds."""
    kept, own = ~np.isin(users.events["kind"], kinds), ~np.isin(acts.kind, kinds)
    fewer = replace(users, owner=users.owner[kept], events=users.events[kept])
    return fewer, Acts(*(getattr(acts, f)[own] for f in ("owner", "item", "kind", "at", "value")))


def test_users_who_differ_are_no_lull():
    users, acts, until = logged(shop(None, 120))
    assert lull_of(users, acts, until) is None
    assert lull_of(*without(users, acts, Kind.PURCHASE), until) is None
    assert lull_of(*without(users, acts, Kind.VIEW, Kind.CART), until) is None


@pytest.mark.slow
@pytest.mark.parametrize("visits", [0.0, 0.5])
def test_a_planted_lull_is_found_and_habits_are_those_without_it(visits):
    truth = Lull(buys=0.8, visits=visits, days=7.0, latest=False)
    simulator = shop(truth)
    users, acts, until = logged(simulator)
    found = lull_of(users, acts, until)
    assert found is not None
    assert found.buys == pytest.approx(truth.buys, rel=0.2)
    assert found.visits == pytest.approx(truth.visits, abs=0.25)
    assert 5.0 <= found.days <= 10.0
    assert not found.latest
    price, organic = simulator.catalog.items.price, simulator.organic
    left = left_by(found, users, acts, until)
    rested, plain = (habits_of(simulator.users, acts, price, until, one) for one in (left, None))
    assert plain.buy.mean() < 0.7 * organic.buy.mean()
    assert rested.buy.mean() == pytest.approx(organic.buy.mean(), rel=0.25)
    often = [habits.visits.sessions.mean() for habits in (rested, plain)]
    assert (often[0] > 1.15 * often[1]) == (visits > 0)
    assert level_of(found, users, acts, until, rested.buy) == pytest.approx(1.0, abs=0.2)
    assert level_of(found, users, acts, until, plain.buy) > 1.3


@pytest.mark.slow
def test_the_latest_purchase_may_count_alone():
    users, acts, until = logged(shop(Lull(buys=1.5, visits=0.0, days=14.0, latest=True)))
    found = lull_of(users, acts, until)
    assert found is not None
    assert found.latest
    assert found.buys == pytest.approx(1.5, rel=0.2)
    assert found.visits == 0
