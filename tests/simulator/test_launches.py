"""New items: like others, met and offered from their listing on, by half of who met those."""

import numpy as np
import pytest

from ingestion.check import findings
from ingestion.log import epoch_us
from ingestion.parse import log_of
from ingestion.rules import ERROR
from mdp.clock import DAY
from policies.baselines import Random
from simulator.launches import with_new_items
from simulator.worlds.base import lived
from simulator.worlds.logit import LogitShop

DAYS = 12


@pytest.fixture(scope="module")
def shops():
    shop = LogitShop().simulator(250, 2)
    return shop, with_new_items(shop, 5.0, DAYS, 0)


@pytest.fixture(scope="module")
def both(shops):
    """What the shop's users live without new items and with them."""
    return [lived(each, DAYS, 3, Random(), record=True)[1].tables() for each in shops]


def test_a_new_item_has_the_features_of_another_under_an_id_of_its_own(shops):
    shop, more = shops
    size, items = len(shop.catalog.items), more.catalog.items
    donors = np.flatnonzero(more.launches.successor >= 0)
    new = more.launches.successor[donors]
    assert 40 <= len(new) <= 80
    assert sorted(new.tolist()) == list(range(size, len(items)))
    assert items.ids[:size] == shop.catalog.items.ids
    assert len(set(items.ids)) == len(items)
    np.testing.assert_array_equal(items.price[new], items.price[donors])
    assert [items.categories[row] for row in new] == [items.categories[row] for row in donors]
    days = (more.launches.since[donors] - shop.start) // DAY
    assert (np.bincount(days, minlength=DAYS) > 0).sum() > 9


def test_no_rate_changes_nothing(shops):
    assert with_new_items(shops[0], 0.0, DAYS, 0) is shops[0]


def test_where_many_are_listed_they_share_the_places_of_new_ones_too(shops):
    shop = shops[0]
    many = with_new_items(shop, 40.0, DAYS, 0)
    size, launches = len(shop.catalog.items), many.launches
    assert launches is not None
    donors = np.flatnonzero(launches.successor >= 0)
    assert len(donors) == len(many.catalog.items) - size > 2 * size
    assert sorted(launches.successor[donors].tolist()) == list(range(size, len(many.catalog.items)))
    later = donors[donors >= size]
    assert len(later) > size
    of = dict(zip(launches.successor[donors].tolist(), donors.tolist(), strict=True))
    listed = launches.since[[of[row] for row in later.tolist()]]
    assert (listed <= launches.since[later]).all()
    np.testing.assert_array_equal(
        many.catalog.items.price[launches.successor[donors]], many.catalog.items.price[donors]
    )
    late = np.full(len(shop.users), shop.start + DAYS * DAY)
    lists = many.recommender.candidates(shop.users.hashes, shop.histories, late)
    offered = np.isin(np.arange(len(many.catalog.items)), lists)
    assert offered[later].any()
    assert all(len(set(row)) == len(row) for row in lists.tolist())
    views = lived(many, DAYS, 3, Random(), record=True)[1].tables()["events"]["item_id"]
    assert set(views) & {many.catalog.items.ids[launches.successor[row]] for row in later}


def test_half_of_the_meetings_with_its_donor_are_with_a_listed_item(shops, both):
    launches, plain, more = shops[1].launches, *(each["events"] for each in both)
    place = {name: row for row, name in enumerate(shops[1].catalog.items.ids)}
    after = more["item_id"].map(place).to_numpy()
    donor = np.full(len(launches.successor), -1)
    rows = np.flatnonzero(launches.successor >= 0)
    donor[launches.successor[rows]] = rows
    new = donor[after] >= 0
    at = epoch_us(more["at"])
    assert (at[new] >= launches.since[donor[after[new]]]).all()
    listed = launches.since[after] <= at
    assert new.sum() > 300
    assert new.sum() / (new | listed).sum() == pytest.approx(0.5, abs=0.06)
    # Visits are the same, and nearly the same views: satiation is an item's own.
    views = [(each["event"] == "view").sum() for each in (plain, more)]
    assert views[0] == pytest.approx(views[1], rel=0.02)


def test_half_of_the_users_are_offered_it_and_always_the_same(shops):
    shop, more = shops
    users = shop.users.hashes
    late = np.full(len(users), shop.start + DAYS * DAY)
    old = shop.recommender.candidates(users, shop.histories, late)
    new = more.recommender.candidates(users, shop.histories, late)
    there = more.launches.successor[old] >= 0
    changed = new != old
    assert changed[there].mean() == pytest.approx(0.5, abs=0.06)
    assert not changed[~there].any()
    place = old[changed]
    for _ in range(9):  # a new item's place may be shared by a newer one
        place = np.where(place == new[changed], place, more.launches.successor[place])
    np.testing.assert_array_equal(new[changed], place)
    one = more.recommender.candidates(users[7:8], shop.histories[7:8], late[7:8])
    np.testing.assert_array_equal(one[0], new[7])
    early = np.full(len(users), shop.start - 1)
    np.testing.assert_array_equal(
        more.recommender.candidates(users, shop.histories, early),
        shop.recommender.candidates(users, shop.histories, early),
    )


def test_the_log_says_when_items_were_listed_and_pushes_them(shops, both):
    tables = both[1]
    listed = tables["items"].set_index("item_id")["listed_at"].dropna()
    assert len(listed) == (shops[1].launches.successor >= 0).sum()
    sends = tables["decisions"][tables["decisions"]["item_id"].isin(listed.index)]
    assert len(sends) > 20
    assert (sends["send_at"].to_numpy() >= listed[sends["item_id"]].to_numpy()).all()
    assert "listed_at" not in both[0]["items"]
    found = findings(log_of(tables))
    assert [f for f in found if f.severity == ERROR or f.rule == "before_listing"] == []
