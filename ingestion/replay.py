"""Replay: a log's rows as events, and states at any instant.

Ids become hashes exactly as the server and the simulator make them, so the same set of events
gives the same History bytes everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ingestion.codes import codes_of, id_hashes, rows_in
from ingestion.log import Log, epoch_us
from ingestion.parse import TRUTH
from ingestion.schema import OUTCOME_KEY, SEPARATOR
from mdp.clock import NEVER, zone_codes
from mdp.events import ORGANIC, OUTCOMES, Kind, event_order, events_array
from mdp.hashing import hash_ids, style_bucket
from mdp.local_time import local_hour
from mdp.state import HISTORY, apply, new_histories


@dataclass(frozen=True)
class UserEvents:
    """All that a log says of U users, as M events."""

    user_ids: tuple[str, ...]
    """Ascending (U,)."""
    zone: np.ndarray
    """Zone codes (U,) int16."""
    consent: np.ndarray
    """Consent before any change of it (U,) bool."""
    owner: np.ndarray
    """Row of the user of each event (M,) int64, ascending."""
    events: np.ndarray
    """(M,) `EVENT`, each user's in the order (at, kind, id)."""

    @property
    def hashes(self) -> np.ndarray:
        """Hashes of the user ids (U,) uint64."""
        return hash_ids(self.user_ids)

    @property
    def first(self) -> np.ndarray:
        """Instant of each user's first event (U,) int64, `NEVER` for none."""
        out = np.full(len(self.user_ids), NEVER)
        owner, place = np.unique(self.owner, return_index=True)
        out[owner] = self.events["at"][place]
        return out

    def rows(self, user_ids: pd.Series) -> np.ndarray:
        """Row of each user (n,) int64, -1 for one who is not there."""
        return rows_in(codes_of(user_ids), pd.Series(self.user_ids, dtype="str"))

    def rows_among(self, user_ids: tuple[str, ...]) -> np.ndarray:
        """Row (U,) int64 of each user among others' ids, -1 for one who is not there."""
        own, theirs = (pd.Series(ids, dtype="str") for ids in (self.user_ids, user_ids))
        return rows_in(codes_of(own), theirs)

    def of_users(self, rows: np.ndarray) -> UserEvents:
        """What is said of some users (N,), ascending, alone."""
        new = np.full(len(self.user_ids), -1)
        new[rows] = np.arange(len(rows))
        owner = new[self.owner]
        mine = owner >= 0
        ids = tuple(self.user_ids[row] for row in rows)
        return UserEvents(ids, self.zone[rows], self.consent[rows], owner[mine], self.events[mine])


def joined(
    user_ids: tuple[str, ...], parts: list[UserEvents], rows: list[np.ndarray]
) -> UserEvents:
    """The events of all users (U,), each of whom is in one of the parts; rows: of each part's users
    among all. The list of parts is emptied as they are taken over, as they are large."""
    size = len(user_ids)
    zone, consent = np.empty(size, np.int16), np.empty(size, bool)
    count = np.zeros(size, np.int64)
    for part, row in zip(parts, rows, strict=True):
        zone[row], consent[row] = part.zone, part.consent
        count[row] = np.bincount(part.owner, minlength=len(row))
    begin = np.cumsum(count) - count
    owner, events = np.repeat(np.arange(size), count), events_array(int(count.sum()))
    for row in rows:
        part = parts.pop(0)
        first = np.searchsorted(part.owner, part.owner)
        place = begin[row][part.owner] + np.arange(len(part.owner)) - first
        events[place] = part.events
    return UserEvents(user_ids, zone, consent, owner, events)


def to_events(log: Log) -> UserEvents:
    """Every event of the log's users. Rows of users that the log does not list are left out."""
    users = log.people
    default = log.meta.default_timezone
    zones = users["timezone"].astype(object)
    zone = zone_codes(list(zones.where(zones.notna(), default)))
    consent = users["consent"].fillna(True).to_numpy(bool)
    bare = UserEvents(
        tuple(users["user_id"]), zone, consent, np.zeros(0, np.int64), events_array(0)
    )
    changed, first = _consent_changes(log, bare)
    parts = [_organic(log, bare), *_decided(log, bare), changed]
    owner = np.concatenate([part[0] for part in parts])
    events = np.concatenate([part[1] for part in parts])
    known = owner >= 0
    owner, events = owner[known], events[known]
    events["hour"] = local_hour(events["at"], zone[owner])
    order = event_order(owner, events)
    return UserEvents(bare.user_ids, zone, first, owner[order], events[order])


def _organic(log: Log, users: UserEvents) -> tuple[np.ndarray, np.ndarray]:
    table = log.tables["events"]
    events = events_array(len(table))
    events["at"] = epoch_us(table["at"])
    events["kind"] = table["event"].map(ORGANIC).fillna(Kind.VIEW).to_numpy(np.int8)
    events["item"] = id_hashes(table["item_id"])
    events["value"] = table["value"].fillna(0.0).to_numpy()
    events["id"] = id_hashes(event_ids(table))
    owner = users.rows(table["user_id"])
    owner[(table["at"].isna() | table["event"].isna()).to_numpy()] = -1
    return owner, events


def event_ids(table: pd.DataFrame) -> pd.Series:
    """Ids of the `events` table; where there are none, made of the row and its place among equal
    rows, so that they don't depend on the rows' order."""
    if table["event_id"].notna().all():
        return table["event_id"]
    keys = ["user_id", "item_id", "event", "at"]
    place = table.groupby(keys, dropna=False, observed=True).cumcount()
    text = table[keys].astype(str).agg("|".join, axis=1) + "|" + place.astype(str)
    return table["event_id"].where(table["event_id"].notna(), text)


def _decided(log: Log, users: UserEvents) -> list[tuple[np.ndarray, np.ndarray]]:
    """Holds and sends, and their outcomes."""
    table = log.tables["decisions"]
    outcomes = log.tables["outcomes"].drop_duplicates(OUTCOME_KEY)
    made = events_array(len(table))
    sent = table["send_at"].notna().to_numpy()
    style = dict(
        zip(
            log.tables["variants"]["variant_id"],
            log.tables["variants"]["style"].fillna("").map(style_bucket),
            strict=True,
        )
    )
    made["at"] = epoch_us(table["decided_at"])
    made["kind"] = np.where(sent, Kind.SEND, Kind.HOLD)
    made["id"] = made["decision"] = id_hashes(table["decision_id"])
    made["send_at"] = epoch_us(table["send_at"])
    made["item"][sent] = id_hashes(table["item_id"][sent])
    made["style"][sent] = table["variant_id"][sent].map(style).fillna(-1).to_numpy(np.int8)
    owner = users.rows(table["user_id"])
    owner[table["decided_at"].isna().to_numpy()] = -1

    place = rows_in(codes_of(outcomes["decision_id"]), table["decision_id"])
    followed = events_array(len(outcomes))
    followed["at"] = epoch_us(outcomes["at"])
    followed["kind"] = outcomes["outcome"].map(OUTCOMES).fillna(Kind.DELIVERED).to_numpy(np.int8)
    followed["id"] = id_hashes(
        outcomes["decision_id"].fillna("") + SEPARATOR + outcomes["outcome"].fillna("")
    )
    followed["decision"] = id_hashes(outcomes["decision_id"])
    followed["value"] = outcomes["value"].fillna(0.0).to_numpy()
    whose = np.where(place >= 0, owner[place] if len(owner) else -1, -1)
    whose[(outcomes["at"].isna() | outcomes["outcome"].isna()).to_numpy()] = -1
    return [(owner, made), (whose, followed)]


def _consent_changes(
    log: Log, users: UserEvents
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Changes of consent as events, and every user's consent (U,) before the first of them."""
    table = log.tables["changes"]
    table = table[(table["table"] == "users") & (table["column"] == "consent")]
    table = table[table["at"].notna()].sort_values("at")
    events = events_array(len(table))
    events["at"] = epoch_us(table["at"])
    events["kind"] = Kind.CONSENT
    # What can't be read as true is no consent.
    given = table["value"].str.lower().map(TRUTH).eq(True).to_numpy(bool)
    events["value"] = given
    names = table["id"].astype(str) + "|consent|" + pd.Series(events["at"], table.index).astype(str)
    events["id"] = hash_ids(names)
    owner = users.rows(table["id"])
    first = users.consent.copy()
    for row, value in list(zip(owner, given, strict=True))[::-1]:
        if row >= 0:
            first[row] = not value
    return (owner, events), first


def replay(users: UserEvents, until: int | None = None) -> np.ndarray:
    """Histories (U,) `HISTORY` after all events, or after those before an instant."""
    histories = new_histories(len(users.user_ids), users.consent)
    chosen = slice(None) if until is None else users.events["at"] < until
    apply(histories, users.owner[chosen], users.events[chosen])
    return histories


def snapshots(users: UserEvents, owner: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Histories (D,) `HISTORY` of users (D,) as decisions at instants (D,) int64 found them:
    after all that happened before, their own visits at that very instant included."""
    # Of the users who are asked for alone, so that a few of many cost what a few cost.
    asked_for, owner = np.unique(np.asarray(owner, np.int64), return_inverse=True)
    first, last = (np.searchsorted(users.owner, asked_for, side) for side in ("left", "right"))
    whose = np.repeat(np.arange(len(asked_for)), last - first)
    shift = first - np.concatenate([[0], np.cumsum(last - first)[:-1]])
    events = users.events[np.arange(len(whose)) + shift[whose]]
    size = len(asked_for)
    times = np.unique(np.concatenate([events["at"], at]))
    span = 2 * len(times) + 2
    later = events["kind"] >= Kind.HOLD
    key = whose * span + 2 * np.searchsorted(times, events["at"]) + later
    asked = owner * span + 2 * np.searchsorted(times, at) + 1
    stop = np.searchsorted(key, asked)
    begin = np.searchsorted(whose, np.arange(size))
    order = np.lexsort((stop, owner))
    first = np.searchsorted(owner[order], owner[order])
    turn = np.arange(len(order)) - first
    histories = new_histories(size, users.consent[asked_for])
    out = np.empty(len(order), HISTORY)
    for n in range(int(turn.max(initial=-1)) + 1):
        rows = order[turn == n]
        who = owner[rows]
        counts = stop[rows] - begin[who]
        offsets = np.repeat(begin[who] - np.cumsum(counts) + counts, counts)
        chosen = offsets + np.arange(counts.sum())
        apply(histories, whose[chosen], events[chosen])
        begin[who] = stop[rows]
        out[rows] = histories[who]
    return out
