"""Words of items' titles and brands: by those that it shares with others, an item that nobody met
yet is known beside its category."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mdp.catalog import Items
from mdp.hashing import hash_ids

LEAST = 3
"""Items that must have a word."""
_TOKEN = re.compile(r"([^\W_\u4e00-\u9fff]+)|(?=([\u4e00-\u9fff]{2}))")


def tokens_of(text: str) -> list[str]:
    """Words in small letters; of Chinese, which has no spaces, every two neighbouring signs."""
    return [word or pair for word, pair in _TOKEN.findall(text.lower())]


@dataclass(frozen=True)
class ItemWords:
    """Which of W words stand in the texts of items."""

    hashes: np.ndarray
    """Of the words (W,) uint64."""
    item: np.ndarray
    """Rows of items (n,) int64."""
    word: np.ndarray
    """Words that they have, by place among the hashes (n,) int64."""

    @property
    def weight(self) -> np.ndarray:
        """1 / √ of how many of the words the item has (n,) float32: texts of any length say as
        much."""
        return (1.0 / np.sqrt(np.bincount(self.item)[self.item])).astype(np.float32)

    def summed(self, vectors: np.ndarray, size: int) -> np.ndarray:
        """Weighted sums of the words' vectors (W, D) for each of `size` items."""
        out = np.zeros((size, vectors.shape[1]), np.float32)
        np.add.at(out, self.item, self.weight[:, None] * vectors[self.word])
        return out


def shared_words(items: Items) -> ItemWords:
    """The words that `LEAST` items have, but not all."""
    item, hashes = _words(items, range(len(items)))
    known, number = np.unique(hashes, return_counts=True)
    return _among(item, hashes, known[(number >= LEAST) & (number < len(items))])


def known_words(items: Items, rows: np.ndarray, known: np.ndarray) -> ItemWords:
    """Which of some words, by hash (W,) uint64, each of the items `rows` (N,) has."""
    return _among(*_words(items, rows.tolist()), known)


def _words(items: Items, rows: Iterable[int]) -> tuple[np.ndarray, np.ndarray]:
    """All words of some items, each once an item: places among `rows` (n,) int64 and hashes (n,)
    uint64."""
    texts = [dict.fromkeys(tokens_of(f"{items.titles[row]} {items.brands[row]}")) for row in rows]
    item = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    return item, hash_ids(word for text in texts for word in text)


def _among(item: np.ndarray, hashes: np.ndarray, known: np.ndarray) -> ItemWords:
    some = np.isin(hashes, known)
    order = np.argsort(known)
    return ItemWords(known, item[some], order[np.searchsorted(known, hashes[some], sorter=order)])
