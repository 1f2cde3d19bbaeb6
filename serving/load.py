"""Loads a log into a store: catalogue, users with their histories, and all that happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Engine, Table, func, insert, select

from ingestion.catalog import catalog_of
from ingestion.log import Log, epoch_us
from ingestion.replay import UserEvents, event_ids, replay, to_events
from ingestion.schema import OUTCOME_KEY, TABLES
from ingestion.shop import joined, need_shop_of, shop_of
from mdp.attribution import on_time
from mdp.clock import NEVER
from mdp.errors import BadInput
from mdp.shop import Shop
from serving import tables
from serving.checksums import checksums
from serving.known import Saved
from serving.store import CURRENCY, count, put_setting, touch_catalog, writing


def load_log(engine: Engine, parts: Iterable[Log], saved: Saved | None = None) -> dict[str, int]:
    """Put a log into a store that has no users yet; returns the rows put into each table.

    Histories are replayed from the log, so the server goes on just where the log ends. An outcome
    that the log tells twice counts once, as it does over HTTP. parts: the log by users, in each all
    that is said of its users, and the whole catalogue; one is in memory at a time. saved: the
    policy that is to decide for these users. Raises `BadInput` for a store that has users already,
    and for the log of another shop than the policy's; then nothing is put.
    """
    counts: Counter[str] = Counter()
    shops: list[Shop] = []
    with writing(engine) as connection:
        _refuse_full(connection)
        for part in parts:
            once = part.tables["outcomes"].drop_duplicates(OUTCOME_KEY)
            log = part.replace_tables(outcomes=once)
            users = to_events(log)
            rows = _people(log, users)
            if not shops:  # what all parts have alike
                put_setting(connection, CURRENCY, log.meta.currency)
                rows = chain(_shared(log), rows)
            shops.append(shop_of(log, users, catalog_of(log)))
            for table, new in rows:
                if new:
                    connection.execute(insert(table), new)
                    counts[table.name] += len(new)
        if saved is not None:
            bundle = saved.bundle
            need_shop_of(bundle.shop, bundle.trained_until, str(saved.path), joined(shops))
        count(connection, "received", counts[tables.OUTCOMES.name])
        touch_catalog(connection)
    return dict(counts)


Rows = Iterator[tuple[Table, list[dict[str, Any]]]]
"""What goes into tables, one table's rows in memory at a time."""


def _people(log: Log, users: UserEvents) -> Rows:
    yield tables.USERS, _users(log, users)
    yield tables.EVENTS, _events(log)
    yield tables.DECISIONS, _decisions(log)
    yield tables.OUTCOMES, _outcomes(log)


def _shared(log: Log) -> Rows:
    yield tables.ITEMS, _bodies(log.tables["items"], "items")
    yield tables.VARIANTS, _bodies(log.tables["variants"], "variants")
    yield tables.CHANGES, _plain(log.tables["changes"])


def _refuse_full(connection: Connection) -> None:
    for table in (tables.USERS, tables.ITEMS):
        count = connection.scalar(select(func.count()).select_from(table))
        if count:
            raise BadInput(
                f"the store holds {count} {table.name} already: load into a new one, or add to it "
                "over HTTP"
            )


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values: times as microseconds, None for what is missing."""
    columns = {}
    for column in frame.columns:
        series = frame[column]
        if isinstance(series.dtype, pd.DatetimeTZDtype):
            instants = epoch_us(series)
            columns[column] = [None if at == NEVER else int(at) for at in instants]
        else:
            values = series.astype(object).where(series.notna(), None)
            columns[column] = [
                value.item() if isinstance(value, np.generic) else value for value in values
            ]
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _kept(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The frame without columns that hold nothing."""
    required = {column.name for column in TABLES[name].columns if column.required}
    return frame[[c for c in frame.columns if c in required or frame[c].notna().any()]]


def _bodies(frame: pd.DataFrame, name: str) -> list[dict[str, Any]]:
    key = TABLES[name].key
    assert key is not None
    rows = _plain(_kept(frame.drop_duplicates(key), name))
    return [
        {key: row[key], "body": {k: v for k, v in row.items() if k != key and v is not None}}
        for row in rows
    ]


def _users(log: Log, users: UserEvents) -> list[dict[str, Any]]:
    histories = replay(users)
    frame = log.people
    known = {column.name for column in TABLES["users"].columns}
    decisions = log.tables["decisions"].sort_values(["decided_at", "turn", "decision_id"])
    last = decisions.drop_duplicates("user_id", keep="last").set_index("user_id")
    names, turns = last["decision_id"].to_dict(), last["turn"].to_dict()
    rows = []
    for n, row in enumerate(_plain(frame)):
        user_id = row["user_id"]
        attributes = {k: v for k, v in row.items() if k not in known and v is not None}
        rows.append(
            {name: row[name] for name in ("user_id", "timezone", "locale", "preferences")}
            | {
                "signed_up_at": row["signed_up_at"],
                "consent": int(bool(row["consent"])),
                "first_consent": int(users.consent[n]),
                "attributes": attributes,
                "history": histories[n].tobytes(),
                "version": 1,
                "last_decision": names.get(user_id),
                "turn": int(turns.get(user_id, 0)),
            }
        )
    sums = checksums([row["history"] for row in rows], [row["version"] for row in rows])
    return [row | {"checksum": kept} for row, kept in zip(rows, sums, strict=True)]


def _events(log: Log) -> list[dict[str, Any]]:
    frame = log.tables["events"]
    frame = frame.assign(event_id=event_ids(frame))
    wanted = [column.name for column in tables.EVENTS.columns]
    return _plain(frame[wanted])


def _decisions(log: Log) -> list[dict[str, Any]]:
    names = [
        column.name for column in tables.DECISIONS.columns if column.name not in ("why", "nth")
    ]
    rows = _plain(log.tables["decisions"].reindex(columns=names))
    for row in rows:
        row["turn"], row["policy"] = int(row["turn"] or 0), row["policy"] or ""
        row["arm"] = row["arm"] or "policy"
        row["propensity"] = 1.0 if row["propensity"] is None else row["propensity"]
    return rows


def _outcomes(log: Log) -> list[dict[str, Any]]:
    frame = log.tables["outcomes"]
    decisions = log.tables["decisions"].drop_duplicates("decision_id").set_index("decision_id")
    send_at = epoch_us(decisions["send_at"].reindex(frame["decision_id"]))
    timely = on_time(send_at, epoch_us(frame["at"]), (frame["outcome"] == "purchased").to_numpy())
    rows = _plain(frame[["decision_id", "outcome", "at", "value"]])
    return [row | {"joined": int(ok)} for row, ok in zip(rows, timely, strict=True)]


def last_instant(log: Log) -> int:
    """The last instant of a log, microseconds UTC; raises `BadInput` for an empty one."""
    columns = (("events", "at"), ("decisions", "decided_at"), ("outcomes", "at"))
    instants = [epoch_us(log.tables[name][column].dropna()) for name, column in columns]
    latest = np.concatenate(instants)
    if not len(latest):
        raise BadInput("the log holds no events and no decisions: give the time with --at")
    return int(latest.max())
