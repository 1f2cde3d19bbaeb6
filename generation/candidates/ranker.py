"""The one interface of everything that ranks a catalogue for users: `fit(log)`, `recommend`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from scipy.sparse import csr_matrix

from generation.candidates.interactions import Interactions
from mdp.errors import BadInput

POPULAR_DAYS = 30
"""Days over which popularity is counted."""
TOGETHER = 1000
"""Users ranked at a time: a user takes a row of the catalogue's size."""


class Ranker(ABC):
    """Ranks all items for each user. Deterministic given its seed, alone or in a batch.

    A user whom nobody knows, or who met nothing, gets what is popular; ties are broken by
    popularity.
    """

    name: ClassVar[str]
    """What a leaderboard calls it."""

    log: Interactions
    """What it was fitted to."""

    def fit(self, log: Interactions) -> Self:
        """Learn from interactions; returns itself."""
        self.log = log
        popular = log.popularity(POPULAR_DAYS)
        self.popular = popular + log.popularity(np.inf) / (1e3 + len(log.user))
        self._fit()
        return self

    @abstractmethod
    def _fit(self) -> None:
        """Learn from `self.log`."""

    @abstractmethod
    def scores(self, users: np.ndarray) -> np.ndarray:
        """Scores (N, I) float, higher first, of known users, by row (N,) int64."""

    def recommend(
        self, users: np.ndarray | Sequence[int], n: int, exclude: csr_matrix | None = None
    ) -> np.ndarray:
        """The first n items for each user: catalogue rows (N, n) int32, -1 for padding.

        users: (N,) int64, rows of `log.user_ids`, -1 for someone unknown. exclude: sparse (N, I),
        not 0 where an item must not be offered (owned, out of stock, blocked, just pushed).
        """
        users = np.asarray(users, np.int64)
        if exclude is not None and exclude.shape != (len(users), self.log.shape[1]):
            raise BadInput(
                f"exclude has the shape {exclude.shape}; "
                f"it must be {(len(users), self.log.shape[1])}"
            )
        out = np.full((len(users), n), -1, np.int32)
        for begin in range(0, len(users), TOGETHER):
            part = slice(begin, begin + TOGETHER)
            barred = None if exclude is None else exclude[part].nonzero()
            out[part] = self._first(users[part], n, barred)
        return out

    def _first(
        self, users: np.ndarray, n: int, barred: tuple[np.ndarray, np.ndarray] | None
    ) -> np.ndarray:
        score = np.broadcast_to(self.popular, (len(users), len(self.popular))).copy()
        known = np.flatnonzero(users >= 0)
        known = known[np.diff(self.log.counts.indptr)[users[known]] > 0]
        if len(known):
            score[known] = self.scores(users[known])
        if barred is not None:
            score[barred] = -np.inf
        # Whatever is near the n-th place is sorted by score, then popularity, then row.
        rows = np.full((len(users), n), -1, np.int32)
        width = min(n, score.shape[1])
        least = -np.partition(-score, width - 1, axis=1)[:, width - 1]
        for k, line in enumerate(score):
            near = np.flatnonzero((line >= least[k]) & (line > -np.inf))
            best = near[np.lexsort((near, -self.popular[near], -line[near]))][:n]
            rows[k, : len(best)] = best
        return rows
