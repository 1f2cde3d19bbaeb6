"""Happenings: the events of users' days, collected as they come to be and applied in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mdp.catalog import Catalog
from mdp.clock import HOUR, NEVER, zone_tables
from mdp.compiled import njit
from mdp.events import EVENT, Kind, events_array
from mdp.hashing import hash_ids
from mdp.local_time import segment
from simulator.organic import Drawn
from simulator.outcomes import Outcomes
from simulator.payment import Chosen

_KINDS = np.array(
    [Kind.OPENED, Kind.CLICKED, Kind.PURCHASE, Kind.DISMISSED, Kind.UNSUBSCRIBED], np.int8
)
_HOLD, _SEND, _PURCHASE = int(Kind.HOLD), int(Kind.SEND), int(Kind.PURCHASE)
_NONE = np.uint64(0)
_RECORD = np.dtype((np.void, EVENT.itemsize))


@dataclass(frozen=True)
class Happenings:
    """M events of users."""

    owner: np.ndarray
    """Row of the user (M,) int64."""
    events: np.ndarray
    """(M,) `EVENT`"""
    ids: np.ndarray
    """Numbers (M,) uint64 that ids in a log are made of."""

    @classmethod
    def none(cls) -> Happenings:
        """No events."""
        return cls(np.zeros(0, np.int64), events_array(0), np.zeros(0, np.uint64))

    def taken(self, which: np.ndarray) -> Happenings:
        """Those of indices or flags `which`."""
        events = self.events.view(_RECORD)[which].view(EVENT)
        return Happenings(self.owner[which], events, self.ids[which])

    def due(self, until: np.ndarray) -> tuple[Happenings, Happenings]:
        """Those before each user's instant `until` (N,) int64, by owner and then in the order
        that History takes them in; and those to come."""
        order, later = np.empty(len(self.owner), np.int64), np.empty(len(self.owner), np.int64)
        first, second = _order(self.owner, self.events, until, order, later)
        return self.taken(order[:first]), self.taken(later[:second])

    def named(self, first: int) -> None:
        """Give events from the `first` on the hashes of the ids that a log shows, and so to their
        decisions."""
        events, ids = self.events[first:], self.ids[first:]
        for_decision = events["decision"] != 0
        names = [f"d{number:016x}" for number in ids[for_decision].tolist()]
        events["decision"][for_decision] = hash_ids(names)
        out = np.empty(len(events), np.uint64)
        out[~for_decision] = hash_ids(f"e{number:016x}" for number in ids[~for_decision].tolist())
        kinds = events["kind"][for_decision].tolist()
        out[for_decision] = hash_ids(
            name if kind <= Kind.SEND else f"{name}|{Kind(kind).name.lower()}"
            for name, kind in zip(names, kinds, strict=True)
        )
        events["id"] = out


@njit(cache=True)
def _before(a: Any, b: Any) -> Any:
    if a.at != b.at:
        return a.at < b.at
    if a.kind != b.kind:
        return a.kind < b.kind
    return a.id < b.id


@njit(cache=True)
def _order(owner: Any, events: Any, until: Any, order: Any, later: Any) -> Any:
    """Fills indices of the events that are due, in order, and of the others; returns how many."""
    start = np.zeros(until.size + 1, np.int64)
    second = 0
    for i in range(owner.size):
        if events[i].at < until[owner[i]]:
            start[owner[i] + 1] += 1
        else:
            later[second] = i
            second += 1
    start = np.cumsum(start)
    end = start[:-1].copy()
    for i in range(owner.size):
        n = owner[i]
        if events[i].at < until[n]:
            place = end[n]
            while place > start[n] and _before(events[i], events[order[place - 1]]):
                order[place] = order[place - 1]
                place -= 1
            order[place] = i
            end[n] += 1
    return start[-1], second


def begun(
    pending: Happenings,
    chosen: Chosen,
    at: np.ndarray,
    outcomes: Outcomes,
    drawn: Drawn,
    decision: np.ndarray,
    purchase: np.ndarray,
    deaf: np.ndarray,
    zone: np.ndarray,
    catalog: Catalog,
    spend: np.ndarray,
) -> Happenings:
    """What is pending, and then what begins on a day of N users: decisions, visits and what
    follows the sends.

    at: instants (N,) of decisions. decision, purchase: (N,) uint64 numbers of the decision and of
    its purchase. deaf: (N,) bool, unsubscribed before, so that nothing is decided. spend: (I,)
    amounts.
    """
    before, following = len(pending.owner), np.count_nonzero(outcomes.instants != NEVER)
    size = before + len(at) - np.count_nonzero(deaf) + following + len(drawn.owner)
    out = Happenings(np.empty(size, np.int64), np.empty(size, EVENT), np.empty(size, np.uint64))
    out.owner[:before], out.ids[:before] = pending.owner, pending.ids
    out.events.view(_RECORD)[:before] = pending.events.view(_RECORD)
    arrays, items, zones = (out.owner, out.events, out.ids), catalog.items, zone_tables()
    count = _begin(
        (chosen.item, chosen.variant, chosen.send_at),
        at,
        outcomes.instants,
        decision,
        purchase,
        deaf,
        (items.hashes, items.price, catalog.variants.buckets),
        arrays,
        before,
    )
    _visit(
        (drawn.owner, drawn.at, drawn.kind, drawn.item, drawn.id),
        items.hashes,
        spend,
        arrays,
        count,
    )
    _hours(zones, zones[0].copy(), zone, out.owner, out.events, before)
    return out


@njit(cache=True)
def _write(event: Any, at: Any, kind: Any, number: Any, item: Any) -> None:
    """Makes a record an event of no decision, send and amount."""
    event.at, event.kind, event.id, event.item = at, kind, number, item
    event.decision, event.send_at, event.value, event.style = _NONE, NEVER, 0.0, -1


@njit(cache=True)
def _begin(
    chosen: Any,
    at: Any,
    outcomes: Any,
    decision: Any,
    purchase: Any,
    deaf: Any,
    table: Any,
    out: Any,
    count: Any,
) -> Any:
    """Adds decisions and outcomes to the first `count` events; returns how many there are."""
    item, variant, send_at = chosen
    hashes, price, buckets = table
    owner, events, ids = out
    for n in range(at.size):
        if not deaf[n]:
            event = events[count]
            _write(event, at[n], _HOLD, decision[n], _NONE)
            event.decision = decision[n]
            if item[n] >= 0:
                event.kind, event.item, event.send_at = _SEND, hashes[item[n]], send_at[n]
                event.style = buckets[variant[n]]
            owner[count], ids[count] = n, decision[n]
            count += 1
        for head in range(outcomes.shape[1]):
            if outcomes[n, head] == NEVER:
                continue
            event, number = events[count], decision[n]
            if _KINDS[head] == _PURCHASE:
                number = purchase[n]
            _write(event, outcomes[n, head], _KINDS[head], number, hashes[item[n]])
            if _KINDS[head] == _PURCHASE:
                event.value = price[item[n]]
            else:
                event.decision = decision[n]
            owner[count], ids[count] = n, number
            count += 1
    return count


@njit(cache=True)
def _visit(drawn: Any, hashes: Any, spend: Any, out: Any, count: Any) -> None:
    """Adds what users do by themselves to the first `count` events."""
    visitor, at, kind, item, number = drawn
    owner, events, ids = out
    for i in range(visitor.size):
        event = events[count]
        _write(event, at[i], kind[i], number[i], hashes[item[i]])
        if kind[i] == _PURCHASE:
            event.value = spend[item[i]]
        owner[count], ids[count] = visitor[i], number[i]
        count += 1


@njit(cache=True)
def _hours(zones: Any, near: Any, zone: Any, owner: Any, events: Any, first: Any) -> None:
    """The local hour of events (M,) from the `first` on, of a send that of when it is sent."""
    bounds, starts, offsets = zones
    for i in range(first, events.size):
        event, where = events[i], zone[owner[i]]
        at = event.send_at if event.kind == _SEND else event.at
        now = segment(bounds, starts, where, at, near[where + 1])
        near[where + 1] = now
        event.hour = ((at + offsets[now]) // HOUR) % 24
