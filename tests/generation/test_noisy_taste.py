"""The worlds' recommender: deterministic, the same alone and in a batch, other items each day."""

import numpy as np
import pytest

from generation.candidates.saved import recommender_of
from mdp.clock import DAY
from mdp.errors import BadArtifact
from mdp.hashing import hash_id
from mdp.state import new_histories
from simulator.worlds.logit import LogitShop

AT = 20_000 * DAY


@pytest.fixture(scope="module")
def shop():
    return LogitShop().simulator(40, 0)


def lists(shop, recommender, day: int = 0) -> np.ndarray:
    users = shop.users.hashes
    return recommender.candidates(users, new_histories(40), np.full(40, AT + day * DAY))


def test_each_list_holds_ten_different_items(shop):
    found = lists(shop, shop.recommender)
    assert found.shape == (40, 10)
    assert found.dtype == np.int32
    assert (found >= 0).all()
    assert all(len(set(row)) == 10 for row in found.tolist())


def test_alone_a_user_gets_the_list_of_the_batch(shop):
    found = lists(shop, shop.recommender)
    for row in (0, 13, 39):
        one = shop.users.hashes[[row]]
        alone = shop.recommender.candidates(one, new_histories(1), np.array([AT + DAY // 2]))
        np.testing.assert_array_equal(alone[0], found[row])


def test_lists_change_with_the_day_and_follow_taste(shop):
    today, tomorrow = lists(shop, shop.recommender), lists(shop, shop.recommender, 1)
    shared = [len({*a} & {*b}) for a, b in zip(today.tolist(), tomorrow.tolist(), strict=True)]
    assert 3 < np.mean(shared) < 9.5
    liking = shop.traits["taste"] @ shop.response.item_taste.T
    offered = np.take_along_axis(liking, today, 1)
    assert offered.mean() > liking.mean() + 0.5
    assert offered[:, 0].mean() > offered[:, -1].mean()


def test_an_unknown_user_gets_what_is_popular(shop):
    unknown = np.array([hash_id("nobody")], np.uint64)
    found = shop.recommender.candidates(unknown, new_histories(1), np.array([AT]))
    assert (shop.organic.popularity[found[0]] >= np.sort(shop.organic.popularity)[-10]).all()


def test_its_arrays_rebuild_it(shop):
    arrays = shop.recommender.arrays()
    again = recommender_of("noisy_taste", arrays, shop.catalog)
    np.testing.assert_array_equal(lists(shop, again), lists(shop, shop.recommender))
    with pytest.raises(BadArtifact, match="oracle"):
        recommender_of("oracle", arrays, shop.catalog)
