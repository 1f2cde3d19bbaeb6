"""What the benchmark of items' words measures, where the answer is known."""

import numpy as np
import pytest

from benchmarks.item_text import CATEGORY, NOTHING, WORDS, embeddings, of_new, split_of, table
from mdp.catalog import simple_items
from mdp.hashing import hash_ids
from simulator.fit_tastes import Counts, Tastes

USERS = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)


def tastes() -> Tastes:
    """Two users, one of whom likes what is red."""
    return Tastes(
        user=USERS,
        item=np.zeros((1, 2), np.float32),
        category=np.array([[0.0, 0.5]], np.float32),
        word=np.array([[2.0, 0.0]], np.float32),
        word_hash=hash_ids(["red"]),
        bias=np.zeros(1, np.float32),
        scale=1.0,
        variance=np.ones(2, np.float32),
    )


def test_items_left_out_are_their_category_and_words():
    items = simple_items(["red", "blue"], np.ones(2), ["a", "unknown"])
    found = embeddings(tastes(), ["a"], items)
    np.testing.assert_allclose(found, [[2.0, 0.5], [0.0, 0.0]])


def test_likelihood_and_auc_by_hand():
    new = Counts.of(np.array([0, 0, 1]), np.array([[0], [0], [2]]), (2, 3))
    embedding = np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    likelihood, area = of_new(tastes(), embedding, new)
    expected = (2 * (2 - np.log(np.exp([2.0, 1.0, 0.0]).sum())) - np.log(3)) / 3
    assert likelihood == pytest.approx(expected)
    assert area == pytest.approx((2 * 1.0 + 0.5) / 3)


def test_a_fit_knows_nothing_of_what_is_left_out():
    rng = np.random.default_rng(0)
    items = simple_items([f"i{n}" for n in range(50)], np.ones(50), ["a"] * 50)
    owner, item = np.arange(2000) % 20, rng.integers(50, size=2000)
    split = split_of(items, owner, item, rng)
    assert not set(split.items.ids) & set(split.others.ids)
    assert len(split.items) + len(split.others) == 50
    total = [each.count.sum() for each in (split.met, split.later, split.new)]
    assert sum(total) == 2000
    assert total[1] == pytest.approx(0.1 * (2000 - total[2]), rel=0.3)
    often = np.bincount(item, minlength=50)
    mine = [items.row[name] for name in split.others.ids]
    np.testing.assert_array_equal(split.new.dense(slice(0, 20)).sum(0), often[mine])


def test_what_words_add_is_paired():
    found = [
        {NOTHING: (-5.0, 0.5, np.nan), CATEGORY: (x, 0.6, -6.0), WORDS: (x + 0.25, 0.7, -5.9)}
        for x in (-4.0, -4.5)
    ]
    lines = table(found).splitlines()
    assert lines[2] == "| nothing | -5.000 ±0.000 | 0.500 ±0.000 | – |"
    assert lines[-1] == "| words add | 0.250 ±0.000 | 0.100 ±0.000 | 0.100 ±0.000 |"
