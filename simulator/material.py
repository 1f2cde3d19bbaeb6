"""What a log gives to learn from, as it stood at an instant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generation.candidates.base import catalog_rows
from ingestion.catalog import catalog_of
from ingestion.codes import id_hashes
from ingestion.log import Log
from ingestion.logged_decisions import LoggedDecisions, attributed, decisions_of, requests_of
from ingestion.replay import UserEvents, event_ids, to_events
from ingestion.splits import before, split_time
from mdp.attribution import Attributed
from mdp.catalog import Catalog
from mdp.errors import NotEnoughData
from mdp.events import Kind
from mdp.observation import Requests
from mdp.reward import Reward
from simulator.habits import Acts

LEAST_SENDS = 30
"""Pushes below which nothing is fitted."""
SAMPLE = 3000
"""Users by whom a fit is tuned and judged where there are more."""
TOGETHER = 1000
"""Users whose states are worked on at a time."""


def sample_of(users: int, seed: int) -> np.ndarray:
    """Rows (N,) int64, ascending, of users drawn to tune and judge by: all, or `SAMPLE`."""
    if users <= SAMPLE:
        return np.arange(users)
    return np.sort(np.random.default_rng([seed, 3]).choice(users, SAMPLE, replace=False))


@dataclass(frozen=True)
class Material:
    """What a log gives to learn from."""

    log: Log
    catalog: Catalog
    events: UserEvents
    decisions: LoggedDecisions
    followed: Attributed
    until: int

    @property
    def began(self) -> int:
        """The first instant that the log tells of, microseconds UTC."""
        return int(self.events.events["at"].min(initial=self.until))

    def requests(self, which: np.ndarray) -> Requests:
        """Some of the decisions, by index (N,), as requests; their states are 2.5 KB each, so
        don't ask for all."""
        return requests_of(self.log, self.catalog, self.events, self.decisions.only(which))

    def parts(self, which: np.ndarray) -> list[np.ndarray]:
        """Places in `which` (N,), indices of decisions, in parts of `TOGETHER` users at most."""
        owner = self.decisions.owner[which]
        order = np.argsort(owner, kind="stable")
        ends = np.arange(TOGETHER, len(self.events.user_ids), TOGETHER)
        return [part for part in np.split(order, np.searchsorted(owner[order], ends)) if len(part)]


def material_of(log: Log, until: int | None = None) -> Material:
    """The log as it stood at an instant (default: `split_time`); raises `NotEnoughData` where it
    holds too little."""
    until = split_time(log) if until is None else until
    known = before(log, until)
    catalog, events = catalog_of(log), to_events(known)
    decisions = decisions_of(known, catalog, events)
    sends = int(decisions.sent.sum())
    if sends < LEAST_SENDS:
        raise NotEnoughData(
            f"the log has {sends} pushes before the time to fit until; {LEAST_SENDS} are the least"
        )
    return Material(
        known,
        catalog,
        events,
        decisions,
        attributed(known, catalog, events, decisions, Reward()),
        until,
    )


def acts_of(material: Material) -> Acts:
    """What users did by themselves: purchases that follow a click on a push are left out."""
    events, owner = material.events.events, material.events.owner
    items = catalog_rows(material.catalog, events["item"]).astype(np.int64)
    table = material.log.tables["events"]
    bought = ((table["event"] == "purchase") & table["at"].notna()).to_numpy()
    pushed = id_hashes(event_ids(table)[bought])[material.followed.purchase_of >= 0]
    mine = (events["kind"] <= Kind.PURCHASE) & (events["kind"] >= Kind.VIEW) & (items >= 0)
    mine &= ~((events["kind"] == Kind.PURCHASE) & np.isin(events["id"], pushed))
    return Acts(
        owner=owner[mine],
        item=items[mine],
        kind=events["kind"][mine],
        at=events["at"][mine],
        value=events["value"][mine].astype(np.float64),
    )
