"""What a log gives to learn from, as it stood at an instant."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from generation.candidates.base import catalog_rows
from ingestion.catalog import catalog_of
from ingestion.codes import id_hashes
from ingestion.log import Log, epoch_us
from ingestion.logged_decisions import LoggedDecisions, attributed, decisions_of, requests_of
from ingestion.logged_decisions import joined as joined_decisions
from ingestion.parted import PartedLog
from ingestion.replay import UserEvents, event_ids, to_events
from ingestion.replay import joined as joined_events
from ingestion.splits import before, split_time
from mdp.catalog import Catalog
from mdp.errors import NotEnoughData
from mdp.events import Kind
from mdp.observation import Requests
from mdp.reward import Reward
from simulator.habits import Acts
from simulator.special_days import SpecialDays, calendar_of, special_days

DEFAULT_REWARD = Reward()
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
    """What a log gives to learn from: U users, D decisions."""

    rest: Log
    """The log without its events, decisions and outcomes, which the arrays hold: who was known by
    then, the catalogue, its changes and reviews."""
    catalog: Catalog
    events: UserEvents
    decisions: LoggedDecisions
    outcome: np.ndarray
    """Opened, clicked, bought, dismissed, unsubscribed (D, 5) bool."""
    reward: np.ndarray
    """(D,) float64"""
    pushed: np.ndarray
    """Hashes of the ids of the purchases that follow a click on a push (P,) uint64."""
    until: int

    @property
    def special(self) -> SpecialDays:
        """The special days whose names the log has lived."""
        return special_days(calendar_of(self.rest), self.began, self.until)

    @property
    def began(self) -> int:
        """The first instant that the log tells of, microseconds UTC."""
        return int(self.events.events["at"].min(initial=self.until))

    def requests(self, which: np.ndarray) -> Requests:
        """Some of the decisions, by index (N,), as requests; their states are 2.5 KB each, so
        don't ask for all."""
        return requests_of(self.rest, self.catalog, self.events, self.decisions.only(which))

    def parts(self, which: np.ndarray) -> list[np.ndarray]:
        """Places in `which` (N,), indices of decisions, in parts of `TOGETHER` users at most."""
        owner = self.decisions.owner[which]
        order = np.argsort(owner, kind="stable")
        ends = np.arange(TOGETHER, len(self.events.user_ids), TOGETHER)
        return [part for part in np.split(order, np.searchsorted(owner[order], ends)) if len(part)]

    def of_users(self, rows: np.ndarray) -> Material:
        """What there is to learn from some users (N,), ascending, alone."""
        users, decisions = self.events.of_users(rows), self.decisions
        new = np.full(len(self.events.user_ids), -1)
        new[rows] = np.arange(len(rows))
        mine = new[decisions.owner] >= 0
        some = decisions.only(mine)
        table = self.rest.people.iloc[rows].reset_index(drop=True)
        return replace(
            self,
            rest=self.rest.replace_tables(users=table),
            events=users,
            decisions=replace(some, owner=new[some.owner]),
            outcome=self.outcome[mine],
            reward=self.reward[mine],
        )


def material_of(log: Log, until: int | None = None, reward: Reward = DEFAULT_REWARD) -> Material:
    """The log as it stood at an instant (default: `split_time`); raises `NotEnoughData` where it
    holds too little."""
    return _enough(_taken(log, split_time(log) if until is None else until, reward))


def material_of_parts(log: PartedLog, until: int | None = None) -> Material:
    """`material_of` a log in parts, of which one at a time is in memory; the same arrays. The
    instant is the log's end where that is earlier."""
    until = log.split if until is None else min(until, log.end)
    parts = []
    for part, place in log.parts():
        taken = _taken(part, until, DEFAULT_REWARD)
        early = epoch_us(part.tables["decisions"]["decided_at"]) < until
        rows = taken.decisions.rows
        if len(rows):  # else the log may not have the table
            rows = place["decisions"][early][rows]
        parts.append(replace(taken, decisions=replace(taken.decisions, rows=rows)))
    del part, taken
    return _enough(_joined(parts))


def _enough(material: Material) -> Material:
    """The material; raises `NotEnoughData` where it holds too few pushes."""
    sends = int(material.decisions.sent.sum())
    if sends < LEAST_SENDS:
        raise NotEnoughData(
            f"the log has {sends} pushes before the time to fit until; {LEAST_SENDS} are the least"
        )
    return material


def _taken(log: Log, until: int, reward: Reward) -> Material:
    known = before(log, until)
    catalog, events = catalog_of(log), to_events(known)
    decisions = decisions_of(known, catalog, events)
    followed = attributed(known, catalog, events, decisions, reward)
    table = known.tables["events"]
    bought = ((table["event"] == "purchase") & table["at"].notna()).to_numpy()
    flags = (
        followed.opened | followed.clicked,
        followed.clicked,
        followed.value > 0,
        followed.dismissed,
        followed.unsubscribed,
    )
    return Material(
        rest=known.replace_tables(  # not a slice, which would hold on to the whole
            **{name: known.tables[name].iloc[[]] for name in ("events", "decisions", "outcomes")}
        ),
        catalog=catalog,
        events=events,
        decisions=decisions,
        outcome=np.stack(flags, 1),
        reward=followed.reward,
        pushed=id_hashes(event_ids(table)[bought])[followed.purchase_of >= 0],
        until=until,
    )


def _joined(parts: list[Material]) -> Material:
    """The material of all users of those that have been taken from parts of a log; the list is
    emptied, as it holds half of the memory."""
    first = parts[0]
    users, reviews = (
        pd.concat([part.rest.tables[name] for part in parts], ignore_index=True)
        for name in ("users", "reviews")
    )
    rest = first.rest.replace_tables(users=users, reviews=reviews)
    ids = tuple(rest.people["user_id"])
    rows = [part.events.rows_among(ids) for part in parts]
    decisions = [
        replace(part.decisions, owner=row[part.decisions.owner])
        for part, row in zip(parts, rows, strict=True)
    ]
    order = np.argsort(np.concatenate([each.rows for each in decisions]), kind="stable")
    joined = replace(
        first,
        rest=rest,
        decisions=joined_decisions(decisions, first.catalog),
        outcome=np.concatenate([part.outcome for part in parts])[order],
        reward=np.concatenate([part.reward for part in parts])[order],
        pushed=np.concatenate([part.pushed for part in parts]),
    )
    events = [part.events for part in parts]
    del decisions, first
    parts.clear()
    return replace(joined, events=joined_events(ids, events, rows))


def acts_of(material: Material) -> Acts:
    """What users did by themselves: purchases that follow a click on a push are left out."""
    events, owner = material.events.events, material.events.owner
    mine = (events["kind"] <= Kind.PURCHASE) & (events["kind"] >= Kind.VIEW)
    bought = np.flatnonzero(events["kind"] == Kind.PURCHASE)
    mine[bought] = ~np.isin(events["id"][bought], material.pushed)
    rows = np.flatnonzero(mine)
    items = catalog_rows(material.catalog, events["item"][rows]).astype(np.int64)
    rows, items = rows[items >= 0], items[items >= 0]
    return Acts(
        owner=owner[rows],
        item=items,
        kind=events["kind"][rows],
        at=events["at"][rows],
        value=events["value"][rows].astype(np.float64),
    )
