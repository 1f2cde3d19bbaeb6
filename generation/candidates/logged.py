"""Candidates as a log showed them: what a simulated day offers where the shop's recommender is
known by its lists only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from generation.candidates.base import catalog_rows
from generation.candidates.own_popular import OwnPopular
from mdp.catalog import Catalog
from mdp.clock import DAY

_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, eq=False)
class Logged:
    """One of the user's own logged lists, another one every UTC day; `OwnPopular`'s list for a
    user without any."""

    user_hash: np.ndarray
    """Users with lists (U,) uint64, ascending."""
    begin: np.ndarray
    """Where each user's lists begin, and the end (U + 1,) int64."""
    lists: np.ndarray
    """Item hashes (M, K) uint64, user after user, 0 for padding."""
    others: OwnPopular
    """For users without lists."""
    kind: ClassVar[str] = "logged"
    reads_states: ClassVar[bool] = True
    _rows: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rows", catalog_rows(self.others.catalog, self.lists))

    @property
    def size(self) -> int:
        """K"""
        return self.lists.shape[1]

    @classmethod
    def fit(cls, user_hash: np.ndarray, items: np.ndarray, others: OwnPopular) -> Logged:
        """From lists (M, K) int32, catalogue rows, -1 for padding, shown to users (M,) uint64."""
        shown = np.flatnonzero((items >= 0).any(1))
        order = shown[np.argsort(user_hash[shown], kind="stable")]
        users, begin = np.unique(user_hash[order], return_index=True)
        # The hash of row -1, of padding, is the last.
        lists = np.append(others.catalog.items.hashes, np.uint64(0))[items[order]]
        return cls(users, np.append(begin, len(order)).astype(np.int64), lists, others)

    def candidates(self, user_hash: np.ndarray, states: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Catalogue rows (N, K) int32, best first, -1 for padding."""
        out = np.full((len(user_hash), self.size), -1, np.int32)
        place = np.searchsorted(self.user_hash, user_hash)
        place = np.minimum(place, max(len(self.user_hash) - 1, 0))
        known = np.zeros(len(user_hash), bool)
        if len(self.user_hash):
            known = self.user_hash[place] == user_hash
        rest = self.others.candidates(user_hash[~known], states[~known], at[~known])
        width = min(self.size, rest.shape[1])
        out[~known, :width] = rest[:, :width]
        mine = place[known]
        mixed = (user_hash[known] ^ (at[known] // DAY).astype(np.uint64)) * _ODD
        count = (self.begin[mine + 1] - self.begin[mine]).astype(np.uint64)
        chosen = ((mixed >> np.uint64(17)) % np.maximum(count, 1)).astype(np.int64)
        out[known] = self._rows[self.begin[mine] + chosen]
        return out

    def arrays(self) -> dict[str, np.ndarray]:
        """All that `from_arrays` needs beside the catalogue."""
        own = {"user_hash": self.user_hash, "begin": self.begin, "lists": self.lists}
        return {**own, **self.others.arrays()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], catalog: Catalog) -> Logged:
        """The inverse of `arrays`."""
        others = OwnPopular.from_arrays(arrays, catalog)
        return cls(arrays["user_hash"], arrays["begin"], arrays["lists"], others)
