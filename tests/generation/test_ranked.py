"""Lists made beforehand: who gets which, what is never in them, and that they survive saving."""

from dataclasses import replace

import numpy as np
import pytest

from generation.candidates.base import Recommender
from generation.candidates.interactions import Interactions
from generation.candidates.prepare import ranked_of
from generation.candidates.ranked import COOL_DOWN, Ranked
from generation.candidates.saved import recommender_of
from generation.candidates.simple import OwnHistory
from mdp.catalog import Catalog, simple_items, simple_variants
from mdp.clock import DAY
from mdp.hashing import hash_ids
from mdp.state import RELEASED, SENT, new_histories

NOW = 20_000 * DAY
ITEMS = [f"i{n:02d}" for n in range(20)]


def catalog_of(ids: list[str]) -> Catalog:
    items = simple_items(ids, np.ones(len(ids)), ["c"] * len(ids))
    return Catalog(items, simple_variants(["v"], ["plain"]))


@pytest.fixture(scope="module")
def ranked() -> Ranked:
    """Ann met items 7, 8 and 9, more often the later; items 7 and 8 go together for others, too,
    and item 0 is what most met."""
    met = {"ann": [7, 8, 8, 9, 9, 9], "bob": [7, 8, 0], "eve": [7, 8, 0], "kim": [0, 1]}
    user = np.repeat(np.arange(4), [len(items) for items in met.values()])
    item = np.concatenate([np.array(items) for items in met.values()])
    log = Interactions(
        user_ids=tuple(met),
        items=catalog_of(ITEMS).items,
        descriptions=("",) * 20,
        user=user,
        item=item,
        at=np.full(len(user), NOW - 5 * DAY),
        bought=np.ones(len(user), bool),
        until=NOW,
    )
    return ranked_of(log, catalog_of(ITEMS), size=6, ranker=OwnHistory().fit(log))


def offered(ranked: Recommender, user: str, state: np.ndarray | None = None) -> list[int]:
    states = new_histories(1) if state is None else state
    rows = ranked.candidates(hash_ids([user]), states, np.array([NOW + DAY]))
    assert rows.shape == (1, 6)
    assert rows.dtype == np.int32
    return rows[0].tolist()


def having_met(*items: int) -> np.ndarray:
    """A state of someone who met items after the lists were made, the last one last."""
    states = new_histories(1)
    for slot, item in enumerate(items):
        states["known"][0, slot]["item"] = hash_ids([ITEMS[item]])[0]
        states["known"][0, slot]["last_at"] = NOW + slot
        states["known"][0, slot]["views"] = 1
    return states


def having_sent(item: int, ago: int, status: int = SENT) -> np.ndarray:
    states = new_histories(1)
    states["ring"][0, 0]["item"] = hash_ids([ITEMS[item]])[0]
    states["ring"][0, 0]["send_at"] = NOW + DAY - ago
    states["ring"][0, 0]["status"] = status
    return states


def test_a_known_user_gets_the_list_of_the_ranker(ranked):
    assert offered(ranked, "ann")[:4] == [9, 8, 7, 0]


def test_what_was_met_since_comes_first(ranked):
    assert offered(ranked, "ann", having_met(15, 3))[:4] == [3, 15, 9, 8]


def test_someone_new_gets_what_goes_with_what_they_met_and_then_what_sells(ranked):
    assert offered(ranked, "new", having_met(7))[:3] == [7, 8, 0]
    assert offered(ranked, "new")[0] == 0


@pytest.mark.parametrize(
    ("ago", "status", "there"),
    [(DAY, SENT, False), (COOL_DOWN, SENT, True), (DAY, RELEASED, True), (-DAY, SENT, False)],
)
def test_what_was_just_pushed_is_left_out_unless_it_never_went_out(ranked, ago, status, there):
    assert (9 in offered(ranked, "ann", having_sent(9, ago, status))) == there


def test_what_is_sold_out_or_over_is_left_out(ranked):
    items = ranked.catalog.items
    stock, ends = items.stock.copy(), items.available_until.copy()
    stock[9], ends[8], ends[7] = 0, NOW + DAY, NOW + 2 * DAY
    changed = replace(ranked.catalog, items=replace(items, stock=stock, available_until=ends))
    assert offered(recommender_of("ranked", ranked.arrays(), changed), "ann")[:2] == [7, 0]


def test_a_catalogue_that_lost_items_and_got_others_offers_what_it_has(ranked):
    changed = catalog_of(["z99", "i09", "i00"])
    found = offered(recommender_of("ranked", ranked.arrays(), changed), "ann")
    assert found == [1, 2, 0, -1, -1, -1]  # z99 is new, of their category
    empty = recommender_of("ranked", ranked.arrays(), catalog_of([]))
    assert offered(empty, "ann") == [-1] * 6


def with_new(kinds: dict[str, str], ranked: Ranked, sold_out: int = -1) -> Recommender:
    """The lists on a catalogue that got items, of categories by id, since they were made."""
    ids, categories = [*ITEMS, *kinds], ["c"] * len(ITEMS) + list(kinds.values())
    items = simple_items(ids, np.ones(len(ids)), categories)
    stock = items.stock.copy()
    if sold_out >= 0:
        stock[sold_out] = 0
    catalog = Catalog(replace(items, stock=stock), simple_variants(["v"], ["plain"]))
    return recommender_of("ranked", ranked.arrays(), catalog)


def test_a_new_item_ends_the_lists_that_have_others_of_its_category(ranked):
    before = offered(ranked, "ann")
    assert offered(with_new({"fresh": "c"}, ranked), "ann") == [*before[:5], len(ITEMS)]
    assert offered(with_new({"fresh": "another"}, ranked), "ann") == before


def test_of_several_new_items_users_get_different_ones(ranked):
    shop = with_new({f"fresh-{n}": "c" for n in range(4)}, ranked)
    users = hash_ids(f"u{n}" for n in range(60))
    lists = shop.candidates(users, new_histories(60), np.full(60, NOW + DAY))
    counts = np.bincount(lists[:, -1] - len(ITEMS), minlength=4)
    assert len(counts) == 4
    assert counts.min() > 5


def test_a_new_item_that_is_sold_out_or_was_pushed_is_not_offered(ranked):
    before = offered(ranked, "ann")
    assert offered(with_new({"fresh": "c"}, ranked, sold_out=len(ITEMS)), "ann") == before
    sent = having_sent(0, DAY)
    sent["ring"][0, 0]["item"] = hash_ids(["fresh"])[0]
    assert offered(with_new({"fresh": "c"}, ranked), "ann", sent) == before


def test_a_list_is_the_same_alone_and_in_a_batch_and_after_saving(ranked):
    users = hash_ids(["ann", "new", "bob"])
    states = np.concatenate([having_met(3), having_met(7, 2), having_sent(7, DAY)])
    at = np.array([NOW, NOW + DAY, NOW + DAY])
    together = ranked.candidates(users, states, at)
    back = recommender_of(ranked.kind, ranked.arrays(), ranked.catalog)
    for name, array in ranked.arrays().items():
        np.testing.assert_array_equal(back.arrays()[name], array)
    for n in range(3):
        alone = back.candidates(users[[n]], states[[n]], at[[n]])
        np.testing.assert_array_equal(alone[0], together[n])
