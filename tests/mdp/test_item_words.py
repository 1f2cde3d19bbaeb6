"""Words that items share."""

from dataclasses import replace

import numpy as np
import pytest

from mdp.catalog import Items, simple_items
from mdp.hashing import hash_id, hash_ids
from mdp.item_words import known_words, shared_words, tokens_of


@pytest.fixture
def items() -> Items:
    plain = simple_items([f"i{n}" for n in range(6)], np.ones(6), ["a"] * 6)
    titles = ("Red box, red", "red BOX", "Red lid", "blue box", "Tin", "")
    return replace(plain, titles=titles, brands=("Larch", "Larch", "", "Larch", "Larch", "Larch"))


def test_words_and_pairs_of_chinese_signs():
    assert tokens_of("Lunch-box, 红色茶壶 x2") == ["lunch", "box", "红色", "色茶", "茶壶", "x2"]


def test_words_of_three_items_but_not_of_all_are_shared(items):
    words = shared_words(items)
    assert set(words.hashes.tolist()) == {hash_id(word) for word in ("red", "box", "larch")}
    assert np.bincount(words.item).tolist() == [3, 3, 1, 2, 1, 1]  # each word once an item
    everywhere = shared_words(replace(items, brands=("Larch",) * 6))
    assert hash_id("larch") not in everywhere.hashes


def test_items_named_by_ids_share_no_words():
    items = simple_items([f"item-{n:03d}" for n in range(9)], np.ones(9), ["a"] * 9)
    assert not len(shared_words(items).hashes)


def test_vectors_are_summed_so_that_many_words_weigh_as_much_as_few(items):
    vectors = np.array([[1.0, 0.0], [0.0, 2.0]], np.float32)
    for order in ([0, 1], [1, 0]):
        known = hash_ids(["red", "box"])[order]
        words = known_words(items, np.array([1, 2, 4]), known)
        found = words.summed(vectors[order], 3)
        np.testing.assert_allclose(found, [[0.5**0.5, 2**0.5], [1, 0], [0, 0]], rtol=1e-6)
    none = known_words(items, np.array([1]), known[:0]).summed(vectors[:0], 1)
    np.testing.assert_array_equal(none, [[0, 0]])
