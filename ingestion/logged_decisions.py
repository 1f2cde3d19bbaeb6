"""Logged decisions as they were faced: what was offered, what was taken, and what followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.codes import codes_of, column_of, id_hashes, rows_in
from ingestion.hours import hour_flags
from ingestion.log import Log, epoch_us
from ingestion.replay import UserEvents, snapshots
from ingestion.schema import OUTCOME_KEY, SEPARATOR
from mdp.actions import HOURS
from mdp.attribution import Attributed, Decisions, Outcomes, Purchases, attribute
from mdp.catalog import APPROVED, DEFAULT_MARGIN, Catalog
from mdp.clock import NEVER
from mdp.events import OUTCOMES
from mdp.guardrails import Reason
from mdp.local_time import local_hour
from mdp.observation import Requests
from mdp.reasons import catalog_reasons
from mdp.reward import Reward

AT_ONCE = 100_000
"""Lists that are read at a time."""


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
    id: np.ndarray
    """Hashes of the decisions' ids (D,) uint64."""
    listed: np.ndarray
    """Whether the variants are those of a logged list (D,) bool."""
    hours: np.ndarray
    """Hours that were allowed, a bit each from the lowest on (D,) uint32; 0 where none are
    logged."""

    @property
    def sent(self) -> np.ndarray:
        """Whether something was sent (D,) bool."""
        return self.k >= 0

    def only(self, which: np.ndarray) -> LoggedDecisions:
        """Some of the decisions, by index or mask."""
        return LoggedDecisions(*(getattr(self, each.name)[which] for each in fields(self)))

    @property
    def open_hours(self) -> np.ndarray:
        """The hours that were allowed (D, 24) bool."""
        return (self.hours[:, None] >> np.arange(HOURS, dtype=np.uint32) & 1).astype(bool)


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
    variants = _lists(table["variants"], table["variant_id"], catalog.variants.row)
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
        id=id_hashes(table["decision_id"]),
        listed=table["variants"].notna().to_numpy(bool),
        hours=hour_flags(table["hours"]) @ (1 << np.arange(HOURS, dtype=np.uint32)),
    )
    return _offering(found.only(~sent | ((k >= 0) & (v >= 0))), catalog)


def _offering(found: LoggedDecisions, catalog: Catalog) -> LoggedDecisions:
    """The decisions, those without a logged list of variants offered all that are approved or were
    sent."""
    rows = np.flatnonzero(~found.listed)
    if not len(rows):
        return found
    approved = [row for row, said in enumerate(catalog.variants.statuses) if said == APPROVED]
    sent = np.flatnonzero(found.sent)
    offered = np.union1d(approved, found.variants[sent, found.v[sent]]).astype(np.int32)
    mine = rows[found.sent[rows]]
    v = found.v.copy()
    v[mine] = np.searchsorted(offered, found.variants[mine, v[mine]])
    variants = _padded(found.variants, len(offered))
    variants[rows] = -1
    variants[rows, : len(offered)] = offered
    return replace(found, variants=variants, v=v)


def joined(parts: Sequence[LoggedDecisions], catalog: Catalog) -> LoggedDecisions:
    """Decisions of parts of a log, whose `rows` and `owner` are those of the whole, in the order of
    its table."""
    rows = np.concatenate([part.rows for part in parts])
    order = np.argsort(rows, kind="stable")
    whole = {}
    for each in fields(LoggedDecisions):
        own = [getattr(part, each.name) for part in parts]
        if own[0].ndim == 2:
            width = max(lists.shape[1] for lists in own)
            own = [_padded(lists, width) for lists in own]
        whole[each.name] = np.concatenate(own)[order]
    return _offering(LoggedDecisions(**whole), catalog)


def _padded(lists: np.ndarray, width: int) -> np.ndarray:
    """Lists (D, K) with at least so many places, -1 in the new ones."""
    return np.pad(lists, ((0, 0), (0, max(width - lists.shape[1], 0))), constant_values=-1)


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
        list(table[name].iloc[decisions.owner].fillna("").astype(str)) if name in table else None
        for name in ("locale", "segment")
    )
    _, refused = catalog_reasons(
        catalog, decisions.items, decisions.variants, decisions.decided_at, locales, segments
    )
    sent = np.arange(decisions.variants.shape[1]) == decisions.v[:, None]
    return Requests(
        snapshots(users, decisions.owner, decisions.decided_at),
        decisions.decided_at,
        users.zone[decisions.owner],
        decisions.items,
        decisions.variants,
        _padding(decisions.items),
        np.where(decisions.listed[:, None] | sent, _padding(decisions.variants), refused),
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
