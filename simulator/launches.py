"""New items: listed after a simulator's start, each beside an item that it is like.

What users look for, and a shop's recommender, say nothing of items that are not there yet. So a new
item shares the place of another, its donor: from its listing on, half of the meetings with that one
are with the new item, and half of the users who would be offered that one are offered the new. It
has its donor's title, category, brand, price and margin under an id of its own, and so the response
that these give.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from generation.candidates.base import Around
from mdp.catalog import Items
from mdp.clock import DAY, NEVER
from simulator.description import Launches, Simulator
from simulator.randomness import LAUNCH, keys, words


@dataclass(frozen=True)
class _Sharing(Around):
    """A recommender whose lists have new items in the places of those that they are like."""

    hashes: np.ndarray
    """Of the items (I,) uint64."""
    launches: Launches

    def candidates(self, user_hash: np.ndarray, states: np.ndarray, at: np.ndarray) -> np.ndarray:
        rows = self.recommender.candidates(user_hash, states, at)
        while True:
            n, k = np.nonzero((rows >= 0) & (self.launches.since[rows] <= np.asarray(at)[:, None]))
            item = rows[n, k]
            key = keys(self.hashes[item], LAUNCH, user_hash[n], np.zeros(len(n), np.int64))
            taken = (words(key, 0) & np.uint64(1)).astype(bool)
            if not taken.any():
                return rows
            rows[n[taken], k[taken]] = self.launches.successor[item[taken]]


def with_new_items(simulator: Simulator, rate: float, days: int, seed: int) -> Simulator:
    """The simulator with items that are listed in the days after its start, `rate` a day on
    average. An item shares its place with one other; where more are listed, with one that has come
    to share another's."""
    items, rng = simulator.catalog.items, np.random.default_rng([seed, 37])
    listed = np.repeat(np.arange(days), rng.poisson(rate, days))
    if not len(listed):
        return simulator
    available = (items.available_until == NEVER) & (items.stock > 0)
    free = np.flatnonzero(available if available.any() else ~available).tolist()
    size, organic = len(items), simulator.organic
    successor = np.full(size + len(listed), -1, np.int32)
    since = np.full(len(successor), np.iinfo(np.int64).max)
    like = np.arange(len(successor))
    for new, day in enumerate(listed.tolist(), size):
        place = rng.integers(len(free))
        donor, free[place] = free[place], new
        successor[donor], since[donor] = new, simulator.start + day * DAY
        like[new] = like[donor]
    donors = like[size:]
    catalog = replace(simulator.catalog, items=_more(items, donors, simulator.start))
    launches = Launches(successor, since)
    return replace(
        simulator,
        catalog=catalog,
        organic=replace(
            organic,
            popularity=np.append(organic.popularity, np.zeros(len(donors), np.float32)),
            spend=np.append(organic.spend, organic.spend[donors]),
        ),
        recommender=_Sharing(simulator.recommender, catalog.items.hashes, launches),
        launches=launches,
    )


def _more(items: Items, donors: np.ndarray, start: int) -> Items:
    """The items and, after them, new ones like the `donors` (M,)."""
    rows = np.concatenate([np.arange(len(items)), donors])
    date = pd.Timestamp(start, unit="us").date()
    ids = (*items.ids, *(f"new-{date}-{number + 1}" for number in range(len(donors))))
    own = {f.name: getattr(items, f.name) for f in fields(items) if f.init and f.name != "ids"}
    some: dict[str, Any] = {
        name: value[rows] if isinstance(value, np.ndarray) else tuple(value[row] for row in rows)
        for name, value in own.items()
    }
    return Items(ids=ids, **some)
