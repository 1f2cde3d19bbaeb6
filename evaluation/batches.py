"""Tables too large for memory: Parquet read in batches, in memory that does not grow with rows.

Sums over users are all that estimates and intervals need. Users are put together at random (by the
hash of their id) into 65,536 groups, which are resampled as users are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.assessment import Assessment, Method, conclude, with_outlook
from evaluation.collected import choose, collect
from evaluation.sample import Sample
from evaluation.specification import Estimator
from evaluation.table import MODEL, REQUIRED, sample_of
from mdp.errors import BadInput, BadSetting, NotEnoughData

LARGE = 5_000_000
"""Rows from which a Parquet file is read in batches."""
GROUPS = 1 << 16
BATCH = 1_000_000
"""Rows at a time."""
_BITS = 1 << 26
"""Bytes of the table that users are counted with: 67 MB."""
_COLUMNS = (*REQUIRED, *MODEL, "user_id")


def is_large(file: Path | str, rows: int = LARGE) -> bool:
    """Whether a file is Parquet with at least so many rows."""
    file = Path(file)
    if file.suffix.lower() != ".parquet" or not file.is_file():
        return False
    try:
        return pq.read_metadata(file).num_rows >= rows
    except (OSError, pa.ArrowException):
        return False


def assess_large(
    file: Path | str,
    name: str,
    estimators: Sequence[Estimator] = (),
    seed: int = 0,
    method: Method = "bootstrap",
    batch: int = BATCH,
) -> Assessment:
    """`assess` of a Parquet file, batch by batch; equal to it but for rounding and which users are
    put together.

    Overlap, segments, `mips` from item, variant and hour, and repeated decision ids need all rows
    at once and are left out. SLOPE chooses on the first batch. Raises as `read_table` does.
    """
    file = Path(file)
    half = pq.read_metadata(file).num_rows / 2
    total, start = None, 0
    users = _Users()
    try:
        for start, frame in _frames(file, batch):
            groups = users.groups(frame, start)
            sample = _sample(frame, groups, np.arange(start, start + len(frame)) >= half)
            if total is None:
                chosen = choose(sample, estimators)
                total = collect(sample, chosen, groups, GROUPS)
            else:
                total = total + collect(sample, chosen, groups, GROUPS)
    except BadSetting:
        raise
    except NotEnoughData as error:
        raise NotEnoughData(f"{file}: {error}") from error
    except BadInput as error:
        raise BadInput(f"{file}, rows from {start:,} on: {error}") from error
    if total is None:
        raise NotEnoughData(f"{file}: the table has no rows")
    note = (
        f"the table was read in batches of {batch:,} rows; intervals resample groups of users, put "
        "together at random"
    )
    filled = total.sums.columns[total.sums.columns[:, 0] > 0]
    total = replace(total, users=users.count, sums=replace(total.sums, columns=filled))
    found = conclude(total, name, notes=(note,), seed=seed, method=method)
    return with_outlook(found, total, seed=seed)


def _frames(file: Path, batch: int) -> Iterator[tuple[int, pd.DataFrame]]:
    """Batches of the columns that are needed, with the number of their first row."""
    # Read-ahead keeps what it has read until the file is closed: memory would grow with the rows.
    with pq.ParquetFile(file, pre_buffer=False) as table:
        columns = [name for name in _COLUMNS if name in table.schema_arrow.names]
        start = 0
        for part in table.iter_batches(batch, columns=columns):
            yield start, part.to_pandas()
            start += part.num_rows


def _sample(frame: pd.DataFrame, groups: np.ndarray, late: np.ndarray) -> Sample:
    plain = sample_of(frame.drop(columns="user_id", errors="ignore"))
    return replace(plain, user=groups, late=late)


class _Users:
    """Puts users into groups by the hash of their id, and estimates how many there are."""

    def __init__(self) -> None:
        self._seen = np.zeros(0, bool)
        self._rows = 0

    def groups(self, frame: pd.DataFrame, start: int) -> np.ndarray:
        """Each row's group (n,) int64; a row without user_id is a user of its own."""
        self._rows = start + len(frame)
        if "user_id" not in frame.columns:
            return np.arange(start, self._rows) % GROUPS
        missing = frame["user_id"].isna()
        if missing.any():
            raise BadInput(f"user_id is missing in {int(missing.sum())} rows")
        hashes = pd.util.hash_pandas_object(frame["user_id"], index=False).to_numpy(np.uint64)
        if not len(self._seen):
            self._seen = np.zeros(_BITS, bool)
        self._seen[hashes % np.uint64(_BITS)] = True
        return (hashes // np.uint64(_BITS) % np.uint64(GROUPS)).astype(np.int64)

    @property
    def count(self) -> int:
        """Linear counting (Whang et al. 1990), right to about 0.1 % up to 100 million users."""
        if not len(self._seen):
            return self._rows
        free = max(int((~self._seen).sum()), 1)
        return round(-_BITS * np.log(free / _BITS))
