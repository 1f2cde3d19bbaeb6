"""A plain table of logged decisions, from a file or a DataFrame, as a sample."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from evaluation.measures import COUNTS, measures
from evaluation.sample import Labels, Sample, checked
from ingestion.records import ending, separator_of
from mdp.errors import BadInput, NotEnoughData

REQUIRED = ("reward", "propensity", "target_propensity")
MODEL = ("q_logged", "v_target", "marginal_weight")
FEATURES = ("item", "variant", "hour")
"""Of the logged action: for overlap, and for `mips`."""
SEGMENT = "segment"
STEP, TO_GO, STATE = ("step", "day"), ("q_to_go", "v_to_go"), "state"
"""Of a user's days: `evaluation.steps` reads them."""
KNOWN = (
    *(*REQUIRED, *MODEL, "user_id", "decision_id", "decided_at", *FEATURES, SEGMENT, *COUNTS),
    *(*STEP, *TO_GO, STATE),
)
"""Columns that mean something, beside features by their prefix; others are left alone."""
SEGMENTS = 20
"""Most segments that are reported one by one."""
OTHERS = "all others"
WITHOUT_USERS = (
    "the table has no user_id: each row counts as a user of its own, so intervals are too narrow "
    "where users have several rows"
)
_NUMBERS = (*REQUIRED, *MODEL, *COUNTS, *STEP, *TO_GO)
_TEXTS = ("user_id", "decision_id", *FEATURES, SEGMENT, STATE)
_MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")


def read_table(file: Path | str) -> Sample:
    """The sample of a file with the columns reward, propensity, target_propensity and, where
    there are, the others of `KNOWN` (without user_id each row is a user of its own).

    Raises `BadInput` or `NotEnoughData`, naming file and column.
    """
    with naming(file):
        return sample_of(read_frame(file))


@contextmanager
def naming(file: Path | str) -> Iterator[None]:
    """Puts a file's name before what is wrong with its content."""
    try:
        yield
    except NotEnoughData as error:
        raise NotEnoughData(f"{file}: {error}") from error
    except BadInput as error:
        raise BadInput(f"{file}: {error}") from error


def read_frame(file: Path | str) -> pd.DataFrame:
    """A file's columns, by its ending Parquet, JSON lines or else CSV; raises `BadInput`."""
    file = Path(file)
    if not file.is_file():
        raise BadInput("there is no such file" if not file.exists() else "it is a directory")
    kind = {".parquet": "parquet", ".jsonl": "JSON lines", ".ndjson": "JSON lines"}.get(
        ending(file).lower(), "csv"
    )
    try:
        if kind == "parquet":
            return pd.read_parquet(file)
        if kind == "JSON lines":
            return pd.read_json(file, lines=True, dtype=False)
        sep = separator_of(file)
        # Ids are read as they are: only in columns of numbers is NA a missing value.
        missing = dict.fromkeys(_NUMBERS, _MISSING)
        texts = dict.fromkeys(_TEXTS, str)
        frame = pd.read_csv(file, sep=sep, dtype=texts, na_values=missing, keep_default_na=False)
        names = pd.read_csv(
            file, sep=sep, header=None, nrows=1, dtype=str, keep_default_na=False
        ).iloc[0]
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except UnicodeDecodeError as error:
        raise BadInput(f"it can't be read as {kind}: save it as UTF-8 ({error})") from error
    except (OSError, ValueError, pa.ArrowException, EOFError, zlib.error) as error:
        raise BadInput(f"it can't be read as {kind}: {error}") from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise BadInput("its rows have more values than its header has names: name every column")
    frame.columns = pd.Index(names)
    return frame


def sample_of(frame: pd.DataFrame) -> Sample:
    """The sample of a frame; raises `BadInput` or `NotEnoughData`."""
    missing = [name for name in REQUIRED if name not in frame.columns]
    if missing:
        found = ", ".join(map(_shown, frame.columns)) or "none"
        raise BadInput(
            f"the table lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; "
            f"it has {found}: rename the column that holds it, or log it"
        )
    twice = [name for name in frame.columns[frame.columns.duplicated()] if name in KNOWN]
    if twice:
        raise BadInput(f"the table has more than one column {twice[0]}: leave one of them")
    if frame.empty:
        raise NotEnoughData("the table has no rows")
    columns = {name: numbers(frame[name]) for name in REQUIRED}
    columns |= {name: numbers(frame[name]) for name in MODEL if name in frame.columns}
    _once(frame)
    at = times(frame)
    counts = {name: checked(name, numbers(frame[name])) for name in COUNTS if name in frame.columns}
    segments = {SEGMENT: labels(frame[SEGMENT], SEGMENTS)} if SEGMENT in frame.columns else {}
    return Sample(
        user=user_codes(frame),
        late=None if at is None else (at >= at.median()).to_numpy(bool),
        per_day=None if at is None else len(frame) / _days(at),
        features={name: labels(frame[name]) for name in FEATURES if name in frame.columns},
        segments=segments,
        measures=measures(counts),
        **columns,
    )


def labels(column: pd.Series, names: int | tuple[str, ...] | None = None) -> Labels:
    """Names of a column's rows, the most frequent first. names: how many there may be, or which;
    what is beyond them is one."""
    codes, values = _factorized(column, use_na_sentinel=False)
    texts = ["(none)" if pd.isna(value) else str(value) or "(none)" for value in values]
    same, found = pd.factorize(np.array(texts, object))
    codes = same[codes]
    order = np.argsort(-np.bincount(codes, minlength=len(found)), kind="stable")
    known = [str(found[i]) for i in order]
    if isinstance(names, int):
        names = tuple(known) if len(known) <= names else (*known[: names - 1], OTHERS)
    elif names is None:
        names = tuple(known)
    place = {name: n for n, name in enumerate(names)}
    where = np.array([place.get(str(name), len(names) - 1) for name in found], np.int64)
    return Labels(where[codes], names)


def _once(frame: pd.DataFrame) -> None:
    """Rows that are alike are not the same decision; rows with the same id are."""
    if "decision_id" not in frame.columns:
        return
    given = ids(frame, "decision_id")
    twice = given.duplicated()
    if twice.any():
        first = given[twice].iloc[0]
        raise BadInput(
            f"{int(twice.sum())} of {len(frame)} rows repeat a decision_id, the first is "
            f"{str(first)!r}: a decision with several outcomes (or one logged twice) is one row, "
            "with the reward of all of them"
        )


def times(frame: pd.DataFrame) -> pd.Series | None:
    """When each row was decided; None without a column decided_at. Raises `BadInput`."""
    if "decided_at" not in frame.columns:
        return None
    given = frame["decided_at"]
    texts = given.astype(str) if given.dtype.kind in "iuf" else given
    at = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce")
    wrong = np.flatnonzero(at.isna().to_numpy())
    if len(wrong):
        raise BadInput(
            f"decided_at must be a time such as 2026-03-01T09:00:00Z, and row {wrong[0]} (counted "
            f"from 0) holds {str(given.iloc[wrong[0]])!r}"
        )
    return at


def _days(at: pd.Series) -> float:
    """Days that times span, at least 1."""
    return max(1.0, (at.max() - at.min()) / pd.Timedelta(days=1))


def numbers(column: pd.Series) -> np.ndarray:
    """A column as float64, NaN where it is missing; raises `BadInput` where it is no number."""
    if column.dtype.kind in "mMc":
        held = "complex numbers" if column.dtype.kind == "c" else "times"
        raise BadInput(f"{column.name} must be a number, and its column holds {held}")
    values = pd.to_numeric(column, errors="coerce")
    wrong = np.flatnonzero((values.isna() & column.notna()).to_numpy())
    if len(wrong):
        raise BadInput(
            f"{column.name} must be a number, and row {wrong[0]} (counted from 0) holds "
            f"{str(column.iloc[wrong[0]])!r}"
        )
    return values.to_numpy(np.float64, na_value=np.nan)


def user_codes(frame: pd.DataFrame) -> np.ndarray:
    """Code (n,) int64 of each row's user, from 0; without user_id each row is one. Raises
    `BadInput`."""
    if "user_id" not in frame.columns:
        return np.arange(len(frame))
    return _factorized(ids(frame, "user_id"))[0].astype(np.int64)


def ids(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column of ids; raises `BadInput` where one is missing."""
    column = frame[name]
    missing = column.isna() | (column == "")
    if missing.any():
        raise BadInput(
            f"{name} is missing in {int(missing.sum())} of {len(frame)} rows: "
            "fill it in, or leave the column out"
        )
    return column


def _factorized(column: pd.Series, **options: bool) -> tuple[np.ndarray, Any]:
    """`pd.factorize`; raises `BadInput` for lists and the like."""
    try:
        return pd.factorize(column, **options)
    except TypeError as error:
        raise BadInput(
            f"{column.name} must be a text or a number, and row 0 holds {column.iloc[0]!r}"
        ) from error


def _shown(name: object) -> str:
    """A column's name; in quotes where spaces around it would not be seen."""
    return str(name) if str(name) == str(name).strip() else repr(name)
