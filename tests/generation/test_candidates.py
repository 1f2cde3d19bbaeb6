"""Recommenders: what each offers, alone and in a batch, and that it survives saving."""

import numpy as np
import pytest

from generation.candidates.base import catalog_rows, filled
from generation.candidates.logged import Logged
from generation.candidates.own_popular import OwnPopular
from generation.candidates.saved import recommender_of
from mdp.catalog import Catalog, simple_items, simple_variants
from mdp.clock import DAY
from mdp.errors import BadArtifact
from mdp.hashing import hash_ids
from mdp.state import new_histories

AT = 20_000 * DAY
USERS = hash_ids(["ann", "bob", "new"])


@pytest.fixture
def catalog() -> Catalog:
    items = simple_items([f"i{n:02d}" for n in range(20)], np.ones(20), ["c"] * 20)
    return Catalog(items, simple_variants(["v"], ["plain"]))


@pytest.fixture
def states(catalog) -> np.ndarray:
    """Ann met items 18 (often), 17 (once) and one that is gone; the others nothing."""
    states = new_histories(3)
    known = states["known"]
    for slot, (item, views) in enumerate([("i17", 1), ("i18", 5), ("gone", 9)]):
        known[0, slot]["item"] = hash_ids([item])[0]
        known[0, slot]["views"] = views
        known[0, slot]["last_at"] = AT - DAY
    return states


@pytest.fixture
def popular(catalog) -> OwnPopular:
    items = hash_ids(["i03"] * 3 + ["i05"] * 2 + ["i09"] * 8)
    at = np.array([AT - DAY] * 5 + [AT - 40 * DAY] * 8)
    return OwnPopular.fit(items, at, catalog, AT, size=6)


@pytest.fixture
def logged(catalog, popular) -> Logged:
    lists = np.array([[1, 2, -1], [3, 4, 5], [6, 7, 8]], np.int32)
    return Logged.fit(USERS[[0, 0, 1]], lists, popular)


def test_own_items_come_first_then_popular_ones(popular, states):
    rows = popular.candidates(USERS, states, np.full(3, AT))
    np.testing.assert_array_equal(rows[0], [18, 17, 3, 5, 0, 1])
    np.testing.assert_array_equal(rows[1], [3, 5, 0, 1, 2, 4])
    assert rows.dtype == np.int32


def test_logged_lists_return_and_unknown_users_get_the_rest(logged, states):
    days = np.arange(40) * DAY + AT
    seen = {
        tuple(row)
        for at in days
        for row in logged.candidates(USERS[:1], states[:1], np.array([at])).tolist()
    }
    assert seen == {(1, 2, -1), (3, 4, 5)}
    rows = logged.candidates(USERS, states, np.full(3, AT))
    np.testing.assert_array_equal(rows[1:], [[6, 7, 8], [3, 5, 0]])


@pytest.mark.parametrize("name", ["popular", "logged"])
def test_a_list_is_the_same_alone_and_in_a_batch_and_after_saving(name, request, catalog, states):
    recommender = request.getfixturevalue(name)
    at = AT + np.array([0, 5, 9]) * DAY
    together = recommender.candidates(USERS, states, at)
    back = recommender_of(recommender.kind, recommender.arrays(), catalog)
    assert back.size == recommender.size == together.shape[1]
    for n in range(3):
        alone = back.candidates(USERS[n : n + 1], states[n : n + 1], at[n : n + 1])
        np.testing.assert_array_equal(alone[0], together[n])


def test_a_catalogue_that_lost_an_item_offers_the_others(catalog, popular, states):
    smaller = Catalog(
        simple_items(["i05", "i18"], np.ones(2), ["c", "c"]), simple_variants(["v"], ["plain"])
    )
    rows = recommender_of("own_popular", popular.arrays(), smaller).candidates(
        USERS, states, np.full(3, AT)
    )
    np.testing.assert_array_equal(rows[0], [1, 0, -1, -1, -1, -1])


def test_filled_keeps_the_first_of_equal_rows():
    np.testing.assert_array_equal(filled(np.array([[4, -1, 4, 2, 2, 7]]), 4), [[4, 2, 7, -1]])
    np.testing.assert_array_equal(filled(np.array([[4, 5, 6]]), 2), [[4, 5]])


def test_rows_of_an_empty_catalogue():
    empty = Catalog(simple_items([], np.zeros(0), []), simple_variants([], []))
    assert (catalog_rows(empty, np.array([1, 2], np.uint64)) == -1).all()


def test_an_unknown_kind_is_refused(catalog):
    with pytest.raises(BadArtifact, match="crystal_ball"):
        recommender_of("crystal_ball", {}, catalog)
