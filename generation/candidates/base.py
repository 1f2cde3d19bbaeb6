"""What every recommender offers."""

from __future__ import annotations

from typing import Protocol

import numpy as np


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

    def candidates(self, user_hash: np.ndarray, states: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Catalogue rows (N, K) int32, best first, -1 for padding.

        user_hash: (N,) uint64. states: (N,) `HISTORY` as `state.features` gives it. at: (N,) int64.
        """
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """All that rebuilds it beside the catalogue."""
        ...
