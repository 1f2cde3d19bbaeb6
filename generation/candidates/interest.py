"""What a user likes, since when, and why an item would be offered: a model that can be read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from generation.candidates.evidence import Evidence
from generation.candidates.hybrid import Hybrid
from generation.candidates.interactions import Interactions
from mdp.clock import DAY, NEVER


@dataclass(frozen=True)
class Liking:
    """A category that a user is drawn to."""

    category: str
    items: int
    """different items met"""
    share: float
    """share of the user's meetings"""
    times_usual: float
    """that share over the shop's"""
    since: str
    """day of the first meeting"""
    last: str
    """day of the last one"""


@dataclass(frozen=True)
class Regular:
    """An item that a user comes back to."""

    item_id: str
    title: str
    days: int
    """different days"""
    every: float
    """days between them, on average"""
    last: str
    """day of the last meeting"""


@dataclass(frozen=True)
class Offer:
    """An item that the user would be offered, best first."""

    item_id: str
    title: str
    category: str
    price: float
    why: str


@dataclass(frozen=True)
class Interest:
    """What a log says that a user is interested in."""

    user_id: str
    interactions: int
    visits: int
    """days with any"""
    first: str | None
    last: str | None
    every: float | None
    """days between visits, on average"""
    prices: tuple[float, float, float] | None
    """quartiles of the prices of items met"""
    likes: tuple[Liking, ...]
    regulars: tuple[Regular, ...]
    offers: tuple[Offer, ...]

    def to_mapping(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)


def interest_of(
    log: Interactions,
    user_id: str,
    hybrid: Hybrid,
    blocked: frozenset[str] = frozenset(),
    pushed: frozenset[str] = frozenset(),
    size: int = 10,
) -> Interest:
    """The interests of one user, someone unknown included, whose offers then are what is popular.

    hybrid: fitted to `log`. blocked: categories that the user wants nothing of. pushed: ids of
    items pushed lately. Neither they nor items that are sold out or over are offered.
    """
    row = {name: n for n, name in enumerate(log.user_ids)}.get(user_id, -1)
    mine = np.flatnonzero(log.user == row)
    days = np.unique(log.at[mine] // DAY)
    prices = np.quantile(log.items.price[log.item[mine]], [0.25, 0.5, 0.75]) if len(mine) else None
    return Interest(
        user_id,
        len(mine),
        len(days),
        _day(days[0]) if len(days) else None,
        _day(days[-1]) if len(days) else None,
        round(float(np.diff(days).mean()), 1) if len(days) > 1 else None,
        None if prices is None else (float(prices[0]), float(prices[1]), float(prices[2])),
        _likes(log, mine),
        _regulars(log, mine),
        _offers(log, row, hybrid, _barred(log, blocked, pushed), size),
    )


def _likes(log: Interactions, mine: np.ndarray) -> tuple[Liking, ...]:
    """The categories whose share is above the shop's, the least likely by chance first."""
    names, category = np.unique(log.items.categories, return_inverse=True)
    usual = np.bincount(category[log.item], minlength=len(names)) / len(log.item)
    count = np.bincount(category[log.item[mine]], minlength=len(names))
    found = []
    expected = usual * len(mine)
    surprise = (count - expected) / np.sqrt(np.maximum(expected, 1e-9))
    for which in np.argsort(-surprise, kind="stable")[:5]:
        here = mine[category[log.item[mine]] == which]
        share = len(here) / max(len(mine), 1)
        if len(here) >= 2 and share > usual[which]:
            day = log.at[here] // DAY
            found.append(
                Liking(
                    str(names[which]),
                    len(np.unique(log.item[here])),
                    round(share, 3),
                    round(share / usual[which], 1),
                    _day(day.min()),
                    _day(day.max()),
                )
            )
    return tuple(found)


def _regulars(log: Interactions, mine: np.ndarray) -> tuple[Regular, ...]:
    item, day = np.unique(np.stack([log.item[mine], log.at[mine] // DAY], 1), axis=0).T
    rows, begin, days = np.unique(item, return_index=True, return_counts=True)
    found = []
    for k in np.argsort(-days, kind="stable")[:5]:
        if days[k] > 1:
            on = day[begin[k] : begin[k] + days[k]]
            every = float(np.diff(on).mean())
            items = log.items
            found.append(
                Regular(
                    items.ids[rows[k]],
                    items.titles[rows[k]],
                    int(days[k]),
                    round(every, 1),
                    _day(on[-1]),
                )
            )
    return tuple(found)


def _offers(
    log: Interactions, row: int, hybrid: Hybrid, barred: np.ndarray, size: int
) -> tuple[Offer, ...]:
    items = log.items
    lists = hybrid.recommend([row], size, csr_matrix(barred[None]))[0]
    return tuple(
        Offer(
            items.ids[item],
            items.titles[item],
            items.categories[item],
            round(float(items.price[item]), 2),
            _why(log, row, item, hybrid.evidence),
        )
        for item in lists[lists >= 0]
    )


def _barred(log: Interactions, blocked: frozenset[str], pushed: frozenset[str]) -> np.ndarray:
    """Items that must not be offered (I,) bool."""
    items = log.items
    over = (items.available_until != NEVER) & (items.available_until <= log.until)
    unwanted = np.isin(items.categories, list(blocked)) | np.isin(items.ids, list(pushed))
    return ~(items.stock > 0) | over | unwanted


def _why(log: Interactions, row: int, item: int, evidence: Evidence) -> str:
    """The plainest reason there is: the user's own days, what goes with it, or who else met it."""
    mine = log.age[(log.user == row) & (log.item == item)] if row >= 0 else np.zeros(0)
    if len(mine):
        days = len(np.unique(mine.astype(int)))
        return f"met on {days} day{'s' * (days > 1)}, last {mine.min():.0f} days ago"
    because, weight = evidence.reasons(row, item) if row >= 0 else (-1, 0.0)
    lately = int(log.popularity(30)[item])
    if because >= 0 and weight > 0.01:
        return f"goes with {log.items.titles[because]!r}; {lately} users in 30 days"
    if not log.popularity(np.inf)[item]:
        return "new: nobody met it yet; its words are like those of what the user met"
    return f"popular: {lately} users in 30 days"


def _day(number: int) -> str:
    return str(np.datetime64(int(number), "D"))
