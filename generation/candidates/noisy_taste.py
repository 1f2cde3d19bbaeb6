"""The known-truth worlds' recommender: users' tastes, known imperfectly, and popular items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from generation.candidates.base import catalog_rows
from mdp.catalog import Catalog
from mdp.clock import DAY
from mdp.compiled import njit
from mdp.exponential import log64
from mdp.hashing import content_hash

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_LANES = 32
"""Compiled loops take as many numbers together; what is left over would be done one by one."""


@dataclass(frozen=True, eq=False)
class NoisyTaste:
    """K of each user's M best guesses, other ones every day; popular items for unknown users.

    A guess's chance of being on a day's list grows with its score (Gumbel noise, hashed from
    user, UTC day and item, so the list is the same whenever it is asked for on that day).
    """

    user_hash: np.ndarray
    """(U,) uint64, ascending"""
    guess: np.ndarray
    """Item hashes (U, M) uint64, 0 for padding."""
    score: np.ndarray
    """(U, M) float32"""
    popular: np.ndarray
    """Item hashes, best first (P,) uint64."""
    catalog: Catalog
    size: int = 10
    """K"""
    kind: ClassVar[str] = "noisy_taste"
    reads_states: ClassVar[bool] = False
    _row: np.ndarray = field(init=False)
    """Catalogue rows of the guesses, best first (U, M)."""
    _weight: np.ndarray = field(init=False)
    """exp(-score) of the same (U, M) float64."""
    _popular: np.ndarray = field(init=False)
    _first: np.ndarray = field(init=False)
    """Row of the first user whose hash has each prefix, and U."""
    _shift: np.uint64 = field(init=False)
    """Bits of a hash after its prefix."""

    def __post_init__(self) -> None:
        rows = catalog_rows(self.catalog, self.guess)
        best = np.argsort(-self.score, axis=1, kind="stable")
        score = np.take_along_axis(self.score, best, 1).astype(np.float64)
        object.__setattr__(self, "_row", np.take_along_axis(rows, best, 1))
        object.__setattr__(self, "_weight", np.exp(-score))
        object.__setattr__(self, "_popular", catalog_rows(self.catalog, self.popular))
        bits = max(len(self.user_hash) - 1, 1).bit_length()
        object.__setattr__(self, "_shift", np.uint64(64 - bits))
        prefixes = np.arange(1 << bits, dtype=np.uint64) << self._shift
        first = np.searchsorted(self.user_hash, prefixes)
        object.__setattr__(self, "_first", np.append(first, len(self.user_hash)))

    def candidates(self, user_hash: np.ndarray, states: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Catalogue rows (N, K) int32, best first, -1 for padding."""
        out = np.empty((len(user_hash), self.size), np.int32)
        _choose(
            self.user_hash,
            self._first,
            self._shift,
            self._row,
            self._weight,
            self._popular,
            user_hash,
            at,
            out,
        )
        return out

    def arrays(self) -> dict[str, np.ndarray]:
        """All that `from_arrays` needs beside the catalogue."""
        return {
            "user_hash": self.user_hash,
            "guess": self.guess,
            "score": self.score,
            "popular": self.popular,
            "size": np.array([self.size], np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], catalog: Catalog) -> NoisyTaste:
        """The inverse of `arrays`."""
        own = {name: arrays[name] for name in ("user_hash", "guess", "score", "popular")}
        return cls(**own, catalog=catalog, size=int(arrays["size"][0]))

    @property
    def hash(self) -> str:
        """Content hash."""
        return content_hash(*self.arrays().values())


@njit(cache=True)
def _uniform(x: Any) -> Any:
    """Uniform number in (0, 1) from a uint64 (splitmix64's finaliser)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return (float(x >> np.uint64(11)) + 0.5) / 9007199254740992.0


@njit(cache=True)
def _choose(
    known: Any,
    first: Any,
    shift: Any,
    guess: Any,
    weight: Any,
    popular: Any,
    user: Any,
    at: Any,
    out: Any,
) -> None:
    """The K highest of score + Gumbel noise, which are the K lowest of exp(-score) × an
    exponential number, best score first."""
    M, K = guess.shape[1], out.shape[1]
    # Counting how many cost less takes fewer steps than a sort: it runs on several at once, all
    # of whole lanes.
    lanes = -(-M // _LANES) * _LANES
    noise, cost = np.empty(M), np.full(lanes, np.inf, np.float32)
    cheaper, chosen = np.empty(lanes, np.int32), np.empty(K + 1, np.int32)
    for n in range(user.size):
        row = first[np.int64(user[n] >> shift)]
        while row < known.size and known[row] < user[n]:
            row += 1
        if row >= known.size or known[row] != user[n]:
            for k in range(K):
                out[n, k] = popular[k] if k < popular.size else -1
            continue
        key = user[n] ^ (np.uint64(at[n] // DAY + 1) * _GOLDEN)
        for m in range(M):
            noise[m] = log64(_uniform(key + np.uint64(m + 1) * _GOLDEN))
        for m in range(M):
            cost[m] = -noise[m] * weight[row, m] if guess[row, m] >= 0 else np.inf
        _rank(cost, cheaper)
        size = 0
        for m in range(M):  # without a branch, which would be guessed wrong every other time
            chosen[min(size, K)] = guess[row, m]
            size += (guess[row, m] >= 0) & (cheaper[m] < K)
        for k in range(K):
            out[n, k] = chosen[k] if k < size else -1


@njit(cache=True)
def _rank(cost: Any, cheaper: Any) -> None:
    """How many of costs (M,), M a multiple of four, are lower than each."""
    for m in range(cost.size):
        cheaper[m] = 0
    for i in range(0, cost.size, 4):
        one, two, three, four = cost[i], cost[i + 1], cost[i + 2], cost[i + 3]
        for m in range(cost.size):
            first = np.int32(one < cost[m]) + np.int32(two < cost[m])
            cheaper[m] += np.int32(first + np.int32(three < cost[m]) + np.int32(four < cost[m]))
