"""Items and variants in the store: written by the shop, read as a `Catalog`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Table, insert, select

from ingestion.catalog import catalog_of
from ingestion.log import LogMeta, time_column
from ingestion.parse import log_of
from ingestion.schema import TABLES, Type
from mdp.catalog import Catalog
from mdp.clock import NEVER
from serving.problems import Problem
from serving.rows import rows_by_key, upsert
from serving.schemas import iso
from serving.store import touch_catalog
from serving.tables import CHANGES, ITEMS, VARIANTS


def frame_of(connection: Connection, table: Table) -> pd.DataFrame:
    """Items or variants as a table of the log, in the order of their ids; times are numbers."""
    key = next(iter(table.primary_key.columns))
    rows = connection.execute(select(table).order_by(key)).all()
    return pd.DataFrame([{key.name: row[0], **row.body} for row in rows])


def with_times(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The frame of a log's table with its times, microseconds UTC so far, as timestamps."""
    for column in TABLES[name].columns:
        if column.type is Type.TIME and column.name in frame:
            instants = frame[column.name].astype("Int64").fillna(NEVER)
            frame[column.name] = time_column(instants.to_numpy(np.int64))
    return frame


def read_catalog(connection: Connection, currency: str | None) -> Catalog:
    """The catalogue that decisions address by row, its prices in `currency`."""
    tables = {
        name: with_times(frame_of(connection, table), name)
        for name, table in (("items", ITEMS), ("variants", VARIANTS))
    }
    return catalog_of(log_of(tables, LogMeta(currency=currency)))


def put_rows(
    connection: Connection, table: Table, bodies: Sequence[dict[str, Any]], now: int
) -> None:
    """Add or replace items or variants, with a row of `changes` for each column that changes.

    Raises `Problem` where a variant's style would change (users' histories count by style), and
    for a variant of an item that there is not.
    """
    key = next(iter(table.primary_key.columns)).name
    old = rows_by_key(connection, table, [body[key] for body in bodies])
    changes: list[dict[str, Any]] = []
    if table is VARIANTS:
        _check_items(connection, bodies)
    for place, body in enumerate(bodies):
        row = old.get(body[key])
        before = {} if row is None else row.body
        if before.get("style", body.get("style")) != body.get("style"):
            raise Problem(
                409,
                f"{table.name}[{place}].style",
                f"variant {body[key]!r} is of style {before['style']!r}, which can't change: add "
                "a new variant",
            )
        if row is not None:
            changes += changed(table.name, body[key], before, body, now)
    upsert(
        connection,
        table,
        [{key: b[key], "body": {k: v for k, v in b.items() if k != key}} for b in bodies],
    )
    if changes:
        connection.execute(insert(CHANGES), changes)
    touch_catalog(connection)


def _check_items(connection: Connection, variants: Sequence[dict[str, Any]]) -> None:
    """Raises `Problem` for a variant that is written for an unknown item."""
    known = rows_by_key(connection, ITEMS, {v["item_id"] for v in variants if "item_id" in v})
    for place, variant in enumerate(variants):
        item = variant.get("item_id")
        if item is not None and item not in known:
            raise Problem(422, f"variants[{place}].item_id", f"there is no item {item!r}")


def changed(
    table: str, key: str, before: dict[str, Any], after: dict[str, Any], now: int
) -> list[dict[str, Any]]:
    """Rows of `changes`: the columns whose value is now another, with the new value."""
    rows = []
    for column in sorted({*before, *after} - {"user_id", "item_id", "variant_id"}):
        value = after.get(column)
        if value != before.get(column):
            text = None if value is None else _text(column, value)
            rows.append({"table": table, "id": key, "column": column, "value": text, "at": now})
    return rows


def _text(column: str, value: Any) -> str:
    if column in ("listed_at", "available_until", "signed_up_at"):
        return iso(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
