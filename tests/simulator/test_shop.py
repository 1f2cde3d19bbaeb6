"""A world over a shop's own log: its customers, items, times and tastes, then pushes."""

import numpy as np
import pandas as pd
import pytest

from ingestion.log import epoch_us
from ingestion.parse import log_of
from ingestion.read import read_log
from ingestion.replay import snapshots, to_events
from ingestion.write import write_log
from mdp.clock import DAY
from mdp.errors import NotEnoughData
from mdp.hashing import hash_id
from mdp.local_time import local_hour
from policies.baselines import Hold
from simulator.demo import demo
from simulator.kernel import Kernel
from simulator.worlds.base import lived
from simulator.worlds.logit import LogitShop
from simulator.worlds.shop import over_shop


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A shop that never pushed, as its log: users, items and events of 50 days."""
    path = tmp_path_factory.mktemp("shop")
    _, kernel = lived(LogitShop().simulator(150, 8), 50, 8, Hold(), record=True)
    tables = kernel.tables()
    kept = {name: tables[name] for name in ("users", "items", "events")}
    write_log(path / "log", kept, demo(LogitShop().simulator(2, 0), 1, 0).meta)
    return read_log(path / "log")


@pytest.fixture(scope="module")
def over(log):
    return over_shop(LogitShop(), log, 10, 0)


def test_users_items_and_earlier_events_are_the_shops(log, over):
    simulator, earlier = over
    buyers = log.tables["events"].query("event == 'purchase'")["user_id"]
    assert set(simulator.users.ids) <= set(buyers)
    assert set(simulator.catalog.items.ids) == set(log.tables["items"]["item_id"])
    assert len(simulator.catalog.variants) == 6
    end = epoch_us(log.tables["events"]["at"]).max()
    assert 9.4 * DAY < end - simulator.start < 10.6 * DAY
    kernel = Kernel(simulator, np.arange(len(simulator.users)))
    rows = [simulator.users.ids.index(name) for name in earlier["user_id"]]
    assert (epoch_us(earlier["at"]) < kernel.at[rows]).all()
    own = log.tables["events"]
    own = own[own["user_id"].isin(simulator.users.ids)]
    assert earlier["event_id"].isin(own["event_id"]).all()
    assert len(earlier) > 0.7 * len(own)


def test_histories_hold_what_the_users_did(over):
    simulator, earlier = over
    last = earlier.groupby("user_id").tail(1).set_index("user_id")
    ids = [hash_id(last.loc[user, "event_id"]) for user in simulator.users.ids]
    assert simulator.histories["last_id"].tolist() == ids
    counted = simulator.histories["counts"].sum((1, 2)) > 0
    assert counted.all()


def test_tastes_and_hours_are_learned_from_what_was_done(log, over):
    simulator, earlier = over
    liking = simulator.traits["taste"] @ simulator.response.item_taste.T
    offered = simulator.recommender.arrays()["guess"]
    place = {code: row for row, code in enumerate(simulator.catalog.items.hashes.tolist())}
    order = np.argsort(simulator.users.hashes)
    guess = np.vectorize(place.get)(offered)
    assert np.take_along_axis(liking[order], guess, 1).mean() == pytest.approx(0.85, abs=0.1)
    rows = [simulator.users.ids.index(name) for name in earlier["user_id"]]
    items = [simulator.catalog.items.row[name] for name in earlier["item_id"]]
    assert liking[rows, items].mean() > liking[rows].mean() + 0.3
    hour = local_hour(epoch_us(earlier["at"]), simulator.users.codes[rows])
    assert simulator.organic.hours[rows, hour].mean() > 1.5 / 24


def test_it_goes_on_at_the_shops_own_pace(over):
    simulator, earlier = over
    made = demo(simulator, 10, 0)
    days = np.ptp(epoch_us(earlier["at"])) / DAY
    pace = len(made.tables["events"]) / 10 / (len(earlier) / days)
    assert pace == pytest.approx(1.0, abs=0.25)
    assert made.tables["decisions"]["item_id"].notna().any()
    assert set(made.tables["events"]["event_id"]).isdisjoint(earlier["event_id"])


def test_earlier_events_and_the_demos_lead_to_the_histories_of_the_truth(over):
    simulator, earlier = over
    made = demo(simulator, 10, 0)
    columns = made.tables["events"].columns
    events = pd.concat([earlier[columns], made.tables["events"]], ignore_index=True)
    users = to_events(log_of({**made.tables, "events": events}))
    kernel = Kernel(made.truth, np.arange(len(simulator.users)))
    place = users.rows(pd.Series(simulator.users.ids))
    states = snapshots(users, place, kernel.at)
    assert states.tobytes() == made.truth.histories.tobytes()


def test_neither_a_currencys_unit_nor_a_shop_without_discounts_moves_the_rates(log):
    items = log.tables["items"]
    bare = items.assign(price=items["price"] * 150, list_price=np.nan)
    simulator = over_shop(LogitShop(), log.replace_tables(items=bare), 20, 0)[0]
    size, rng = len(simulator.users), np.random.default_rng(0)
    rows, seeds = np.tile(np.arange(size), 8), np.repeat(np.arange(8), size)
    kernel = Kernel(simulator, rows, seeds, 20)
    sent = opened = clicked = 0
    while not kernel.done:
        step = kernel.step(simulator.logging.act(kernel.view().observation, rng)[0])
        sent += step.sent.sum()
        opened += step.opened.sum()
        clicked += step.clicked.sum()
    assert 0.08 < opened / sent < 0.15
    assert 0.04 < clicked / sent < 0.07


def test_a_sample_of_its_users_can_be_taken(log):
    few, again, others = (over_shop(LogitShop(), log, 10, seed, 20)[0] for seed in (1, 1, 2))
    assert len(few.users) == 20
    assert few.users.ids == again.users.ids != others.users.ids
    assert few.traits.tobytes() == again.traits.tobytes()


def test_too_short_a_log_is_refused(log):
    with pytest.raises(NotEnoughData, match="take fewer"):
        over_shop(LogitShop(), log, 60, 0)
    sold = log.tables["events"].query("event != 'purchase'")
    with pytest.raises(NotEnoughData, match="no purchases"):
        over_shop(LogitShop(), log.replace_tables(events=sold), 10, 0)
