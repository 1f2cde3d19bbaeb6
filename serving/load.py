"""Loads a log into a store: catalogue, users with their histories, and all that happened."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Engine, func, insert, select

from ingestion.log import Log, epoch_us
from ingestion.replay import event_ids, replay, to_events
from ingestion.schema import OUTCOME_KEY, TABLES
from mdp.attribution import on_time
from mdp.clock import NEVER
from mdp.errors import BadInput
from serving import tables
from serving.store import CURRENCY, count, put_setting, touch_catalog, writing


def load_log(engine: Engine, log: Log) -> dict[str, int]:
    """Put a log into a store that has no users yet; returns the rows put into each table.

    Histories are replayed from the log, so the server goes on just where the log ends. An outcome
    that the log tells twice counts once, as it does over HTTP. Raises `BadInput` for a store that
    has users already.
    """
    once = log.tables["outcomes"].drop_duplicates(OUTCOME_KEY)
    log = log.replace_tables(outcomes=once)
    rows = {
        tables.ITEMS: _bodies(log.tables["items"], "items"),
        tables.VARIANTS: _bodies(log.tables["variants"], "variants"),
        tables.USERS: _users(log),
        tables.EVENTS: _events(log),
        tables.DECISIONS: _decisions(log),
        tables.OUTCOMES: _outcomes(log),
        tables.CHANGES: _plain(log.tables["changes"]),
    }
    with writing(engine) as connection:
        _refuse_full(connection)
        for table, new in rows.items():
            if new:
                connection.execute(insert(table), new)
        count(connection, "received", len(rows[tables.OUTCOMES]))
        put_setting(connection, CURRENCY, log.meta.currency)
        touch_catalog(connection)
    return {table.name: len(new) for table, new in rows.items() if new}


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


def _users(log: Log) -> list[dict[str, Any]]:
    users = to_events(log)
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
    return rows


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
