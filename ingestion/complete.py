"""Makes a whole log of what a source gives: users, items and variants that are only named."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ingestion.log import LogMeta
from ingestion.parse import log_of
from ingestion.schema import TABLES

UNKNOWN = "unknown"
NO_ZONE = "UTC"
DESCRIBED = ("users", "items", "variants")
"""Tables with one row for each key, whatever number of records speak of it."""


def completed(
    raw: Mapping[str, pd.DataFrame], meta: LogMeta
) -> tuple[dict[str, pd.DataFrame], dict[str, int]]:
    """The tables with every needed table and column, and what was made up, counted.

    Several rows of one user, item or variant become one, the last value that is there for each
    column. A zone that is not known is the log's default (else UTC), a sign-up the first event or
    decision, a price the median value of the item's purchases (else 0), a name the id, any other
    text `unknown`.
    """
    tables = {
        name: _latest(table, str(TABLES[name].key)) if name in DESCRIBED else table
        for name, table in raw.items()
    }
    made: dict[str, int] = {}
    for name, sources in {
        "users": (("events", "user_id"), ("decisions", "user_id")),
        "items": (("events", "item_id"), ("decisions", "item_id")),
        "variants": (("decisions", "variant_id"),),
    }.items():
        key = str(TABLES[name].key)
        parts = [tables[t][c] for t, c in sources if t in tables and c in tables[t]]
        named = pd.concat(parts).dropna().drop_duplicates() if parts else pd.Series(dtype="str")
        have = tables.get(name, pd.DataFrame({key: pd.Series(dtype="str")}))
        fresh = named[~named.isin(have[key])]
        if len(fresh):
            made[f"{name} only named, made up"] = len(fresh)
        if len(fresh) or name in tables or name != "variants":
            tables[name] = pd.concat([have, pd.DataFrame({key: fresh})], ignore_index=True)
    tables.setdefault("events", pd.DataFrame())
    for name in list(tables):
        for column in TABLES[name].columns:
            if column.required and column.name not in tables[name]:
                tables[name][column.name] = pd.Series(None, tables[name].index, dtype="str")
    log = log_of(tables, meta)
    for (name, column_name), values in _fillings(log.tables, meta).items():
        if name not in tables:
            continue
        stands = tables[name][column_name].astype("str")
        gap = stands.isna() & values.notna()
        if gap.any():
            made[f"{name}.{column_name} missing, filled"] = int(gap.sum())
        tables[name][column_name] = stands.where(~gap, values.astype("str"))
    order = [name for name in TABLES if name in tables]
    return {name: tables[name] for name in order}, made


def _latest(table: pd.DataFrame, key: str) -> pd.DataFrame:
    """One row for each key: each column's last value."""
    if key not in table:
        return table
    named = table[table[key].notna()]
    return named.groupby(key, sort=False).last().reset_index()


def _fillings(
    tables: Mapping[str, pd.DataFrame], meta: LogMeta
) -> dict[tuple[str, str], pd.Series]:
    users, items, variants = (tables[name] for name in ("users", "items", "variants"))
    acts = pd.concat(
        [
            tables[name][["user_id", at]].rename(columns={at: "at"})
            for name, at in (("events", "at"), ("decisions", "decided_at"))
        ]
    )
    first = acts.groupby("user_id")["at"].min().reindex(users["user_id"]).set_axis(users.index)
    bought = tables["events"][tables["events"]["event"] == "purchase"]
    price = bought.groupby("item_id")["value"].median().reindex(items["item_id"])
    unknown = pd.Series(UNKNOWN, items.index, dtype="str")
    return {
        ("users", "timezone"): pd.Series(
            meta.default_timezone or NO_ZONE, users.index, dtype="str"
        ),
        ("users", "signed_up_at"): first.map(lambda at: at.isoformat(), na_action="ignore"),
        ("items", "title"): items["item_id"],
        ("items", "category"): unknown,
        ("items", "brand"): unknown,
        ("items", "price"): price.fillna(0.0).set_axis(items.index),
        ("variants", "style"): pd.Series(UNKNOWN, variants.index, dtype="str"),
        ("variants", "title"): pd.Series("{item}", variants.index, dtype="str"),
        ("variants", "body"): pd.Series("{item}", variants.index, dtype="str"),
    }
