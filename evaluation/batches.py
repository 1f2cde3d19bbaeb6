"""Tables too large for memory: Parquet read in batches, in memory that does not grow with rows.

Sums over users are all that estimates and intervals need. Users are put together at random (by the
hash of their id) into 65,536 groups, which are resampled as users are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.assessment import Assessment, conclude
from evaluation.cells import Cells, cells_of
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
    WITHOUT_USERS,
    ids,
    labels,
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
_COLUMNS = (*REQUIRED, *MODEL, "user_id", "decision_id", *FEATURES, SEGMENT, *COUNTS)


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

    What needs all rows at once is left out: decision ids that repeat in different batches, times,
    and what segments show beside their reward. SLOPE chooses on the first batch, which also names
    the segments. `mips` from item, variant and hour reads the rows twice. Raises as `read_table`
    does.
    """
    file = Path(file)
    table = pq.read_metadata(file)
    if not table.num_rows:
        raise NotEnoughData(f"{file}: the table has no rows")
    parts, plan = _parts(table, batch), _Plan(file, batch, table.num_rows / 2)
    first = next(_batches(plan, parts[0])).sample
    chosen = choose(first, estimators, how.spread)
    segments = first.segments[SEGMENT].names if first.segments else None
    plan = replace(plan, estimators=chosen, segments=segments)
    wanted = any(each.marginal for each in chosen) and first.marginal_weight is None
    if wanted and first.features:
        plan = replace(plan, cells=reduce(add, how.spread(_celled, plan, parts)))
    total, seen = None, np.zeros(_BITS, bool)
    for found, users in how.spread(_summed, plan, parts):
        total = found if total is None else total + found
        seen[users] = True
    assert total is not None
    filled = total.sums.columns[total.sums.columns[:, 0] > 0]
    users = _counted(seen) if seen.any() else table.num_rows
    total = replace(total, users=users, sums=replace(total.sums, columns=filled))
    return conclude(total, name, notes=_notes(plan), how=how)


def _notes(plan: _Plan) -> list[str]:
    said = [
        f"the table was read in batches of {plan.batch:,} rows; intervals resample groups of "
        "users, put together at random"
    ]
    columns = pq.read_schema(plan.file).names
    if "user_id" not in columns:
        said.append(WITHOUT_USERS)
    if "decided_at" in columns:
        said.append("decided_at was not read: the log's halves are those of its rows as they lie")
    return said


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
    estimators: tuple[Estimator, ...] = ()
    segments: tuple[str, ...] | None = None
    """Their names; None: those of the batch."""
    cells: Cells | None = None
    """Of all rows, for weights of their actions' features."""


@dataclass(frozen=True, eq=False)
class _Batch:
    """Some rows."""

    sample: Sample
    """Its users are groups of them."""
    users: np.ndarray
    """Places (n,) int64 in the table that users are counted with; empty without user_id."""


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


def _frames(plan: _Plan, part: _Part, needed: Sequence[str]) -> Iterator[tuple[int, pd.DataFrame]]:
    """Batches of the columns that are needed, with the number of their first row."""
    schema = pq.read_schema(plan.file)
    texts = [name for name in (*FEATURES, SEGMENT) if _is_text(schema, name)]
    columns = [name for name in needed if name in schema.names]
    start, groups = part.start, list(part.groups)
    try:
        # Read-ahead keeps what it has read until the file is closed: memory would grow with the
        # rows.
        with pq.ParquetFile(plan.file, pre_buffer=False, read_dictionary=texts) as table:
            for rows in table.iter_batches(plan.batch, row_groups=groups, columns=columns):
                yield start, rows.to_pandas()
                start += rows.num_rows
    except (OSError, ValueError, pa.ArrowException) as error:
        raise BadInput(
            f"{plan.file}: it can't be read as parquet from row {start:,} on: {error}"
        ) from error


def _is_text(schema: pa.Schema, name: str) -> bool:
    return name in schema.names and pa.types.is_string(schema.field(name).type)


def _batches(plan: _Plan, part: _Part, needed: Sequence[str] = _COLUMNS) -> Iterator[_Batch]:
    for start, frame in _frames(plan, part, needed):
        row = np.arange(start, start + len(frame))
        try:
            users, groups = np.zeros(0, np.int64), row % GROUPS
            if "user_id" in frame.columns:
                hashes = _hashes(frame)
                users = (hashes % np.uint64(_BITS)).astype(np.int64)
                groups = (hashes // np.uint64(_BITS) % np.uint64(GROUPS)).astype(np.int64)
            plain = sample_of(frame.drop(columns=["user_id", SEGMENT], errors="ignore"))
            parted = {}
            if SEGMENT in frame.columns:
                names = plan.segments or (*labels(frame[SEGMENT]).names[: SEGMENTS - 1], OTHERS)
                parted = {SEGMENT: labels(frame[SEGMENT], names)}
        except BadInput as error:
            where = f"{plan.file}, rows from {start:,} on" if start else plan.file
            raise BadInput(f"{where}: {error}") from error
        sample = replace(plain, user=groups, late=row >= plan.half, segments=parted)
        yield _Batch(sample, users)


def _celled(plan: _Plan, part: _Part) -> Cells:
    """What a part's rows hold by the features of their actions."""
    batches = _batches(plan, part, (*REQUIRED, *FEATURES))
    return reduce(add, (cells_of(each.sample) for each in batches))


def _summed(plan: _Plan, part: _Part) -> tuple[Collected, np.ndarray]:
    """The sums of a part, and its users as places in the table that they are counted with."""
    total, users = None, [np.zeros(0, np.int64)]
    for each in _batches(plan, part):
        sample = each.sample
        if plan.cells is not None:
            sample = replace(sample, marginal_weight=plan.cells.marginal(sample))
        found = collect(sample, plan.estimators, sample.user, GROUPS, measures_by_segment=False)
        total = found if total is None else total + found
        users.append(each.users)
    assert total is not None
    return total, np.unique(np.concatenate(users))


def _hashes(frame: pd.DataFrame) -> np.ndarray:
    """Of user ids (n,) uint64."""
    try:
        hashes = pd.util.hash_pandas_object(ids(frame, "user_id"), index=False)
    except TypeError as error:
        raise BadInput("user_id must be a text or a number") from error
    return hashes.to_numpy(np.uint64)


def _counted(seen: np.ndarray) -> int:
    """Users by linear counting (Whang et al. 1990), right to about 0.1 % up to 100 million."""
    free = max(int((~seen).sum()), 1)
    return round(-_BITS * np.log(free / _BITS))
