"""Turns records into rows of the log format's tables, as a mapping says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ingestion.codes import codes_of
from ingestion.log import time_column
from ingestion.mapping import ANY, Cell, Rows, SourceMapping
from ingestion.schema import TABLES, Type

_STEP = re.compile(r"\[([^\]]+)\]|([^.\[\]]+)")
NAIVE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?")
"""A time without a zone."""
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
ELEMENT = "\x00element"
"""Column that holds a list's element while its rows are made."""


@dataclass(frozen=True)
class Made:
    """What a mapping makes of some records."""

    tables: dict[str, pd.DataFrame]
    """rows by table, in the order of the records and for one record in that of the mapping's
    blocks; times and numbers as such where the source has them as such, all else as text"""
    unused: int
    """records of which no block makes a row"""
    led: set[str]
    """columns whose paths lead to a value"""
    lost: set[str]
    """columns whose paths lead nowhere"""


def rows_of(records: pd.DataFrame, mapping: SourceMapping) -> Made:
    """The rows of tables that a mapping makes of records (n rows)."""
    records = records.reset_index(drop=True)
    used, led, lost = np.zeros(len(records), bool), set[str](), set[str]()
    parts: dict[str, list[pd.DataFrame]] = {}
    for rows in mapping.rows:
        mine = records[_matching(records, rows)]
        if rows.each is not None:
            mine = _exploded(mine, rows.each)
        used[mine.index] = True
        if len(mine):
            table, here, nowhere = _table(mine.reset_index(drop=True), rows)
            parts.setdefault(rows.table, []).append(table.set_axis(mine.index))
            led |= here
            lost |= nowhere
    tables = {name: _in_order(frames) for name, frames in parts.items()}
    return Made(tables, int((~used).sum()), led, lost)


def _in_order(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Rows of several blocks in the order of their records."""
    if len(frames) == 1:
        return frames[0].reset_index(drop=True)
    whole = pd.concat(frames).sort_index(kind="stable").reset_index(drop=True)
    for name in whole:
        if whole[name].dtype == object:
            whole[name] = texts_of(whole[name])
    return whole


def _matching(frame: pd.DataFrame, rows: Rows) -> np.ndarray:
    mask = np.ones(len(frame), bool)
    for path, wanted in rows.where.items():
        values = path_values(frame, path)
        if wanted == (ANY,):
            mask &= values.notna().to_numpy()
        elif values.dtype == object:
            mask &= np.array([str(value).lower() in wanted for value in values], bool)
        else:
            code, distinct = pd.factorize(values)
            mask &= np.array([*(str(value).lower() in wanted for value in distinct), False])[code]
    return mask


def _exploded(frame: pd.DataFrame, path: str) -> pd.DataFrame:
    """The elements of a list of each record, in `ELEMENT`; the index says of which."""
    lists = [list(each) if _is_list(each) else [] for each in path_values(frame, path)]
    whole = frame.assign(**{ELEMENT: pd.Series(lists, frame.index, dtype=object)}).explode(ELEMENT)
    return whole[whole[ELEMENT].notna()]


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | np.ndarray)


def path_values(frame: pd.DataFrame, path: str) -> pd.Series:
    """What stands at a path in each record (n,) object; missing where it does not lead."""
    if path in frame:
        return frame[path]
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


def _table(frame: pd.DataFrame, rows: Rows) -> tuple[pd.DataFrame, set[str], set[str]]:
    """The rows, and which columns' paths led somewhere and which nowhere."""
    columns: dict[str, pd.Series] = {}
    here, not_here = set[str](), set[str]()
    types = {column.name: column.type for column in TABLES[rows.table].columns}
    for name, cell in rows.cells.items():
        found = [path_values(frame, path) for path in cell.paths]
        if cell.paths:
            leads = any(values.notna().any() for values in found)
            (here if leads else not_here).add(f"{rows.table}.{name} ({', '.join(cell.paths)})")
        values = _amounts(cell, _values(cell, found, frame.index), frame)
        if types.get(name) is Type.TIME:
            columns[name] = _instants(values, cell)
        elif types.get(name) is Type.NUMBER and _is_number(values) and not cell.words:
            columns[name] = values
        else:
            columns[name] = texts_of(values)
            if cell.words:
                columns[name] = _worded(columns[name], cell.words)
            if cell.prefix:
                columns[name] = cell.prefix + columns[name]
    return pd.DataFrame(columns), here, not_here


def _is_number(values: pd.Series) -> bool:
    numeric = pd.api.types.is_numeric_dtype(values.dtype)
    return numeric and not pd.api.types.is_bool_dtype(values.dtype)


def _worded(texts: pd.Series, words: Mapping[str, str]) -> pd.Series:
    codes = codes_of(texts)
    said = pd.array([words.get(text, text) for text in codes.distinct.to_pylist()] + [None], "str")
    return pd.Series(said[codes.of], texts.index)


def _values(cell: Cell, found: list[pd.Series], index: pd.Index) -> pd.Series:
    if cell.kind == "value":
        alike = isinstance(cell.value, str)
        return pd.Series([cell.value] * len(index), index, dtype="str" if alike else object)
    if cell.kind == "product":
        product = pd.Series(1.0, index)
        for values in found:
            product = product * numbers_of(values)
        return product.round(6)
    if cell.kind == "join":
        whole = texts_of(found[0])
        for values in found[1:]:
            whole = whole + "-" + texts_of(values)
        return whole
    values = found[0]
    for other in found[1:]:
        gap = values.isna() | (values == "").fillna(False)
        if gap.any():
            values = values.astype(object).where(~gap, other.astype(object))
    return values


def _amounts(cell: Cell, values: pd.Series, frame: pd.DataFrame) -> pd.Series:
    """Values times the cell's factor and the rate of their currency. One without a rate becomes
    text with its currency, which `check` names; what is no number stays."""
    if cell.factor is None and not cell.rates:
        return values
    by = pd.Series(1.0 if cell.factor is None else cell.factor, values.index)
    strange = pd.Series(False, values.index)
    if cell.currency is not None:
        named = texts_of(path_values(frame, cell.currency)).str.strip()
        by = by * named.str.upper().map(dict(cell.rates)).astype(np.float64)
        strange = values.notna() & by.isna()
    product = (numbers_of(values) * by).round(6)
    wrong = values.notna() & product.isna()
    if not wrong.any():
        return product
    said = texts_of(values)
    if strange.any():
        said = said.mask(strange, said + " " + named.fillna("?"))
    return product.astype(object).where(~wrong, said.astype(object))


def numbers_of(values: pd.Series) -> pd.Series:
    """Values (n,) float64, NaN for what is no number."""
    if _is_number(values):
        return values.astype("Float64").astype(np.float64)
    # As texts: of whole numbers that are beyond float64 pandas makes nothing.
    return pd.to_numeric(texts_of(values), errors="coerce").astype(np.float64)


def texts_of(values: pd.Series) -> pd.Series:
    """Values (n,) as a log writes them, dtype str; missing where nothing is said."""
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        texts = pd.Series(pa.array(values).cast(pa.string()).to_pandas(), dtype="str")
        return texts.set_axis(values.index)
    if values.dtype == np.float64:
        values = pd.Series([_number(each) for each in values.tolist()], values.index, dtype="str")
    if values.dtype != "str":
        values = values.map(_written).astype("str")
    return values.where(values != "")


def _written(value: Any) -> str | None:
    """A value as a log writes it: 12.0 as 12, true as true, lists joined."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float | np.floating):
        return _number(value)
    if _is_list(value):
        return "|".join(written for each in value if (written := _written(each)) is not None)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def _number(value: float | np.floating) -> str | None:
    if np.isnan(value):
        return None
    return str(int(value)) if value.is_integer() else str(value)


def _instants(values: pd.Series, cell: Cell) -> pd.Series:
    """Times (n,): as such where all can be read by what the cell says of them, else ISO 8601 text;
    one without a zone and without `timezone` stays without."""
    if cell.unit is not None:
        numbers = numbers_of(values)
        least = (numbers * _MICROSECONDS[cell.unit]).where(lambda us: us.abs() < 1e17)
        at = time_column(least.fillna(-(2.0**63)).round().to_numpy().astype(np.int64))
        return _or_text(at.set_axis(values.index), values)
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return values
    if pd.api.types.is_datetime64_dtype(values.dtype) and cell.timezone is not None:
        return _or_text(_localized(values, cell.timezone), values)
    if values.dtype != "str":
        values = values.map(lambda v: v.isoformat() if hasattr(v, "isoformat") else v)
    text = texts_of(values).str.replace(" UTC", "Z", regex=False)
    if cell.timezone is None:
        return text
    naive = text.str.fullmatch(NAIVE).fillna(False).to_numpy(bool)
    local = pd.to_datetime(text[naive], format="ISO8601", errors="coerce")
    zoned = _localized(local, cell.timezone).reindex(text.index)
    return _or_text(zoned, text)


def _localized(times: pd.Series, zone: str) -> pd.Series:
    zoned = times.dt.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward")
    return zoned.dt.tz_convert("UTC").astype("datetime64[us, UTC]")


def _or_text(times: pd.Series, values: pd.Series) -> pd.Series:
    """The times (n,), or, where some of the values are none, all as text with those as they are."""
    wrong = times.isna() & values.notna()
    return texts_of(times).where(~wrong, texts_of(values)) if wrong.any() else times
