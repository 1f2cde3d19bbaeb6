"""What every recommender offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mdp.catalog import Catalog

AT_ONCE = 1_000_000
"""Hashes that are looked up at a time."""


class Recommender(Protocol):
    """Which items a decision may choose among. Deterministic, and the same alone or in a batch."""

    @property
    def kind(self) -> str:
        """Which recommender, as a manifest names it."""
        ...

    @property
    def size(self) -> int:
        """K, the length of a list."""
        ...

    @property
    def reads_states(self) -> bool:
        """Whether `candidates` reads the states; where not, they may be of another instant."""
        ...

    def candidates(self, user_hash: np.ndarray, states: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Catalogue rows (N, K) int32, best first, -1 for padding.

        user_hash: (N,) uint64. states: (N,) `HISTORY` as `state.features` gives it. at: (N,) int64.
        """
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """All that rebuilds it beside the catalogue."""
        ...


@dataclass(frozen=True)
class Around:
    """What a recommender that changes another's lists has of that one."""

    recommender: Recommender

    @property
    def kind(self) -> str:
        return self.recommender.kind

    @property
    def reads_states(self) -> bool:
        return self.recommender.reads_states

    @property
    def size(self) -> int:
        return self.recommender.size

    def arrays(self) -> dict[str, np.ndarray]:
        return self.recommender.arrays()


def catalog_rows(catalog: Catalog, hashes: np.ndarray) -> np.ndarray:
    """Catalogue rows, int32 of any shape, of item hashes; -1 for those not in the catalogue."""
    known = catalog.items.hashes
    if not len(known):
        return np.full(hashes.shape, -1, np.int32)
    order = np.argsort(known)
    known, out = known[order], np.empty(hashes.size, np.int32)
    wanted = hashes.reshape(-1)
    for begin in range(0, len(wanted), AT_ONCE):
        some = wanted[begin : begin + AT_ONCE]
        place = np.searchsorted(known, some).clip(max=len(known) - 1)
        out[begin : begin + AT_ONCE] = np.where(known[place] == some, order[place], -1)
    return out.reshape(hashes.shape)


def filled(rows: np.ndarray, size: int) -> np.ndarray:
    """The first `size` different rows of each list (N, M), -1 left out: (N, size) int32."""
    earlier = (rows[:, :, None] == rows[:, None, :]) & (
        np.arange(rows.shape[1])[:, None] > np.arange(rows.shape[1])[None, :]
    )
    fresh = (rows >= 0) & ~earlier.any(2)
    order = np.argsort(~fresh, axis=1, kind="stable")[:, :size]
    out = np.full((len(rows), size), -1, np.int32)
    out[:, : order.shape[1]] = np.where(
        np.take_along_axis(fresh, order, 1), np.take_along_axis(rows, order, 1), -1
    )
    return out
