"""Rankers without a model: what sells, and what the user has had before. The bars to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from generation.candidates.ranker import Ranker


@dataclass
class Popular(Ranker):
    """Items that most users met lately."""

    name: ClassVar[str] = "popularity"
    days: float = 30
    """days that count"""

    def _fit(self) -> None:
        self._count = self.log.popularity(self.days)

    def scores(self, users: np.ndarray) -> np.ndarray:
        """The same for everyone (N, I)."""
        return np.broadcast_to(self._count, (len(users), len(self._count)))


@dataclass
class OwnHistory(Ranker):
    """Items that the user met, those often and lately first, then popular ones."""

    name: ClassVar[str] = "own history"
    half_life: float = np.inf
    """days in which a meeting counts half"""

    def _fit(self) -> None:
        self._weight = self.log.matrix(np.exp2(-self.log.age / self.half_life))

    def scores(self, users: np.ndarray) -> np.ndarray:
        """Decayed counts (N, I); ties, such as items never met, are left to popularity."""
        return self._weight[users].toarray()
