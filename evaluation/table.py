"""A plain table of logged decisions, from CSV or Parquet, as a sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from evaluation.sample import Sample
from mdp.errors import BadInput, NotEnoughData

REQUIRED = ("reward", "propensity", "target_propensity")
MODEL = ("q_logged", "v_target")
_MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")


def read_table(file: Path | str) -> Sample:
    """The sample of a file with the columns reward, propensity, target_propensity and, where
    there are, q_logged, v_target and user_id (without it each row is a user of its own).

    Raises `BadInput` or `NotEnoughData`, naming file and column.
    """
    file = Path(file)
    try:
        return sample_of(_read(file))
    except NotEnoughData as error:
        raise NotEnoughData(f"{file}: {error}") from error
    except BadInput as error:
        raise BadInput(f"{file}: {error}") from error


def _read(file: Path) -> pd.DataFrame:
    if not file.is_file():
        raise BadInput("there is no such file")
    kind = "parquet" if file.suffix.lower() == ".parquet" else "csv"
    try:
        if kind == "parquet":
            return pd.read_parquet(file)
        # Ids are read as they are: only in columns of numbers is NA a missing value.
        missing = dict.fromkeys((*REQUIRED, *MODEL), _MISSING)
        return pd.read_csv(file, dtype={"user_id": str}, na_values=missing, keep_default_na=False)
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
            f"it has {found}"
        )
    if frame.empty:
        raise NotEnoughData("the table has no rows")
    columns = {name: _numbers(frame[name]) for name in REQUIRED}
    columns |= {name: _numbers(frame[name]) for name in MODEL if name in frame.columns}
    return Sample(user=_users(frame), **columns)


def _numbers(column: pd.Series) -> np.ndarray:
    if column.dtype.kind in "mM":
        raise BadInput(f"{column.name} must be a number, and its column holds times")
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = np.flatnonzero((numbers.isna() & column.notna()).to_numpy())
    if len(wrong):
        raise BadInput(
            f"{column.name} must be a number, and row {wrong[0]} (counted from 0) holds "
            f"{str(column.iloc[wrong[0]])!r}"
        )
    return numbers.to_numpy(np.float64, na_value=np.nan)


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
