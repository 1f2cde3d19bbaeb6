"""Types the columns of raw frames, and notes every value that is not of its column's type."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from ingestion.log import NONE, Log, LogMeta, Problem
from ingestion.schema import TABLES, Column, Missing, Table, Type

_CLOCK = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?"
_ISO = _CLOCK + r"(?:Z|z|[+-]\d{2}:?\d{2}|[+-]\d{2})"
_NAIVE = rf"(?:\d{{4}}-\d{{2}}-\d{{2}}|{_CLOCK})"
_DATE = r"\d{4}-\d{2}-\d{2}"
_INTEGER = r"[+-]?\d+(?:\.\d+)?"
DEFAULT_META = LogMeta()
TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
"""Truth by how a file may write it, in small letters."""


@dataclass(frozen=True)
class Parsed:
    """A typed column and the rows that are not of its type, by the rule that they break."""

    values: pd.Series
    """the typed column (n,), missing where a rule is broken"""
    broken: dict[str, np.ndarray]
    """rule → mask (n,) bool"""


def log_of(tables: Mapping[str, pd.DataFrame], meta: LogMeta = DEFAULT_META) -> Log:
    """A log from frames as they are: types their columns and notes what can't be typed.

    Never raises for bad values: they become `Log.problems`, which `check` reports.
    """
    typed: dict[str, pd.DataFrame] = {}
    problems: list[Problem] = []
    for name, table in TABLES.items():
        raw = tables.get(name)
        if raw is None:
            if table.required:
                problems.append(Problem(name, None, "missing_table"))
            typed[name] = _no_rows(name).copy(deep=False)
        else:
            typed[name], found = _typed(table, raw, meta)
            problems.extend(found)
    return Log(typed, meta, tuple(problems))


@cache
def _no_rows(name: str) -> pd.DataFrame:
    return _typed(TABLES[name], pd.DataFrame(), DEFAULT_META)[0]


def not_logged(table: str, column: str, meta: LogMeta) -> bool:
    """Whether `log.json` says that this column was never logged."""
    return table == "decisions" and (
        (column == "propensity" and meta.propensities == NONE)
        or (column == "candidates" and meta.candidates == NONE)
    )


def _typed(table: Table, raw: pd.DataFrame, meta: LogMeta) -> tuple[pd.DataFrame, list[Problem]]:
    raw = raw.reset_index(drop=True)
    columns: dict[str, pd.Series] = {}
    problems = []
    for column in table.columns:
        if column.name not in raw.columns:
            columns[column.name] = absent(column, raw.index)
            needed = column.required and not not_logged(table.name, column.name, meta)
            if needed:
                problems.append(Problem(table.name, column.name, "missing_column"))
            continue
        source = raw[column.name]
        parsed = parse_column(column, source)
        columns[column.name] = parsed.values
        for rule, mask in parsed.broken.items():
            rows = np.flatnonzero(mask)
            if len(rows):
                values = tuple(str(value) for value in source.iloc[rows])
                problems.append(Problem(table.name, column.name, rule, rows, values))
    for name in raw.columns:
        if name not in columns:
            columns[name] = raw[name]
    return pd.DataFrame(columns, index=raw.index), problems


def absent(column: Column, index: pd.Index) -> pd.Series:
    """A column that the log does not have: missing values, or the column's default."""
    return pd.Series(column.default, index, dtype=_DTYPES.get(column.type, "str"))


def parse_column(column: Column, source: pd.Series) -> Parsed:
    """Types one column (n,); a missing value of a column with a default becomes the default."""
    parsed = _PARSERS[column.type](source)
    if column.default is not None:
        broken = np.zeros(len(source), bool)
        for mask in parsed.broken.values():
            broken |= mask
        values = parsed.values.where(parsed.values.notna() | broken, column.default)
        parsed = Parsed(values.astype(parsed.values.dtype), parsed.broken)
    return parsed


def as_text(source: pd.Series) -> pd.Series:
    """The values as text, dtype str; "" and missing are missing."""
    if source.dtype == "str":
        return source.where(source != "")
    values = source.astype(object).where(source.notna(), None)
    if source.dtype == object:
        # Parquet may hold text as bytes.
        values = values.map(lambda each: _decoded(each) if isinstance(each, bytes) else each)
    text = values.astype("str")
    return text.where(text != "")


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _text(source: pd.Series) -> Parsed:
    text = as_text(source)
    if source.dtype == "str":
        return Parsed(text, {})
    if pd.api.types.is_float_dtype(source.dtype):
        return Parsed(text, {"wrong_type": source.notna().to_numpy()})
    if source.dtype != object:
        return Parsed(text, {})
    # Parquet can hold lists and structures; their text would be Python's, not the log's.
    nested = source.map(pd.api.types.is_list_like).to_numpy(bool)
    return Parsed(text.where(~nested), {"wrong_type": nested})


def _number(source: pd.Series) -> Parsed:
    if pd.api.types.is_bool_dtype(source.dtype) or pd.api.types.is_datetime64_any_dtype(source):
        nothing = pd.Series(np.nan, source.index, dtype=np.float64)
        return Parsed(nothing, {"wrong_type": source.notna().to_numpy()})
    if pd.api.types.is_numeric_dtype(source.dtype):
        return Parsed(source.astype("Float64").astype(np.float64), {})
    text = as_text(source)
    numbers = pd.to_numeric(text, errors="coerce").astype(np.float64)
    said_missing = text.str.lower().isin(["nan"])
    wrong = (text.notna() & numbers.isna() & ~said_missing).to_numpy()
    return Parsed(numbers, {"wrong_type": wrong})


def _integer(source: pd.Series) -> Parsed:
    parsed = _number(source)
    numbers = parsed.values
    fraction = (numbers.notna() & (~np.isfinite(numbers) | (numbers % 1 != 0))).to_numpy()
    whole = numbers.where(~fraction).astype("Int64")
    return Parsed(whole, {"wrong_type": parsed.broken.get("wrong_type", False) | fraction})


def _boolean(source: pd.Series) -> Parsed:
    if pd.api.types.is_bool_dtype(source.dtype):
        return Parsed(source.astype("boolean"), {})
    text = as_text(source)
    values = text.str.lower().map(TRUTH).astype("boolean")
    return Parsed(values, {"wrong_type": (text.notna() & values.isna()).to_numpy()})


def _time(source: pd.Series) -> Parsed:
    nothing = pd.Series(pd.NaT, source.index, dtype="datetime64[us, UTC]")
    given = source.notna().to_numpy()
    if isinstance(source.dtype, pd.DatetimeTZDtype):
        return Parsed(source.dt.tz_convert("UTC").astype("datetime64[us, UTC]"), {})
    if pd.api.types.is_datetime64_dtype(source.dtype):
        return Parsed(nothing, {"naive_time": given})
    if pd.api.types.is_numeric_dtype(source.dtype):
        return Parsed(nothing, {"integer_time": given})
    text = as_text(source).str.strip()
    iso = text.str.fullmatch(_ISO).fillna(False).to_numpy(bool)
    times = nothing.copy()
    if iso.any():
        read = pd.to_datetime(text[iso], utc=True, format="ISO8601", errors="coerce")
        times[iso] = read.astype("datetime64[us, UTC]")
    naive, integer = (_others(text, ~iso, pattern) for pattern in (_NAIVE, _INTEGER))
    bad = text.notna().to_numpy() & times.isna().to_numpy() & ~naive & ~integer
    return Parsed(times, {"naive_time": naive, "integer_time": integer, "bad_time": bad})


def _date(source: pd.Series) -> Parsed:
    if pd.api.types.is_datetime64_any_dtype(source.dtype):
        source = source.astype("str").str.removesuffix(" 00:00:00")
    text = as_text(source).str.strip()
    iso = _others(text, text.notna().to_numpy(), _DATE)
    iso[iso] = pd.to_datetime(text[iso], format="%Y-%m-%d", errors="coerce").notna()
    return Parsed(text.where(iso), {"bad_date": text.notna().to_numpy() & ~iso})


def _others(text: pd.Series, some: np.ndarray, pattern: str) -> np.ndarray:
    """Which of some of the texts (n,) are of a pattern, bool (n,)."""
    out = np.zeros(len(text), bool)
    if some.any():
        out[some] = text[some].str.fullmatch(pattern).fillna(False).to_numpy(bool)
    return out


_PARSERS: dict[Type, Callable[[pd.Series], Parsed]] = {
    Type.ID: _text,
    Type.TEXT: _text,
    Type.ZONE: _text,
    Type.TIME: _time,
    Type.DATE: _date,
    Type.NUMBER: _number,
    Type.INTEGER: _integer,
    Type.BOOLEAN: _boolean,
    Type.IDS: _text,
    Type.HOURS: _text,
}


_DTYPES: dict[Type, str] = {
    Type.TIME: "datetime64[us, UTC]",
    Type.NUMBER: "float64",
    Type.INTEGER: "Int64",
    Type.BOOLEAN: "boolean",
}
"""How a frame holds each type; all others are str."""


def may_be_missing(table: str, column: Column, meta: LogMeta) -> Missing:
    """What a missing value in a column means, given what `log.json` says."""
    return Missing.FINE if not_logged(table, column.name, meta) else column.missing
