"""Lists that a ranker made beforehand, kept fresh by what the user has done since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from generation.candidates.base import catalog_rows
from mdp.catalog import Catalog
from mdp.clock import DAY, NEVER
from mdp.compiled import njit
from mdp.state import FREE, RELEASED

COOL_DOWN = 3 * DAY
"""Time after a send in which its item is not offered: the default guardrail's."""


@dataclass(frozen=True, eq=False)
class Ranked:
    """Each user's ranked items, those met since first; for a user who came later, items like those
    that the user met; then what is popular. The last place goes to an item that came to the
    catalogue later, where the list has others of its category. Nothing sold out or pushed in the
    last three days."""

    user_hash: np.ndarray
    """Users with lists (U,) uint64, ascending."""
    guess: np.ndarray
    """Item hashes, best first (U, M) uint64, 0 for padding."""
    item_hash: np.ndarray
    """Items with neighbours (J,) uint64, ascending."""
    near: np.ndarray
    """Item hashes of each item's neighbours (J, B) uint64, 0 for padding."""
    weight: np.ndarray
    """How much having met an item speaks for its neighbour (J, B) float32."""
    popular: np.ndarray
    """Item hashes, best first (P,) uint64."""
    fitted_at: int
    """Instant, microseconds UTC, of which the lists are."""
    catalog: Catalog
    size: int = 10
    """K"""
    kind: ClassVar[str] = "ranked"
    reads_states: ClassVar[bool] = True
    _tables: tuple[np.ndarray, ...] = field(init=False)

    def __post_init__(self) -> None:
        items = self.catalog.items
        place = catalog_rows(self.catalog, self.item_hash)
        near = np.full((len(items), self.near.shape[1]), -1, np.int32)
        weight = np.zeros(near.shape, np.float32)
        near[place[place >= 0]] = catalog_rows(self.catalog, self.near)[place >= 0]
        weight[place[place >= 0]] = self.weight[place >= 0]
        ends = items.available_until
        ends = np.where(ends == NEVER, np.iinfo(np.int64).max, ends)
        ends = np.where(items.stock > 0, ends, NEVER)
        _, category = np.unique(np.array(items.categories, str), return_inverse=True)
        fresh = np.flatnonzero(~np.isin(items.hashes, self.item_hash))
        tables = (
            catalog_rows(self.catalog, self.guess),
            near,
            weight,
            catalog_rows(self.catalog, self.popular),
            ends.astype(np.int64),
            category.astype(np.int64),
            fresh.astype(np.int64),
            items.hashes[fresh],
        )
        object.__setattr__(self, "_tables", tables)

    def candidates(self, user_hash: np.ndarray, states: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Catalogue rows (N, K) int32, best first, -1 for padding."""
        out = np.full((len(user_hash), self.size), -1, np.int32)
        if not len(self.catalog.items):
            return out
        place = np.full(len(user_hash), -1, np.int64)
        if len(self.user_hash):
            near = np.searchsorted(self.user_hash, user_hash).clip(max=len(self.user_hash) - 1)
            place = np.where(self.user_hash[near] == user_hash, near, -1)
        ring, known = states["ring"], states["known"]
        busy = (ring["status"] != FREE) & (ring["status"] != RELEASED)
        busy &= ring["send_at"] > np.asarray(at)[:, None] - COOL_DOWN
        pushed = np.where(busy, catalog_rows(self.catalog, ring["item"]), -1)
        met = catalog_rows(self.catalog, known["item"])
        order = np.argsort(known["last_at"], axis=1, kind="stable")[:, ::-1]
        met = np.take_along_axis(met, order, 1)
        last_at = np.take_along_axis(known["last_at"], order, 1)
        fill: Any = _fill
        at = np.asarray(at)
        fill(user_hash, place, met, last_at, pushed, at, self.fitted_at, *self._tables, out)
        return out

    def arrays(self) -> dict[str, np.ndarray]:
        """All that `from_arrays` needs beside the catalogue."""
        own = ("user_hash", "guess", "item_hash", "near", "weight", "popular")
        return {
            **{name: getattr(self, name) for name in own},
            "fitted_at": np.array([self.fitted_at], np.int64),
            "size": np.array([self.size], np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], catalog: Catalog) -> Ranked:
        """The inverse of `arrays`."""
        own = {name: array for name, array in arrays.items() if name not in ("fitted_at", "size")}
        return cls(
            **own,
            fitted_at=int(arrays["fitted_at"][0]),
            catalog=catalog,
            size=int(arrays["size"][0]),
        )


@njit(cache=True)
def _may(row: Any, out: Any, count: Any, pushed: Any, ends: Any, at: Any) -> Any:
    """Whether an item may join a list's first `count`: it is to be had, not there, not pushed."""
    barred = row < 0 or ends[row] <= at
    for k in range(count):
        barred |= out[k] == row
    for k in range(len(pushed)):
        barred |= pushed[k] == row
    return not barred


@njit(cache=True)
def _put(row: Any, out: Any, count: Any, pushed: Any, ends: Any, at: Any) -> Any:
    """Adds an item to a list where there is room and it may join; the new count."""
    if count >= len(out) or not _may(row, out, count, pushed, ends, at):
        return count
    out[count] = row
    return count + 1


@njit(cache=True)
def _fill(
    user_hash: Any,
    place: Any,
    met: Any,
    last_at: Any,
    pushed: Any,
    at: Any,
    fitted_at: Any,
    guess: Any,
    near: Any,
    weight: Any,
    popular: Any,
    ends: Any,
    category: Any,
    fresh: Any,
    fresh_hash: Any,
    out: Any,
) -> None:
    """Fills lists (N, K) from what was met since, what was ranked or is near, what sells, and what
    is new."""
    score = np.zeros(len(ends), np.float32)
    K = out.shape[1]
    for n in range(len(place)):
        count = 0
        for m in range(met.shape[1]):  # latest first
            if count < K // 2 and (place[n] < 0 or last_at[n, m] >= fitted_at):
                count = _put(met[n, m], out[n], count, pushed[n], ends, at[n])
        if place[n] >= 0:
            for m in range(guess.shape[1]):
                count = _put(guess[place[n], m], out[n], count, pushed[n], ends, at[n])
        else:
            for m in range(met.shape[1]):
                if met[n, m] >= 0:
                    for b in range(near.shape[1]):
                        if near[met[n, m], b] >= 0:
                            score[near[met[n, m], b]] += weight[met[n, m], b]
            for _ in range(2 * K):
                best = np.argmax(score)
                if score[best] <= 0 or count >= K:
                    break
                score[best] = 0
                count = _put(best, out[n], count, pushed[n], ends, at[n])
            score[:] = 0
        for m in range(len(popular)):
            count = _put(popular[m], out[n], count, pushed[n], ends, at[n])
        if len(fresh) and K > 1:
            _end_with_new(user_hash[n], pushed[n], at[n], ends, category, fresh, fresh_hash, out[n])


@njit(cache=True)
def _end_with_new(
    user: Any,
    pushed: Any,
    at: Any,
    ends: Any,
    category: Any,
    fresh: Any,
    fresh_hash: Any,
    out: Any,
) -> None:
    """Ends a list (K,) with the new item of whose category it has most; which of several, is the
    user's luck, so that all of them are seen."""
    last, chosen, most = len(out) - 1, -1, np.uint64(0)
    for f in range(len(fresh)):
        alike = 0
        for k in range(last):
            if out[k] >= 0 and category[out[k]] == category[fresh[f]]:
                alike += 1
        if alike == 0 or not _may(fresh[f], out, last, pushed, ends, at):
            continue
        luck = (user ^ fresh_hash[f]) * np.uint64(0x9E3779B97F4A7C15)
        rank = (np.uint64(alike) << np.uint64(56)) | (luck >> np.uint64(8))
        if rank > most:
            most, chosen = rank, fresh[f]
    if chosen >= 0:
        for k in range(last):
            if out[k] < 0:
                last = k
                break
        out[last] = chosen
