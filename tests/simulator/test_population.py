"""Blocks of users live as they would together, and copies of a user live lives of their own."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mdp.errors import BadSetting
from policies.baselines import Random
from simulator.population import TOTALS, UNIT, block_of, blocks, live


@pytest.fixture(scope="module")
def place(shop):
    return replace(shop.believing(shop), members=(shop.response, shop.response))


def lived(place, size: int, users: int = 150, record: bool = True):
    """150 users of a shop of 60 over six days, under a policy that draws."""
    policy = Random(floor=0.1)
    return [live(place, policy, 7, 6, *block, record) for block in blocks(users, size)]


@pytest.fixture(scope="module")
def whole(place):
    (one,) = lived(place, 150)
    return one


@pytest.mark.parametrize("size", [1, 37, 64])
def test_blocks_of_any_size_live_the_same(place, whole, size):
    users = 12 if size == 1 else 150  # one by one takes long
    (together,) = [whole] if users == 150 else lived(place, users, users)
    parts = lived(place, size, users)
    np.testing.assert_array_equal(sum(part.totals for part in parts), together.totals)
    for name in ("users", "decisions", "events", "outcomes"):
        joined = pd.concat([part.tables[name] for part in parts]).astype(object)
        expected = together.tables[name].astype(object)
        assert joined.where(joined.notna(), None).to_numpy().tolist() == (
            expected.where(expected.notna(), None).to_numpy().tolist()
        )


def test_the_totals_are_those_of_the_tables(place, whole):
    total = dict(zip(TOTALS, (whole.totals * UNIT).sum(0), strict=True))
    outcomes = whole.tables["outcomes"]["outcome"].value_counts()
    assert total["sends"] == whole.tables["decisions"]["item_id"].notna().sum() > 50
    assert total["revenue"] == pytest.approx(whole.tables["events"]["value"].sum(), abs=0.01)
    # What follows the last sends comes after the last day, but for those who leave at once.
    assert 0.8 * total["opens"] <= outcomes["opened"] <= total["opens"]
    assert total["unsubscribes"] <= outcomes.get("unsubscribed", 0)
    assert len(lived(place, 150, record=False)) == 1
    np.testing.assert_array_equal(lived(place, 150, record=False)[0].totals, whole.totals)


def test_a_copy_is_the_same_user_with_another_id_and_another_life(place, whole):
    block = block_of(place, 50, 130)
    name = place.users.ids[7]
    rows = [block.users.ids.index(each) for each in (f"{name}#2", f"{name}#3")]
    assert len(set(block.users.ids)) == 80
    assert block.traits[rows[0]] == block.traits[rows[1]] == place.traits[7]
    hashes = block.users.hashes[rows]
    assert block.beliefs is not None
    known = block.beliefs.rows(hashes)[0]
    assert known[0] == known[1] == place.beliefs.rows(place.users.hashes[7:8])[0][0]
    features, at = block.histories[rows], np.full(2, place.start)
    lists = block.recommender.candidates(hashes, features, at)
    own = place.recommender.candidates(place.users.hashes[7:8], features[:1], at[:1])
    np.testing.assert_array_equal(lists, np.concatenate([own, own]))
    events = whole.tables["events"]
    numbers = [int((events["user_id"].str.endswith(f"#{n}")).sum()) for n in (2, 3)]
    assert min(numbers) > 0
    assert events["event_id"].is_unique
    first = events[~events["user_id"].str.contains("#")]
    again = events[events["user_id"].str.endswith("#2")]
    assert set(first["at"]).isdisjoint(again["at"])


@pytest.mark.parametrize(("users", "size", "name"), [(0, 5, "--users is 0"), (5, 0, "--block")])
def test_numbers_below_one_are_named(users, size, name):
    with pytest.raises(BadSetting, match=name):
        list(blocks(users, size))
