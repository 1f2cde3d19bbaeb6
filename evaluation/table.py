"""A plain table of logged decisions, from CSV or Parquet or a DataFrame, as a sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from evaluation.marginal import cell_weights
from evaluation.measures import COUNTS, measures
from evaluation.sample import Labels, Sample
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
    """A file's columns, CSV or Parquet; raises `BadInput`."""
    file = Path(file)
    if not file.is_file():
        raise BadInput("there is no such file")
    kind = "parquet" if file.suffix.lower() == ".parquet" else "csv"
    try:
        if kind == "parquet":
            return pd.read_parquet(file)
        # Ids are read as they are: only in columns of numbers is NA a missing value.
        missing = dict.fromkeys(_NUMBERS, _MISSING)
        texts = dict.fromkeys(_TEXTS, str)
        return pd.read_csv(file, dtype=texts, na_values=missing, keep_default_na=False)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (ValueError, pa.ArrowException) as error:
        raise BadInput(f"it can't be read as {kind}: {error}") from error


def sample_of(frame: pd.DataFrame) -> Sample:
    """The sample of a frame; raises `BadInput` or `NotEnoughData`."""
    missing = [name for name in REQUIRED if name not in frame.columns]
    if missing:
        found = ", ".join(str(name) for name in frame.columns) or "none"
        raise BadInput(
            f"the table lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; "
            f"it has {found}: rename the column that holds it, or log it"
        )
    if frame.empty:
        raise NotEnoughData("the table has no rows")
    columns = {name: numbers(frame[name]) for name in REQUIRED}
    columns |= {name: numbers(frame[name]) for name in MODEL if name in frame.columns}
    _once(frame)
    features = {name: labels(frame[name]) for name in FEATURES if name in frame.columns}
    if features and "marginal_weight" not in columns:
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = columns["target_propensity"] / columns["propensity"]
        if np.isfinite(weights).all():  # else `Sample` says what is wrong
            columns["marginal_weight"] = cell_weights(weights, joint(features.values()))
    at = times(frame)
    counts = {name: _finite(frame[name]) for name in COUNTS if name in frame.columns}
    segments = {SEGMENT: labels(frame[SEGMENT], SEGMENTS)} if SEGMENT in frame.columns else {}
    return Sample(
        user=_users(frame),
        late=None if at is None else (at >= at.median()).to_numpy(bool),
        per_day=None if at is None else len(frame) / _days(at),
        features=features,
        segments=segments,
        measures=measures(counts),
        **columns,
    )


def joint(features: Iterable[Labels]) -> np.ndarray:
    """One code (n,) int64 for all features of a row together."""
    code = np.zeros(1, np.int64)
    for each in features:
        code = code * len(each.names) + each.codes
    return np.unique(code, return_inverse=True)[1].astype(np.int64)


def labels(column: pd.Series, names: int | tuple[str, ...] | None = None) -> Labels:
    """Names of a column's rows, the most frequent first. names: how many there may be, or which;
    what is beyond them is one."""
    codes, values = pd.factorize(column, use_na_sentinel=False)
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
    twice = frame["decision_id"].duplicated()
    if twice.any():
        first = frame["decision_id"][twice].iloc[0]
        raise BadInput(
            f"{int(twice.sum())} of {len(frame)} rows repeat a decision_id, the first is "
            f"{str(first)!r}: a decision with several outcomes (or one logged twice) is one row, "
            "with the reward of all of them"
        )


def times(frame: pd.DataFrame) -> pd.Series | None:
    """When each row was decided; None without a column decided_at. Raises `BadInput`."""
    if "decided_at" not in frame.columns:
        return None
    at = pd.to_datetime(frame["decided_at"], utc=True, format="ISO8601", errors="coerce")
    wrong = np.flatnonzero(at.isna().to_numpy())
    if len(wrong):
        raise BadInput(
            f"decided_at must be a time such as 2026-03-01T09:00:00Z, and row {wrong[0]} (counted "
            f"from 0) holds {str(frame['decided_at'].iloc[wrong[0]])!r}"
        )
    return at


def _days(at: pd.Series) -> float:
    """Days that times span, at least 1."""
    return max(1.0, (at.max() - at.min()) / pd.Timedelta(days=1))


def numbers(column: pd.Series) -> np.ndarray:
    """A column as float64, NaN where it is missing; raises `BadInput` where it is no number."""
    if column.dtype.kind in "mM":
        raise BadInput(f"{column.name} must be a number, and its column holds times")
    values = pd.to_numeric(column, errors="coerce")
    wrong = np.flatnonzero((values.isna() & column.notna()).to_numpy())
    if len(wrong):
        raise BadInput(
            f"{column.name} must be a number, and row {wrong[0]} (counted from 0) holds "
            f"{str(column.iloc[wrong[0]])!r}"
        )
    return values.to_numpy(np.float64, na_value=np.nan)


def _finite(column: pd.Series) -> np.ndarray:
    values = numbers(column)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise BadInput(f"{column.name} is missing in {len(wrong)} rows, the first is {wrong[0]}")
    return values


def _users(frame: pd.DataFrame) -> np.ndarray:
    if "user_id" not in frame.columns:
        return np.arange(len(frame))
    missing = frame["user_id"].isna() | (frame["user_id"] == "")
    if missing.any():
        raise BadInput(
            f"user_id is missing in {int(missing.sum())} of {len(frame)} rows: "
            "fill it in, or leave the column out"
        )
    try:
        return pd.factorize(frame["user_id"])[0].astype(np.int64)
    except TypeError as error:
        raise BadInput(
            f"user_id must be a text or a number, and row 0 holds {frame['user_id'].iloc[0]!r}"
        ) from error
