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


ARRIVING = (0, 3, 0, 9, 0, 1)


def lived(place, size: int, users: int = 150, record: bool = True):
    """150 users of a shop of 60 over six days, and 13 who arrive, under a policy that draws."""
    policy = Random(floor=0.1)
    return [live(place, policy, 7, 6, who, record) for who in blocks(users, size, ARRIVING)]


def joined(parts, name: str) -> pd.DataFrame:
    return pd.concat([part.tables[name] for part in parts], ignore_index=True)


@pytest.fixture(scope="module")
def whole(place):
    return lived(place, 150)


@pytest.mark.parametrize("size", [1, 37, 64])
def test_blocks_of_any_size_live_the_same(place, whole, size):
    users = 12 if size == 1 else 150  # one by one takes long
    together = whole if users == 150 else lived(place, users, users)
    parts = lived(place, size, users)
    assert sum(part.users for part in parts) == users + sum(ARRIVING)
    np.testing.assert_array_equal(
        sum(part.totals for part in parts), sum(part.totals for part in together)
    )
    for name in ("users", "decisions", "events", "outcomes"):
        small, large = (joined(each, name).astype(object) for each in (parts, together))
        assert small.where(small.notna(), None).to_numpy().tolist() == (
            large.where(large.notna(), None).to_numpy().tolist()
        )


def test_newcomers_come_on_their_day_and_live_to_the_same_end(place, whole):
    users, decisions = joined(whole, "users").iloc[150:], joined(whole, "decisions")
    days = decisions[decisions["user_id"].isin(users["user_id"])].groupby("user_id").size()
    assert sorted(days.tolist()) == [1, *[3] * 9, *[5] * 3]
    first = decisions.groupby("user_id")["decided_at"].min()
    assert (first[users["user_id"]].to_numpy() == users["signed_up_at"].to_numpy()).all()
    assert min(part.until for part in whole) == whole[0].until  # of the zones, the earliest
    assert [int(part.totals[:, 0].nonzero()[0][0]) for part in whole] == [0, 1, 3, 5]


def test_without_newcomers_the_others_live_the_same(place, whole):
    (alone,) = [live(place, Random(floor=0.1), 7, 6, who, True) for who in blocks(150, 150)]
    np.testing.assert_array_equal(alone.totals, whole[0].totals)
    pd.testing.assert_frame_equal(joined([alone], "events"), joined(whole[:1], "events"))


def test_the_totals_are_those_of_the_tables(place, whole):
    sums = sum(part.totals for part in whole)
    total = dict(zip(TOTALS, (sums * UNIT).sum(0), strict=True))
    outcomes = joined(whole, "outcomes")["outcome"].value_counts()
    assert total["sends"] == joined(whole, "decisions")["item_id"].notna().sum() > 50
    assert total["revenue"] == pytest.approx(joined(whole, "events")["value"].sum(), abs=0.01)
    # What follows the last sends comes after the last day, but for those who leave at once.
    assert 0.8 * total["opens"] <= outcomes["opened"] <= total["opens"]
    assert total["unsubscribes"] <= outcomes.get("unsubscribed", 0)
    bare = lived(place, 150, record=False)
    assert all(part.tables is None for part in bare)
    np.testing.assert_array_equal(sum(part.totals for part in bare), sums)


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
    events = joined(whole, "events")
    numbers = [int((events["user_id"].str.endswith(f"#{n}")).sum()) for n in (2, 3)]
    assert min(numbers) > 0
    assert events["event_id"].is_unique
    first = events[events["user_id"].str.match("^user-[0-9]+$")]
    again = events[events["user_id"].str.endswith("#2")]
    assert set(first["at"]).isdisjoint(again["at"])


@pytest.mark.parametrize(("users", "size", "name"), [(0, 5, "--users is 0"), (5, 0, "--block")])
def test_numbers_below_one_are_named(users, size, name):
    with pytest.raises(BadSetting, match=name):
        list(blocks(users, size))
