"""Makes one log of several: sources of one shop, with their users under the same ids."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ingestion.codes import alike, codes_of, repeated
from ingestion.complete import DESCRIBED, NO_ZONE, UNKNOWN
from ingestion.log import ESTIMATED, LOGGED, NONE, Log, LogMeta
from ingestion.parse import log_of
from ingestion.records import read_records
from ingestion.schema import TABLES
from mdp.errors import BadInput

_NEVER = pd.Timestamp.min.tz_localize("UTC")
_OTHERS = {
    "decisions": "another one of the same id",
    "calendar": "another name of the same date",
}
"""What else two logs may say under one key, by table."""


def read_identities(file: Path) -> tuple[dict[str, str], int]:
    """Which id is which user's, from a file with the columns `id` and `user_id`, and how many ids
    it gives to a second user, which the first keeps."""
    if not file.is_file():
        raise BadInput(f"{file} is not there")
    frame = read_records(file)
    for name in ("id", "user_id"):
        if name not in frame:
            raise BadInput(
                f"{file} lacks the column {name!r}: a table of identities has id, user_id"
            )
    frame = frame[["id", "user_id"]].dropna().astype("str").drop_duplicates()
    twice = frame["id"].duplicated()
    kept = frame[~twice]
    return dict(zip(kept["id"], kept["user_id"], strict=True)), int(twice.sum())


def joined(ids: pd.Series, identities: Mapping[str, str]) -> tuple[pd.Series, int]:
    """Ids (n,) with each known one replaced by its user's, and how many of them are known."""
    codes = codes_of(ids)
    distinct = codes.distinct.to_pylist()
    known = np.array([*(text in identities for text in distinct), False])
    users = pd.array([*(identities.get(text, text) for text in distinct), None], "str")
    return pd.Series(users[codes.of], ids.index), int(known[codes.of].sum())


def merged(first: Log, second: Log) -> tuple[dict[str, pd.DataFrame], LogMeta, dict[str, int]]:
    """Both logs' tables as one, `log.json`'s values for it, and counts of what met.

    Of a user, item or variant in both, the first log's values stay and gaps are filled from the
    second; a value that an import only made up counts as a gap; the earlier sign-up is taken.
    Values that differ are counted by column. Rows that both logs hold are kept once; a decision's
    id that both use for different decisions is the first's, and so is a date of the calendar that
    each gives another name. Raises `BadInput` for two currencies.
    """
    counts: dict[str, int] = {}
    tables = {}
    for name, table in TABLES.items():
        one, two = first.tables[name], second.tables[name]
        if one.empty and two.empty:
            continue
        if name in DESCRIBED:
            key = str(table.key)
            known = _one_each(
                _without_made_up(first, name), _without_made_up(second, name), name, key, counts
            )
            # What neither log knows is made up as before.
            for log in (first, second):
                made = log.tables[name].drop_duplicates(key).set_index(key)
                for column in known.columns.intersection(made.columns):
                    gap = known[column].isna()
                    if gap.any():
                        known[column] = known[column].where(~gap, known[key].map(made[column]))
            tables[name] = known
            continue
        both = pd.concat([one, two], ignore_index=True)
        again = repeated(both, None if table.key is None else alike(both[table.key]))
        _count(counts, f"{name}: rows in both, kept once", int(again.sum()))
        both = both[~again]
        if name in _OTHERS:
            twice = both[str(table.key)].duplicated()
            _count(counts, f"{name}: {_OTHERS[name]}, left out", int(twice.sum()))
            both = both[~twice]
        tables[name] = both.reset_index(drop=True)
    return tables, _meta(first, second), counts


def together(logs: Sequence[Log]) -> tuple[dict[str, pd.DataFrame], LogMeta, dict[str, int]]:
    """Archives and exports of one server as one log, as `merged` makes it of two.

    The values of the one that is complete until the latest instant stay, and so far the whole is
    complete, for what became of earlier rows is in it.
    """
    newest, *others = sorted(logs, key=lambda log: log.meta.complete_until or _NEVER, reverse=True)
    until, whole, counts = newest.meta.complete_until, newest, dict[str, int]()
    held = {name: getattr(newest.meta, name) for name in ("holdout_share", "holdout_since")}
    for other in others:
        tables, meta, met = merged(whole, other)
        for what, number in met.items():
            _count(counts, what, number)
        whole = log_of(tables, dataclasses.replace(meta, complete_until=until, **held))
    tables = {n: table for n, table in whole.tables.items() if len(table) or TABLES[n].required}
    return tables, whole.meta, counts


def _count(counts: dict[str, int], what: str, number: int) -> None:
    if number:
        counts[what] = counts.get(what, 0) + number


def _without_made_up(log: Log, name: str) -> pd.DataFrame:
    """The table with what `ingestion.complete` makes up missing again."""
    table = log.tables[name].copy()
    if name == "users":
        table["timezone"] = table["timezone"].where(
            table["timezone"] != (log.meta.default_timezone or NO_ZONE)
        )
    elif name == "items":
        table["title"] = table["title"].where(table["title"] != table["item_id"])
        for column in ("category", "brand"):
            table[column] = table[column].where(table[column] != UNKNOWN)
        table["price"] = table["price"].where(table["price"] != 0)
    else:
        table["style"] = table["style"].where(table["style"] != UNKNOWN)
    return table


def _one_each(
    one: pd.DataFrame, two: pd.DataFrame, name: str, key: str, counts: dict[str, int]
) -> pd.DataFrame:
    one, two = (each[each[key].notna()].drop_duplicates(key).set_index(key) for each in (one, two))
    shared = one.index.intersection(two.index)
    _count(counts, f"{name}: in both", len(shared))
    for column in one.columns.intersection(two.columns):
        left, right = one.loc[shared, column], two.loc[shared, column]
        differ = left.notna() & right.notna() & (left.astype(str) != right.astype(str))
        if column == "signed_up_at":
            one.loc[shared, column] = left.where(~(right < left), right)
        else:
            _count(counts, f"{name}.{column}: conflicts, the first kept", int(differ.sum()))
    whole = one.combine_first(two)
    columns = [*one.columns, *two.columns.difference(one.columns)]
    order = one.index.append(two.index.difference(one.index, sort=False))
    return whole.loc[order, columns].rename_axis(key).reset_index()


def _meta(first: Log, second: Log) -> LogMeta:
    one, two = first.meta, second.meta
    if one.currency and two.currency and one.currency != two.currency:
        raise BadInput(
            f"one log is in {one.currency}, the other in {two.currency}: convert one of them first"
        )
    deciding = [log.meta for log in (first, second) if len(log.tables["decisions"])] or [one, two]
    until = [meta.complete_until for meta in deciding if meta.complete_until is not None]
    order = (NONE, ESTIMATED, LOGGED)
    same = (one.holdout_share, one.holdout_since) == (two.holdout_share, two.holdout_since)
    sources = dict.fromkeys(meta.source for meta in (one, two) if meta.source)
    return dataclasses.replace(
        one,
        currency=one.currency or two.currency,
        default_timezone=one.default_timezone or two.default_timezone,
        complete_until=min(until) if len(until) == len(deciding) else None,
        propensities=min((meta.propensities for meta in deciding), key=order.index),
        candidates=NONE if NONE in {meta.candidates for meta in deciding} else LOGGED,
        source=" + ".join(sources) or None,
        holdout_share=one.holdout_share if same else None,
        holdout_since=one.holdout_since if same else None,
        other={**two.other, **one.other},
    )
