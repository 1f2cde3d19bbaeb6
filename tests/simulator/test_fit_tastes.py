"""Tastes come out the same however many users are worked on at a time; words tell of new items."""

from dataclasses import replace

import numpy as np

from mdp.catalog import Items, simple_items
from mdp.item_words import ItemWords, known_words, shared_words
from simulator import fit_tastes
from simulator.fit_tastes import Counts

NO_WORDS = ItemWords(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64))


def counts(table: np.ndarray) -> Counts:
    """Of counts (U, I) as single acts, shuffled."""
    users, items = np.nonzero(table)
    each = np.repeat(np.arange(len(users)), table[users, items].astype(int))
    each = np.random.default_rng(1).permutation(each)
    return Counts.of(users[each], items[each, None], table.shape)


def test_counts_are_what_was_counted_in_any_blocks(monkeypatch):
    table = np.random.default_rng(0).poisson(0.5, (30, 12)) * 1.0
    for size in (2_000_000, 7 * 12):
        monkeypatch.setattr(fit_tastes, "BLOCK", size)
        found = counts(table)
        np.testing.assert_array_equal(
            np.concatenate([found.dense(rows) for rows in found.blocks()]), table
        )
    lists = np.array([[2, -1], [0, 2], [2, 1]])
    met = Counts.of(np.array([1, 0, 1]), lists, (2, 3))
    np.testing.assert_array_equal(met.dense(slice(0, 2)), [[1, 0, 1], [0, 1, 2]])


def test_users_in_blocks_give_the_tastes_of_all_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    met, offered = counts(rng.poisson(0.5, (30, 12))), counts(rng.poisson(1.0, (30, 12)))
    category = np.arange(12) % 3
    monkeypatch.setattr(fit_tastes, "STEPS", 40)
    whole = fit_tastes.fit_tastes(met, offered, category, 3, NO_WORDS, 0)
    monkeypatch.setattr(fit_tastes, "BLOCK", 7 * 12)
    parts = fit_tastes.fit_tastes(met, offered, category, 3, NO_WORDS, 0)
    np.testing.assert_allclose(parts.user @ parts.item.T, whole.user @ whole.item.T, atol=1e-3)
    mine, theirs = (one.preference(slice(0, 30)) for one in (parts, whole))
    np.testing.assert_allclose(mine, theirs, atol=1e-4)
    assert whole.user.std() > 0.1


def test_a_log_that_tells_of_no_tastes_gives_none():
    nobody = Counts.of(np.zeros(0, np.int64), np.zeros((0, 1), np.int64), (50, 12))
    everything = Counts.of(np.arange(50), np.tile(np.arange(12), (50, 1)), (50, 12))
    found = fit_tastes.fit_tastes(nobody, everything, np.arange(12) % 3, 3, NO_WORDS, 0)
    assert np.abs(found.user @ found.item.T).max() < 0.01
    assert found.variance.max() < 100


def test_a_taste_weighs_as_much_as_users_keep_to_it():
    rng = np.random.default_rng(0)
    taste = rng.dirichlet(np.ones(40), 300)
    for size in (10.0, 100.0):
        own = np.stack([rng.dirichlet(size * one) for one in taste])
        met = np.stack([rng.multinomial(50, one) for one in own]).astype(float)
        found = counts(met)
        preference = taste[found.user, found.item]
        assert 0.5 < fit_tastes.fit_concentration(found, preference) / size < 2.0


def items_of(titles: list[str]) -> Items:
    """Items called by titles, each with an id of its own."""
    size = len(titles)
    plain = simple_items([f"i{n}" for n in range(size)], np.ones(size), ["a"] * size)
    return replace(plain, titles=tuple(titles))


def test_planted_words_tell_of_items_never_met():
    """Items are two of 20 words, and categories say nothing; a quarter of the items is left out."""
    rng = np.random.default_rng(0)
    pairs = [(one, other) for one in range(20) for other in range(one)]
    items = items_of([f"w{one} w{other}" for one, other in pairs])
    true = rng.normal(size=(20, 8))[np.array(pairs)].sum(1) / np.sqrt(2)
    liking = rng.normal(size=(500, 8)) @ true.T / np.sqrt(8)
    shares = np.exp(liking) / np.exp(liking).sum(1, keepdims=True)
    table = np.stack([rng.multinomial(60, share) for share in shares]).astype(float)
    fitted, new = np.arange(190) % 4 > 0, np.flatnonzero(np.arange(190) % 4 == 0)
    known = items_of([title for title, in_it in zip(items.titles, fitted, strict=True) if in_it])
    met = counts(table[:, fitted])
    offered = Counts.of(np.zeros(0, np.int64), np.zeros((0, 1), np.int64), met.shape)
    category = rng.integers(3, size=met.shape[1])
    found = fit_tastes.fit_tastes(met, offered, category, 3, shared_words(known), 0)
    words = known_words(items, new, found.word_hash)
    assert len(words.item) == 2 * len(new)
    guessed = found.user @ words.summed(found.word, len(new)).T
    apart = (each - each.mean(1, keepdims=True) for each in (guessed, liking[:, new]))
    assert np.corrcoef(*(each.ravel() for each in apart))[0, 1] > 0.7


def test_words_of_no_width_change_nothing_to_the_bit(monkeypatch):
    """So all that a fit without words draws at random is as it was before there were words."""
    rng = np.random.default_rng(0)
    met, offered = counts(rng.poisson(0.5, (30, 12))), counts(rng.poisson(1.0, (30, 12)))
    monkeypatch.setattr(fit_tastes, "STEPS", 20)
    monkeypatch.setattr(fit_tastes, "WORDS_PRIOR", 0.0)
    words = shared_words(items_of(["red", "blue", "red", "blue"] * 3))
    assert len(words.hashes) == 2
    one, other = (
        fit_tastes.fit_tastes(met, offered, np.arange(12) % 3, 3, some, 0)
        for some in (NO_WORDS, words)
    )
    for name in ("user", "item", "category", "bias", "variance", "scale"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.word.shape == (0, 8)
