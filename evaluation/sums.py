"""Sums over users, from which estimates, intervals and each user's influence follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.estimators import Terms


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums of E estimators' terms over each of G users."""

    columns: np.ndarray
    """(G, C) float64; the first column counts rows"""
    layout: tuple[tuple[tuple[int, int], ...], ...]
    """For each estimator, the columns (top, bottom) of the ratios that it adds up."""

    def ratios(self, totals: np.ndarray) -> np.ndarray:
        """Estimates (…, E) of totals (…, C)."""
        out = np.zeros((*totals.shape[:-1], len(self.layout)))
        for place, parts in enumerate(self.layout):
            for top, bottom in parts:
                below = totals[..., bottom]
                out[..., place] += np.divide(
                    totals[..., top], below, out=np.full(below.shape, np.nan), where=below > 0
                )
        return out

    def pulls(self) -> np.ndarray:
        """Influence (G, E) of each user on each estimate: what it adds to it."""
        totals = self.columns.sum(0)
        out = np.zeros((len(self.columns), len(self.layout)))
        for place, parts in enumerate(self.layout):
            for top, bottom in parts:
                if totals[bottom] > 0:
                    ratio = totals[top] / totals[bottom]
                    own = self.columns[:, top] - ratio * self.columns[:, bottom]
                    out[:, place] += own / totals[bottom]
        return out

    def grouped(self, most: int, rng: np.random.Generator) -> np.ndarray:
        """The columns of at most so many groups of users, put together at random."""
        if len(self.columns) <= most:
            return self.columns
        group = rng.permutation(len(self.columns)) % most
        return np.stack([np.bincount(group, column) for column in self.columns.T], 1)


def sums_of(terms: Sequence[Terms], user: np.ndarray, users: int | None = None) -> Sums:
    """Sums over users of E estimators' terms; user: (n,) int64 codes from 0."""
    users = int(user.max()) + 1 if users is None else users
    single = len(user) == users and bool((user == np.arange(users)).all())

    def over(values: np.ndarray) -> np.ndarray:
        return values if single else np.bincount(user, values, users)

    columns = [np.bincount(user, minlength=users).astype(np.float64)]
    known: dict[int, int] = {}
    """Where an array's sums already are: many estimators divide by the same weights."""

    def place(values: np.ndarray | None) -> int:
        if values is None:
            return 0
        if id(values) not in known:
            known[id(values)] = len(columns)
            columns.append(over(values))
        return known[id(values)]

    layout = []
    for each in terms:
        parts = [(place(each.top), place(each.bottom))]
        if each.offset is not None:
            parts.append((place(each.offset), 0))
        layout.append(tuple(parts))
    return Sums(np.stack(columns, 1), tuple(layout))
