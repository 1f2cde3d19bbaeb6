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
    try:
        if file.suffix == ".parquet":
            return pd.read_parquet(file)
        return pd.read_csv(file, dtype={"user_id": str})
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (ValueError, pa.ArrowException) as error:
        raise BadInput(f"it can't be read as {file.suffix[1:] or 'csv'}: {error}") from error


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
    if frame["user_id"].isna().any():
        raise BadInput(
            f"user_id is missing in {int(frame['user_id'].isna().sum())} of {len(frame)} rows: "
            "fill it in, or leave the column out"
        )
    return pd.factorize(frame["user_id"])[0].astype(np.int64)
