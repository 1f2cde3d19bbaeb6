"""Makes a whole log of what a source gives: users, items and variants that are only named.

A zone that is not known is the log's default (else UTC), a sign-up the first event or decision, a
price the median value of the item's purchases (else 0), a name the id, any other text `unknown`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from ingestion.schema import TABLES

UNKNOWN = "unknown"
NO_ZONE = "UTC"
ITEM = "{item}"
"""What stands for a variant's texts: the name of its item."""
DESCRIBED = ("users", "items", "variants")
"""Tables with one row for each key, whatever number of records speak of it."""


def latest(table: pd.DataFrame, key: str) -> pd.DataFrame:
    """One row for each key: each column's last value that is there."""
    return table[table[key].notna()].groupby(key, sort=False).last().reset_index()


def named(have: pd.DataFrame, key: str, ids: Iterable[str]) -> tuple[pd.DataFrame, int]:
    """The table with a row for each of the ids that has none, and how many those are."""
    known = set(have[key])
    fresh = [each for each in dict.fromkeys(ids) if each not in known]
    rows = pd.DataFrame({key: pd.Series(fresh, dtype="str")})
    return pd.concat([have, rows], ignore_index=True), len(fresh)


def filled(
    name: str, table: pd.DataFrame, values: Mapping[str, pd.Series | str]
) -> tuple[pd.DataFrame, dict[str, int]]:
    """A table of texts with all needed columns, gaps filled from `values` (n,), and how many were
    filled in each column."""
    made, out = {}, table.copy()
    for column in TABLES[name].columns:
        if column.required and column.name not in out:
            out[column.name] = pd.Series(None, out.index, dtype="str")
    for column_name, value in values.items():
        stands = out[column_name]
        gap = stands.isna()
        if not isinstance(value, str):
            gap &= value.notna()
        if gap.any():
            made[f"{name}.{column_name} missing, filled"] = int(gap.sum())
            out[column_name] = stands.where(~gap, value)
    return out, made
