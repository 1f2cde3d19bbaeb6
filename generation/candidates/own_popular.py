"""Candidates from a user's own history and from what sells: the simplest honest recommender."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from generation.candidates.base import catalog_rows, filled
from mdp.catalog import Catalog
from mdp.clock import DAY, NEVER

HALF_LIFE = 14 * DAY
"""Time in which a user's meeting with an item counts half."""


@dataclass(frozen=True, eq=False)
class OwnPopular:
    """Half of the list from the items that the user met, those often and lately first, and the
    rest from the most popular ones."""

    popular: np.ndarray
    """Item hashes, best first (P,) uint64."""
    catalog: Catalog
    size: int = 10
    """K"""
    kind: ClassVar[str] = "own_popular"
    reads_states: ClassVar[bool] = True
    _popular: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_popular", catalog_rows(self.catalog, self.popular))

    @classmethod
    def fit(
        cls, items: np.ndarray, at: np.ndarray, catalog: Catalog, until: int, size: int = 10
    ) -> OwnPopular:
        """Popularity of the 30 days before `until`.

        items: hashes (M,) uint64 of items that somebody met. at: (M,) int64. Items that nobody
        met come last, in the catalogue's order.
        """
        recent = (at < until) & (at >= until - 30 * DAY)
        rows = catalog_rows(catalog, items[recent])
        counts = np.bincount(rows[rows >= 0], minlength=len(catalog.items))
        order = np.argsort(-counts, kind="stable")[: 8 * size]
        return cls(catalog.items.hashes[order], catalog, size)

    def candidates(self, user_hash: np.ndarray, states: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Catalogue rows (N, K) int32, best first, -1 for padding."""
        known = states["known"]
        own = catalog_rows(self.catalog, known["item"])
        with np.errstate(over="ignore"):
            age = np.where(known["last_at"] == NEVER, 0, at[:, None] - known["last_at"])
        worth = np.log1p(known["views"]) * np.exp2(-np.maximum(age, 0) / HALF_LIFE)
        worth = np.where(own >= 0, worth, -1.0)
        order = np.argsort(-worth, axis=1, kind="stable")[:, : self.size // 2]
        mine = np.take_along_axis(own, order, 1)
        popular = np.broadcast_to(self._popular, (len(states), len(self._popular)))
        return filled(np.concatenate([mine, popular], 1), self.size)

    def arrays(self) -> dict[str, np.ndarray]:
        """All that `from_arrays` needs beside the catalogue."""
        return {"popular": self.popular, "size": np.array([self.size], np.int64)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], catalog: Catalog) -> OwnPopular:
        """The inverse of `arrays`."""
        return cls(arrays["popular"], catalog, int(arrays["size"][0]))
