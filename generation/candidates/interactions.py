"""What a log says of who met which item when: all that the rankers learn from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from generation.candidates.reviewed import Reviewed
from ingestion.catalog import catalog_of
from ingestion.log import Log, epoch_us
from mdp.catalog import Items
from mdp.clock import DAY
from mdp.errors import NotEnoughData


@dataclass(frozen=True, eq=False)
class Interactions:
    """Views, carts and purchases up to an instant, sorted by time."""

    user_ids: tuple[str, ...]
    """Everyone in the log's table of users (U,)."""
    items: Items
    """The catalogue, I items; those that nobody met yet are among them."""
    descriptions: tuple[str, ...]
    """Descriptions of the items (I,), "" where there is none."""
    user: np.ndarray
    """User's row of each interaction (n,) int64."""
    item: np.ndarray
    """Item's row of each interaction (n,) int64."""
    at: np.ndarray
    """(n,) int64, microseconds UTC, ascending"""
    bought: np.ndarray
    """Whether it was a purchase (n,) bool."""
    until: int
    """Instant, microseconds UTC, from which nothing is known."""
    reviewed: Reviewed = field(default_factory=Reviewed.none)
    """What reviewers say of the items."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of users and items."""
        return len(self.user_ids), len(self.items)

    @cached_property
    def age(self) -> np.ndarray:
        """Days from each interaction to `until` (n,) float64."""
        return (self.until - self.at) / DAY

    @cached_property
    def counts(self) -> csr_matrix:
        """How often each user met each item (U, I) float32."""
        return self.matrix(np.ones(len(self.user), np.float32))

    @cached_property
    def met(self) -> csr_matrix:
        """1 where the user met the item (U, I) float32."""
        met = self.counts.copy()
        met.data[:] = 1
        return met

    def matrix(self, weight: np.ndarray) -> csr_matrix:
        """Sums of a weight (n,) over a user's interactions with an item (U, I) float32."""
        entries = weight.astype(np.float32), (self.user, self.item)
        return csr_matrix(entries, shape=self.shape)

    def popularity(self, days: float) -> np.ndarray:
        """Users who met each item in the last days (I,) float64."""
        recent = self.age < days
        pair = np.unique(self.user[recent] * self.shape[1] + self.item[recent])
        return np.bincount(pair % self.shape[1], minlength=self.shape[1]).astype(np.float64)

    def where(self, kept: np.ndarray, until: int | None = None) -> Interactions:
        """Some of the interactions (n,) bool, perhaps as known at another instant."""
        return replace(
            self,
            user=self.user[kept],
            item=self.item[kept],
            at=self.at[kept],
            bought=self.bought[kept],
            until=self.until if until is None else until,
            reviewed=self.reviewed if until is None else self.reviewed.before(until),
        )

    def before(self, until: int) -> Interactions:
        """What was known at an instant."""
        return self.where(self.at < until, until)


def interactions_of(log: Log, until: int | None = None) -> Interactions:
    """A log's views, carts and purchases before `until` (default: all of them).

    Raises `NotEnoughData` where there is none.
    """
    items = catalog_of(log).items
    users = log.tables["users"]["user_id"].dropna().drop_duplicates().sort_values()
    table = log.tables["events"]
    user = users.set_axis(range(len(users)))
    row = dict(zip(user, user.index, strict=True))
    who = table["user_id"].map(row).fillna(-1).to_numpy(np.int64)
    what = table["item_id"].map(items.row).fillna(-1).to_numpy(np.int64)
    at = epoch_us(table["at"])
    good = (who >= 0) & (what >= 0) & table["at"].notna().to_numpy()
    if until is not None:
        good &= at < until
    bought = (table["event"] == "purchase").to_numpy()
    return interactions_among(
        log, tuple(users), who[good], what[good], at[good], bought[good], until
    )


def interactions_among(
    log: Log,
    users: tuple[str, ...],
    who: np.ndarray,
    what: np.ndarray,
    at: np.ndarray,
    bought: np.ndarray,
    until: int | None,
) -> Interactions:
    """`interactions_of` a log whose events are given as rows of users (U,), ascending, rows of
    items, instants and whether it was a purchase, (n,) each."""
    if not len(who):
        known = "" if until is None else " before that instant"
        raise NotEnoughData(
            f"the log has no view, cart or purchase{known} to learn candidates from"
        )
    items = catalog_of(log).items
    reviewed = Reviewed.of(log.tables["reviews"], items.row)
    order = np.argsort(at, kind="stable")
    described = log.tables["items"].drop_duplicates("item_id").set_index("item_id")["description"]
    described = described.reindex(list(items.ids)).astype(object)
    return Interactions(
        user_ids=users,
        items=items,
        descriptions=tuple(described.where(described.notna(), "")),
        user=who[order],
        item=what[order],
        at=at[order],
        bought=bought[order],
        until=int(at[order[-1]]) + 1 if until is None else until,
        reviewed=reviewed if until is None else reviewed.before(until),
    )
