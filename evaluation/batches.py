"""Tables too large for memory: Parquet read in batches, in memory that does not grow with rows.

Sums over users are all that estimates and intervals need. Users are put together at random (by the
hash of their id) into 65,536 groups, which are resampled as users are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.assessment import Assessment, conclude
from evaluation.collected import Collected, choose, collect
from evaluation.intervals import PLAIN, Intervals
from evaluation.measures import COUNTS
from evaluation.sample import Sample
from evaluation.specification import Estimator
from evaluation.table import (
    FEATURES,
    MODEL,
    OTHERS,
    REQUIRED,
    SEGMENT,
    SEGMENTS,
    labels,
    naming,
    sample_of,
)
from mdp.errors import BadInput, NotEnoughData

LARGE = 5_000_000
"""Rows from which a Parquet file is read in batches."""
GROUPS = 1 << 16
BATCH = 1_000_000
"""Rows at a time."""
_BITS = 1 << 26
"""Bytes of the table that users are counted with: 67 MB."""
_COLUMNS = (*REQUIRED, *MODEL, "user_id", *FEATURES, SEGMENT, *COUNTS)


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
    how: Intervals = PLAIN,
    batch: int = BATCH,
) -> Assessment:
    """`assess` of a Parquet file, batch by batch; equal to it but for rounding and which users are
    put together.

    What needs all rows at once is left out: `mips` from item, variant and hour, repeated decision
    ids, times, and what segments show beside their reward. SLOPE chooses on the first batch, which
    also names the segments. Raises as `read_table` does.
    """
    file = Path(file)
    table = pq.read_metadata(file)
    if not table.num_rows:
        raise NotEnoughData(f"{file}: the table has no rows")
    parts = _parts(table, batch)
    _, frame = next(_frames(file, batch, parts[0]))
    with naming(file):
        first = _sample(frame, np.zeros(len(frame), np.int64), np.ones(len(frame), bool), None)
    chosen = choose(first, estimators, how.spread)
    segments = first.segments[SEGMENT].names if first.segments else None
    plan = _Plan(file, batch, table.num_rows / 2, chosen, segments)
    total, seen = None, np.zeros(_BITS if "user_id" in frame.columns else 0, bool)
    for found, users in how.spread(_summed, plan, parts):
        total = found if total is None else total + found
        seen[users] = True
    assert total is not None
    note = (
        f"the table was read in batches of {batch:,} rows; intervals resample groups of users, put "
        "together at random"
    )
    filled = total.sums.columns[total.sums.columns[:, 0] > 0]
    users = _counted(seen) if len(seen) else table.num_rows
    total = replace(total, users=users, sums=replace(total.sums, columns=filled))
    return conclude(total, name, notes=(note,), how=how)


@dataclass(frozen=True)
class _Part:
    """Row groups of a file that are summed up in one place."""

    start: int
    """its first row"""
    groups: tuple[int, ...]


@dataclass(frozen=True)
class _Plan:
    """What is to be summed up of every part."""

    file: Path
    batch: int
    half: float
    """Rows from this one on are of the log's second half."""
    estimators: tuple[Estimator, ...]
    segments: tuple[str, ...] | None


def _parts(table: pq.FileMetaData, batch: int) -> list[_Part]:
    """A file's row groups, put together to a batch's rows at least."""
    parts, start, held = [], 0, 0
    groups: list[int] = []
    for group in range(table.num_row_groups):
        groups.append(group)
        held += table.row_group(group).num_rows
        if held >= batch or group + 1 == table.num_row_groups:
            parts.append(_Part(start, tuple(groups)))
            start, held, groups = start + held, 0, []
    return parts


def _frames(file: Path, batch: int, part: _Part) -> Iterator[tuple[int, pd.DataFrame]]:
    """Batches of the columns that are needed, with the number of their first row."""
    schema = pq.read_schema(file)
    texts = [name for name in (*FEATURES, SEGMENT) if _is_text(schema, name)]
    # Read-ahead keeps what it has read until the file is closed: memory would grow with the rows.
    with pq.ParquetFile(file, pre_buffer=False, read_dictionary=texts) as table:
        columns = [name for name in _COLUMNS if name in schema.names]
        start = part.start
        for rows in table.iter_batches(batch, row_groups=list(part.groups), columns=columns):
            yield start, rows.to_pandas()
            start += rows.num_rows


def _is_text(schema: pa.Schema, name: str) -> bool:
    return name in schema.names and pa.types.is_string(schema.field(name).type)


def _summed(plan: _Plan, part: _Part) -> tuple[Collected, np.ndarray]:
    """The sums of a part, and its users as places in the table that they are counted with."""
    total, users = None, []
    for start, frame in _frames(plan.file, plan.batch, part):
        try:
            late = np.arange(start, start + len(frame)) >= plan.half
            hashes = _hashes(frame)
            if hashes is None:
                groups = np.arange(start, start + len(frame)) % GROUPS
            else:
                users.append((hashes % np.uint64(_BITS)).astype(np.int64))
                groups = (hashes // np.uint64(_BITS) % np.uint64(GROUPS)).astype(np.int64)
            sample = _sample(frame, groups, late, plan.segments)
        except BadInput as error:
            raise BadInput(f"{plan.file}, rows from {start:,} on: {error}") from error
        found = collect(sample, plan.estimators, groups, GROUPS, measures_by_segment=False)
        total = found if total is None else total + found
    assert total is not None
    return total, np.unique(np.concatenate(users or [np.zeros(0, np.int64)]))


def _sample(
    frame: pd.DataFrame, groups: np.ndarray, late: np.ndarray, segments: tuple[str, ...] | None
) -> Sample:
    """A batch's sample; segments: their names, None to take those of this batch."""
    plain = sample_of(frame.drop(columns=["user_id", SEGMENT], errors="ignore"))
    parted = {}
    if SEGMENT in frame.columns:
        if segments is None:
            found = labels(frame[SEGMENT]).names
            segments = (*found[: SEGMENTS - 1], OTHERS)
        parted = {SEGMENT: labels(frame[SEGMENT], segments)}
    return replace(plain, user=groups, late=late, segments=parted)


def _hashes(frame: pd.DataFrame) -> np.ndarray | None:
    """Of user ids (n,) uint64; None without them, so that a row is a user of its own."""
    if "user_id" not in frame.columns:
        return None
    missing = frame["user_id"].isna()
    if missing.any():
        raise BadInput(f"user_id is missing in {int(missing.sum())} rows")
    return pd.util.hash_pandas_object(frame["user_id"], index=False).to_numpy(np.uint64)


def _counted(seen: np.ndarray) -> int:
    """Users by linear counting (Whang et al. 1990), right to about 0.1 % up to 100 million."""
    free = max(int((~seen).sum()), 1)
    return round(-_BITS * np.log(free / _BITS))
