"""Turns records into tables of the log format, as a mapping says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ingestion.complete import completed
from ingestion.imported import Imported
from ingestion.log import LogMeta, time_column
from ingestion.mapping import ANY, Cell, Rows, SourceMapping
from ingestion.merge import joined
from ingestion.parse import log_of
from ingestion.schema import TABLES, Missing, Type
from mdp.errors import BadInput, NotEnoughData

_STEP = re.compile(r"\[([^\]]+)\]|([^.\[\]]+)")
_NAIVE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?")
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
ELEMENT = "\x00element"
"""Column that holds a list's element while its rows are made."""


def adapt(
    records: Sequence[pd.DataFrame],
    mapping: SourceMapping,
    identities: Mapping[str, str] | None = None,
) -> Imported:
    """A log of records, one frame a file; `identities` says which id is which user's.

    Users, items and variants that are only named by events and decisions are made up with what is
    known, each counted in `repaired`. Raises `NotEnoughData` where no record is taken, `BadInput`
    where the paths of a column that is needed lead nowhere in all files.
    """
    parts: dict[str, list[pd.DataFrame]] = {}
    read, unused, nowhere, somewhere = 0, 0, set[str](), set[str]()
    for frame in records:
        frame = frame.reset_index(drop=True)
        used = np.zeros(len(frame), bool)
        for rows in mapping.rows:
            mine = frame[_matching(frame, rows)]
            used[mine.index] = True
            if rows.each is not None:
                mine = _exploded(mine, rows.each)
            if len(mine):
                made, here, not_here = _table(mine, rows, mapping.meta)
                parts.setdefault(rows.table, []).append(made)
                somewhere |= here
                nowhere |= not_here
        read, unused = read + len(frame), unused + int((~used).sum())
    if not parts:
        raise NotEnoughData(f"no record of {read} matches the mapping: see its `where`")
    lost = sorted(nowhere - somewhere)
    for each in lost:
        if _needed(each):
            raise BadInput(f"the mapping's {each} is in no record: correct the path")
    raw = {name: pd.concat(frames, ignore_index=True) for name, frames in parts.items()}
    raw, changed = joined(raw, identities or {})
    tables, repaired = completed(raw, mapping.meta)
    if changed:
        repaired = {"ids joined to their user": changed, **repaired}
    found = {f"made rows of {name}": len(table) for name, table in raw.items()}
    found |= {f"no record has {each}": 0 for each in lost}
    return Imported(
        _typed(tables, mapping.meta),
        mapping.meta,
        read,
        {"the mapping has no use for it": unused},
        repaired,
        found,
    )


def _needed(where: str) -> bool:
    table, name = where.partition(" ")[0].split(".")
    known = {column.name: column for column in TABLES[table].columns}
    by_itself = table in ("users", "items", "variants") and name != TABLES[table].key
    needed = name in known and known[name].required and known[name].missing is Missing.ERROR
    return needed and not by_itself


def _matching(frame: pd.DataFrame, rows: Rows) -> np.ndarray:
    mask = np.ones(len(frame), bool)
    for path, wanted in rows.where.items():
        values = path_values(frame, path)
        if wanted == (ANY,):
            mask &= values.notna().to_numpy()
        else:
            mask &= np.array([str(value).lower() in wanted for value in values], bool)
    return mask


def _exploded(frame: pd.DataFrame, path: str) -> pd.DataFrame:
    lists = path_values(frame, path)
    whole = frame.copy()
    whole[ELEMENT] = [list(each) if _is_list(each) else [] for each in lists]
    whole = whole.explode(ELEMENT, ignore_index=True)
    return whole[whole[ELEMENT].notna()].reset_index(drop=True)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | np.ndarray)


def path_values(frame: pd.DataFrame, path: str) -> pd.Series:
    """What stands at a path in each record (n,) object; missing where it does not lead."""
    if path in frame:
        return frame[path].astype(object)
    steps = [(key, name) for key, name in _STEP.findall(path)]
    if path.startswith("."):
        values = frame.get(ELEMENT)
    else:
        values = frame.get(steps.pop(0)[1]) if steps else None
    if values is None:
        return pd.Series(None, frame.index, dtype=object)
    found = [_walk(value, steps) for value in values]
    return pd.Series(found, frame.index, dtype=object)


def _walk(value: Any, steps: list[tuple[str, str]]) -> Any:
    for key, name in steps:
        if key:
            pairs = value if _is_list(value) else []
            value = next((p.get("value") for p in pairs if p.get("key") == key), None)
            if isinstance(value, dict):  # of GA4's string_value, int_value, …, the one that is set
                value = next((each for each in value.values() if each is not None), None)
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value


def _table(
    frame: pd.DataFrame, rows: Rows, meta: LogMeta
) -> tuple[pd.DataFrame, set[str], set[str]]:
    """The rows, and which paths led somewhere and which nowhere."""
    columns: dict[str, pd.Series] = {}
    here, not_here = set[str](), set[str]()
    times = {column.name for column in TABLES[rows.table].columns if column.type is Type.TIME}
    for name, cell in rows.cells.items():
        found = [path_values(frame, path) for path in cell.paths]
        seen = {
            path for path, values in zip(cell.paths, found, strict=True) if values.notna().any()
        }
        if cell.paths:
            (here if seen else not_here).add(f"{rows.table}.{name} ({', '.join(cell.paths)})")
        values = _amounts(cell, _values(cell, found, frame.index), frame)
        if name in times:
            columns[name] = _instants(values, cell, meta)
        else:
            columns[name] = values.map(_written).astype("str")
            if cell.words:
                columns[name] = columns[name].replace(dict(cell.words))
            if cell.prefix:
                columns[name] = cell.prefix + columns[name]
    return pd.DataFrame(columns), here, not_here


def _values(cell: Cell, found: list[pd.Series], index: pd.Index) -> pd.Series:
    if cell.kind == "value":
        return pd.Series([cell.value] * len(index), index, dtype=object)
    if cell.kind == "product":
        product = pd.Series(1.0, index)
        for values in found:
            product = product * _numbers(values)
        return product.round(6).astype(object)
    if cell.kind == "join":
        whole = pd.concat([values.map(_written) for values in found], axis=1)
        joined = ["-".join(parts) if all(parts) else None for parts in whole.fillna("").to_numpy()]
        return pd.Series(joined, index, dtype=object)
    values = found[0]
    for other in found[1:]:
        values = values.where(values.notna() & (values != ""), other)
    return values


def _amounts(cell: Cell, values: pd.Series, frame: pd.DataFrame) -> pd.Series:
    """Values times the cell's factor and the rate of their currency. One without a rate becomes
    text with its currency, which `check` names; what is no number stays."""
    if cell.factor is None and not cell.rates:
        return values
    by = pd.Series(1.0 if cell.factor is None else cell.factor, values.index)
    if cell.currency is not None:
        named = path_values(frame, cell.currency).map(_written).astype("str").str.strip()
        by = by * named.str.upper().map(dict(cell.rates)).astype(np.float64)
        strange = values.notna() & by.isna()
        values = values.mask(strange, values.map(_written) + " " + named.fillna("?"))
    product = (_numbers(values) * by).round(6)
    return product.astype(object).where(product.notna(), values)


def _numbers(values: pd.Series) -> pd.Series:
    """Values (n,) float64, NaN for what is no number."""
    # As texts: of whole numbers that are beyond float64 pandas makes nothing.
    return pd.to_numeric(values.map(_written).astype("str"), errors="coerce").astype(np.float64)


def _written(value: Any) -> str | None:
    """A value as a log writes it: 12.0 as 12, true as true, lists joined."""
    if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    if _is_list(value):
        return "|".join(written for each in value if (written := _written(each)) is not None)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def _instants(values: pd.Series, cell: Cell, meta: LogMeta) -> pd.Series:
    """Times as ISO 8601 text (n,); one without a zone and without `timezone` stays without."""
    if cell.unit is not None:
        numbers = _numbers(values)
        least = (numbers * _MICROSECONDS[cell.unit]).where(lambda us: us.abs() < 1e17)
        at = time_column(least.fillna(-(2.0**63)).round().to_numpy().astype(np.int64))
        at.index = values.index
        wrong = at.isna() & values.notna()
        text = at.map(lambda time: time.isoformat(), na_action="ignore").astype("str")
        return text.where(~wrong, values.map(_written).astype("str"))
    text = values.map(lambda v: v.isoformat() if hasattr(v, "isoformat") else _written(v))
    text = text.astype("str").str.replace(" UTC", "Z", regex=False)
    if cell.timezone is None:
        return text
    naive = text.fillna("").str.fullmatch(_NAIVE).to_numpy(bool)
    local = pd.to_datetime(text[naive], format="ISO8601", errors="coerce")
    zoned = local.dt.tz_localize(cell.timezone, ambiguous="NaT", nonexistent="shift_forward")
    known = zoned.dropna()
    said = pd.Series([time.isoformat() for time in known], known.index, dtype="str")
    return said.reindex(text.index).fillna(text)


def _typed(tables: dict[str, pd.DataFrame], meta: LogMeta) -> dict[str, pd.DataFrame]:
    """Columns that can be read as their type as that type; the others as text, for `check`."""
    log = log_of(tables, meta)
    bad = {(problem.table, problem.column) for problem in log.problems}
    return {
        name: frame.assign(
            **{c: log.tables[name][c] for c in frame.columns if (name, c) not in bad}
        )
        for name, frame in tables.items()
    }
