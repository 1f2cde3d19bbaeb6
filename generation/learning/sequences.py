"""What the sequence models read and should name: users' interactions in order, and what follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from generation.candidates.interactions import Interactions
from mdp.clock import DAY

GAPS = 8
"""Classes of time since the visit before, by powers of 2, in days."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What a network is shown of some users, each as at some instant."""

    item: np.ndarray
    """The latest interactions, latest last: items' rows + 1, 0 for padding (N, L) int64."""
    gap: np.ndarray
    """Class of the time since the visit before (N, L) int64."""
    own: csr_matrix
    """Log of one more than the days on which the user met the item (N, I) float32."""


@dataclass(frozen=True, eq=False)
class Visits:
    """A log as visits, each a set of items met on one day, in the order of users and days."""

    log: Interactions
    user: np.ndarray
    """(n,) int64, ascending, an entry for each item of a visit"""
    day: np.ndarray
    """(n,) int64"""
    item: np.ndarray
    """(n,) int64"""
    gap: np.ndarray
    """(n,) int64"""
    ends: np.ndarray
    """Last entry of each visit (V,) int64."""

    @classmethod
    def of(cls, log: Interactions) -> Visits:
        """The visits of everyone."""
        user, day, item = np.unique(np.stack([log.user, log.at // DAY, log.item], 1), axis=0).T
        same = np.append(False, user[1:] == user[:-1])
        begins = ~same | np.append(True, day[1:] != day[:-1])
        pause = np.diff(day[begins], prepend=day[0])
        pause[~same[begins]] = 0
        gap = np.clip(np.log2(np.maximum(pause, 1)), 0, GAPS - 1).astype(np.int64)
        ends = np.append(np.flatnonzero(begins)[1:], len(user)) - 1
        return cls(log, user, day, item, gap[np.cumsum(begins) - 1], ends)

    def seen(self, last: np.ndarray, length: int) -> Seen:
        """What was known after the entries `last` (N,)."""
        first = np.searchsorted(self.user, self.user[last])
        place = last[:, None] - np.arange(length)[::-1]
        there = place >= first[:, None]
        place = np.where(there, place, 0)
        own = self._sums(first, last + 1)
        own.data = np.log1p(own.data)
        return Seen(
            np.where(there, self.item[place] + 1, 0), np.where(there, self.gap[place], 0), own
        )

    def followed(self, days: float) -> tuple[np.ndarray, csr_matrix]:
        """Visits that others follow within some days: their last entries (M,), and what those
        hold, a row sums to 1 (M, I)."""
        key = self.user * 1_000_000 + self.day
        stop = np.searchsorted(key, key[self.ends] + days, "right")
        ends, stop = (each[stop > self.ends + 1] for each in (self.ends, stop))
        met = self._sums(ends + 1, stop)
        met.data[:] = 1
        return ends, csr_matrix(met.multiply(1 / np.maximum(met.sum(1), 1)), dtype=np.float32)

    def _sums(self, first: np.ndarray, stop: np.ndarray) -> csr_matrix:
        """How many of the entries from `first` to before `stop` are each item (N, I) float32."""
        size = stop - first
        row = np.repeat(np.arange(len(size)), size)
        place = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size) + first[row]
        shape = len(size), self.log.shape[1]
        return csr_matrix((np.ones(len(row), np.float32), (row, self.item[place])), shape=shape)

    def popularity(self) -> tuple[np.ndarray, np.ndarray]:
        """Week of each entry (n,), and log popularity before the end of each week (W, I)."""
        start = int(self.day.min())
        weeks = range(int(np.ptp(self.day)) // 7 + 1)
        known = [self.log.before(int((start + 7 * week) * DAY)) for week in weeks]
        return (self.day - start) // 7, np.stack([log_popularity(each) for each in known])


def log_popularity(log: Interactions) -> np.ndarray:
    """Log of one half more than the users who met each item in the last 30 days (I,) float32."""
    return np.log(log.popularity(30) + 0.5).astype(np.float32)
