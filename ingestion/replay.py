"""Replay: a log's rows as events, states at any instant, and decisions as they were faced.

Ids become hashes exactly as the server and the simulator make them, so the same set of events
gives the same History bytes everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.codes import codes_of, column_of, id_hashes, rows_in
from ingestion.log import Log, epoch_us
from ingestion.parse import TRUTH
from ingestion.schema import OUTCOME_KEY, SEPARATOR
from mdp.attribution import Attributed, Decisions, Outcomes, Purchases, attribute
from mdp.catalog import APPROVED, DEFAULT_MARGIN, Catalog
from mdp.clock import NEVER, zone_codes
from mdp.events import ORGANIC, OUTCOMES, Kind, event_order, events_array
from mdp.guardrails import Reason
from mdp.hashing import hash_ids, style_bucket
from mdp.local_time import local_hour
from mdp.observation import Requests
from mdp.reasons import catalog_reasons
from mdp.reward import Reward
from mdp.state import HISTORY, apply, new_histories

AT_ONCE = 100_000
"""Lists that are read at a time."""


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

    def rows(self, user_ids: pd.Series) -> np.ndarray:
        """Row of each user (n,) int64, -1 for one who is not there."""
        return rows_in(codes_of(user_ids), pd.Series(self.user_ids, dtype="str"))


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


@dataclass(frozen=True)
class LoggedDecisions:
    """D decisions as they were faced and taken; slots are -1 for a hold."""

    rows: np.ndarray
    """Positions in the `decisions` table (D,) int64."""
    owner: np.ndarray
    """Rows of the users (D,) int64."""
    decided_at: np.ndarray
    """(D,) int64"""
    send_at: np.ndarray
    """(D,) int64, `NEVER` for a hold."""
    items: np.ndarray
    """Candidates (D, K) int32, catalogue rows, -1 for padding."""
    variants: np.ndarray
    """Variants (D, V) int32, catalogue rows, -1 for padding."""
    k: np.ndarray
    """Slot of the item (D,) int64."""
    v: np.ndarray
    """Slot of the variant (D,) int64."""
    h: np.ndarray
    """Local hour of sending (D,) int64."""
    propensity: np.ndarray
    """(D,) float64, NaN where none is logged."""

    @property
    def sent(self) -> np.ndarray:
        """Whether something was sent (D,) bool."""
        return self.k >= 0

    def only(self, which: np.ndarray) -> LoggedDecisions:
        """Some of the decisions, by index or mask."""
        return LoggedDecisions(
            *(getattr(self, name)[which] for name in LoggedDecisions.__dataclass_fields__)
        )


def decisions_of(log: Log, catalog: Catalog, users: UserEvents) -> LoggedDecisions:
    """The log's decisions that a policy drew (arm policy or challenger), in the table's order.

    Where the log has no lists, the item sent is the only candidate and the variants are all that
    are approved or were sent. Sends of an item or a variant that is not on its list are left out.
    """
    table = log.tables["decisions"]
    owner = users.rows(table["user_id"])
    drawn = table["arm"].fillna("policy").str.match(r"policy$|challenger:").to_numpy(bool)
    rows = np.flatnonzero(drawn & (owner >= 0) & table["decided_at"].notna().to_numpy())
    table = table.iloc[rows]
    send_at = epoch_us(table["send_at"])
    sent = send_at != NEVER
    items = _lists(table["candidates"], table["item_id"], catalog.items.row)
    used = set(table["variant_id"].dropna())
    offered = SEPARATOR.join(
        name
        for name, status in zip(catalog.variants.ids, catalog.variants.statuses, strict=True)
        if status == APPROVED or name in used
    )
    variants = _lists(
        table["variants"].fillna(offered or pd.NA), table["variant_id"], catalog.variants.row
    )
    item = table["item_id"].map(catalog.items.row).fillna(-2).to_numpy(np.int64)
    variant = table["variant_id"].map(catalog.variants.row).fillna(-2).to_numpy(np.int64)
    k, v = _slot(items, np.where(sent, item, -2)), _slot(variants, np.where(sent, variant, -2))
    hour = local_hour(np.where(sent, send_at, 0), users.zone[owner[rows]]).astype(np.int64)
    found = LoggedDecisions(
        rows=rows,
        owner=owner[rows],
        decided_at=epoch_us(table["decided_at"]),
        send_at=send_at,
        items=items,
        variants=variants,
        k=np.where(sent, k, -1),
        v=np.where(sent, v, -1),
        h=np.where(sent, hour, -1),
        propensity=table["propensity"].to_numpy(np.float64),
    )
    return found.only(~sent | ((k >= 0) & (v >= 0)))


def _lists(lists: pd.Series, chosen: pd.Series, row: dict[str, int]) -> np.ndarray:
    """Catalogue rows (D, K) int32 of `a|b|c` texts, padded with -1; unknown ids are left out."""
    size = len(lists)
    parts = [
        _rows(lists.iloc[n : n + AT_ONCE], chosen.iloc[n : n + AT_ONCE], row)
        for n in range(0, size, AT_ONCE)
    ]
    out = np.full((size, max((part.shape[1] for part in parts), default=0)), -1, np.int32)
    for n, part in enumerate(parts):
        out[n * AT_ONCE : n * AT_ONCE + len(part), : part.shape[1]] = part
    return out


def _rows(texts: pd.Series, chosen: pd.Series, row: dict[str, int]) -> np.ndarray:
    """Catalogue rows (D, K) int32 of `a|b|c` texts (D,), or of what was chosen (D,) where there is
    no text."""
    lists = pc.split_pattern(pc.coalesce(column_of(texts), column_of(chosen), ""), SEPARATOR)
    found = pc.index_in(lists.flatten(), value_set=pa.array(list(row), pa.large_string()))
    place = found.fill_null(-1).to_numpy(zero_copy_only=False)
    owner = np.repeat(np.arange(len(texts)), pc.list_value_length(lists).to_numpy())
    owner, place = owner[place >= 0], place[place >= 0]
    count = np.bincount(owner, minlength=len(texts))
    begin = np.cumsum(count) - count
    out = np.full((len(texts), count.max(initial=0)), -1, np.int32)
    rows = np.fromiter(row.values(), np.int32, len(row))
    out[owner, np.arange(len(owner)) - begin[owner]] = rows[place]
    return out


def _slot(lists: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Place of each chosen row (D,) in its list (D, K); -1 where it is not there."""
    if not lists.shape[1]:
        return np.full(len(chosen), -1, np.int64)
    same = lists == chosen[:, None]
    return np.where(same.any(1), same.argmax(1), -1)


def requests_of(
    log: Log, catalog: Catalog, users: UserEvents, decisions: LoggedDecisions
) -> Requests:
    """The decisions as requests that any policy could be asked now.

    Logged lists are those that the guardrails left, and what was sent was allowed, whatever the
    catalogue says since: stock that has run out later masks nothing. Only lists of variants that
    were not logged are held to the catalogue.
    """
    table = log.people
    locales, segments = (
        list(table[name].fillna("").astype(str).to_numpy(object)[decisions.owner])
        if name in table
        else None
        for name in ("locale", "segment")
    )
    _, refused = catalog_reasons(
        catalog, decisions.items, decisions.variants, decisions.decided_at, locales, segments
    )
    listed = log.tables["decisions"]["variants"].iloc[decisions.rows].notna().to_numpy()
    sent = np.arange(decisions.variants.shape[1]) == decisions.v[:, None]
    return Requests(
        snapshots(users, decisions.owner, decisions.decided_at),
        decisions.decided_at,
        users.zone[decisions.owner],
        decisions.items,
        decisions.variants,
        _padding(decisions.items),
        np.where(listed[:, None] | sent, _padding(decisions.variants), refused),
    )


def _padding(lists: np.ndarray) -> np.ndarray:
    """`Reason` codes (D, K) uint8 of lists (D, K) in which all is allowed."""
    return np.where(lists < 0, Reason.PADDING, Reason.ALLOWED).astype(np.uint8)


def attributed(
    log: Log, catalog: Catalog, users: UserEvents, decisions: LoggedDecisions, reward: Reward
) -> Attributed:
    """What followed each decision (D,), and what it earned."""
    ids = log.tables["decisions"]["decision_id"].iloc[decisions.rows]
    outcomes = log.tables["outcomes"].drop_duplicates(OUTCOME_KEY)
    events = log.tables["events"]
    place = rows_in(codes_of(outcomes["decision_id"]), ids)
    outcomes, place = outcomes[place >= 0], place[place >= 0]
    bought = events[(events["event"] == "purchase") & events["at"].notna()]
    row = bought["item_id"].map(catalog.items.row).fillna(-1).to_numpy(np.int64)
    margin = catalog.items.margin if len(catalog.items) else np.zeros(1, np.float32)
    pushed = np.where(
        decisions.sent,
        np.take_along_axis(decisions.items, np.maximum(decisions.k, 0)[:, None], 1)[:, 0]
        if decisions.items.shape[1]
        else -1,
        -1,
    )
    hashes = catalog.items.hashes if len(catalog.items) else np.zeros(1, np.uint64)
    return attribute(
        Decisions(
            user=decisions.owner,
            decided_at=decisions.decided_at,
            send_at=decisions.send_at,
            item=np.where(pushed >= 0, hashes[pushed], 0).astype(np.uint64),
            margin=np.where(pushed >= 0, margin[pushed], DEFAULT_MARGIN),
        ),
        Outcomes(
            decision=place.astype(np.int64),
            kind=outcomes["outcome"].map(OUTCOMES).to_numpy(np.int8),
            at=epoch_us(outcomes["at"]),
            value=outcomes["value"].to_numpy(np.float64),
        ),
        Purchases(
            user=users.rows(bought["user_id"]),
            item=id_hashes(bought["item_id"]),
            at=epoch_us(bought["at"]),
            value=bought["value"].fillna(0.0).to_numpy(),
            margin=np.where(row >= 0, margin[row], DEFAULT_MARGIN),
        ),
        reward,
    )
