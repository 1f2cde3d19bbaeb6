"""Cleans logs of any size, part by part; what comes out is the same for any number of parts.

First every part is mended by itself; then what is usual in the whole log is known, and what is left
of every part is judged by it; at last the parts are put into the order in which the rows came.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ingestion.assemble import merge_parts, merge_records, store_record, write_whole
from ingestion.by_parts import (
    Batches,
    Checked,
    Counts,
    Judged,
    Report,
    Split,
    checked,
    followed,
    judged,
    places_of,
    silent,
    split_up,
    tables_of,
)
from ingestion.check import problems_of
from ingestion.clean import FLAGS, Cleaning, Record, by_table, counted, mended, prepared
from ingestion.clocks import delays, skews
from ingestion.log import Log, LogMeta
from ingestion.parse import log_of
from ingestion.parts import Stored
from ingestion.rules import Action
from ingestion.schema import PEOPLE, SHARED
from ingestion.spread import Spread, in_turn
from ingestion.stored import ROW, frame_of, read_file, table_of, write_file
from ingestion.usual import Amounts, Usual, amounts, usual
from ingestion.write import replacing, write_meta

IN_MEMORY = 2_000_000
"""Rows of all parts together that are put in order at a time."""


@dataclass(frozen=True)
class Cleaned:
    """What cleaning did, and what is left to say of the clean log."""

    rows_in: dict[str, int]
    """rows of each table before"""
    rows_out: dict[str, int]
    """rows that are left"""
    counts: Counts
    """rows of the record"""
    checked: Checked
    """what `check` says of the clean log"""

    def to_mapping(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "dropped": by_table(self.counts, Action.DROP),
            "repaired": by_table(self.counts, Action.REPAIR),
            "flagged": by_table(self.counts, Action.FLAG),
        }


def clean_log(
    batches: Batches,
    meta: LogMeta,
    out: Path,
    parts: int = 1,
    spread: Spread = in_turn,
    report: Report = silent,
) -> Cleaned:
    """Write a clean log, as `ingestion.clean.clean` makes it, and `cleaning.parquet`.

    Memory holds one part, 8 bytes for every id of an event or decision, 10 more for every decision
    and 12 for every purchase. Parts lie beside `out` meanwhile. Raises what `clean` raises.
    """
    with (
        replacing(out) as temporary,
        tempfile.TemporaryDirectory(prefix=f"{out.name}.parts", dir=out.parent) as directory,
    ):
        split = split_up(batches, Path(directory), parts, True, report)
        shared = mended({name: frame_of(t) for name, t in split.shared.items()}, meta, SHARED)
        problems = problems_of(shared.log, FLAGS, SHARED)
        shared.flag(problems)
        tables, numbers = tables_of(shared.log, SHARED), range(parts)
        late = list(spread(_delays, (split.stored, meta), numbers))
        clocks = skews(pd.concat(late, ignore_index=True))
        mending = _Mending(split, meta, tables, clocks, max(IN_MEMORY // parts, 1))
        done = list(followed(spread(_mend, mending, numbers), parts, "cleaning", report))
        left = _Left(split.stored.directory, meta, tables, [one.schemas for one in done])
        dropped = {
            name: np.sort(np.concatenate([one.dropped[name] for one in done]))
            for name in split.stored.schemas
        }
        judging = spread(_judge, (left, dropped, usual([one.amounts for one in done])), numbers)
        found = list(followed(judging, parts, "checking", report))
        _write(temporary, split, shared, done)
        write_meta(temporary, meta)
        counts = counted(shared.record.parts)
        for counted_one in (*(one.counts for one in done), *(flags for _, flags in found)):
            counts.update(counted_one)
        every = [judged(shared.log, problems, SHARED), *(one for one, _ in found)]
        gone = {name: len(rows) for name, rows in dropped.items()}
        gone |= {name: split.rows[name] - len(shared.log.tables[name]) for name in split.shared}
        rows_out = {name: rows - gone[name] for name, rows in split.rows.items()}
        return Cleaned(split.rows, rows_out, counts, checked(every, meta, left.read(0)[0]))


def _write(out: Path, split: Split, shared: Cleaning, done: list[_Mended]) -> None:
    """The tables and the record of what was done."""
    place, parts = split.stored.directory, len(done)
    for name, table in split.shared.items():
        write_whole(out, name, shared.log.tables[name], table.schema)
    for name in split.stored.schemas:
        files = [place / f"clean-{name}.{number}" for number in range(parts)]
        filled = set().union(*(one.filled[name] for one in done))
        merge_parts(files, out, name, done[0].schemas[name], filled)
    merge_records(place, out / "cleaning.parquet", shared.record, parts)


def _delays(known: tuple[Stored, LogMeta], number: int) -> pd.DataFrame:
    """`ingestion.clocks.delays` of a part."""
    stored, meta = known
    names = ("decisions", "outcomes")
    raw = stored.read(number, names)
    return delays(prepared({name: frame_of(t) for name, t in raw.items()}, meta, names).log)


@dataclass(frozen=True)
class _Mending:
    """What it takes to mend a part."""

    split: Split
    meta: LogMeta
    shared: Mapping[str, pd.DataFrame]
    clocks: Mapping[str, int]
    chunk: int
    """rows of a piece of what is stored"""


@dataclass(frozen=True)
class _Mended:
    """What was done to a part."""

    amounts: Amounts
    counts: Counts
    dropped: dict[str, np.ndarray]
    """rows (k,) int64 of each table that went"""
    filled: dict[str, set[str]]
    """columns of each table that hold values"""
    schemas: dict[str, pa.Schema]


def _mend(known: _Mending, number: int) -> _Mended:
    """Mend a part, and store what is left of it and its record."""
    stored = known.split.stored
    raw = stored.read(number)
    frames = {name: frame_of(table) for name, table in raw.items()}
    cleaning = mended(
        frames,
        known.meta,
        PEOPLE,
        known.shared,
        places_of(raw),
        known.split.duplicates,
        known.clocks,
    )
    schemas, filled = {}, {}
    for name in raw:
        table = table_of(name, cleaning.log.tables[name], stored.schemas[name])
        table = table.append_column(ROW, pa.array(cleaning.place[name]))
        write_file(stored.directory / f"clean-{name}.{number}", table, known.chunk)
        schemas[name] = table.schema
        filled[name] = {c for c in table.column_names if table.column(c).null_count < len(table)}
    store_record(stored.directory, cleaning, 0, known.chunk, number)
    gone = cleaning.record.of(Action.DROP)
    return _Mended(
        amounts(cleaning.log),
        counted(cleaning.record.parts),
        {name: gone.loc[gone["table"] == name, "row"].to_numpy(np.int64) for name in raw},
        filled,
        schemas,
    )


@dataclass(frozen=True)
class _Left:
    """What is left of the parts."""

    directory: Path
    meta: LogMeta
    shared: Mapping[str, pd.DataFrame]
    schemas: list[dict[str, pa.Schema]]
    """of each part's tables"""

    def read(self, number: int) -> tuple[Log, dict[str, np.ndarray]]:
        """A part as a log, and the place of its rows in the tables as they came."""
        tables = {
            name: read_file(self.directory / f"clean-{name}.{number}", schema)
            for name, schema in self.schemas[number].items()
        }
        log = log_of({name: frame_of(table) for name, table in tables.items()}, self.meta)
        return Log({**log.tables, **self.shared}, self.meta), places_of(tables)


def _judge(
    known: tuple[_Left, Mapping[str, np.ndarray], Usual], number: int
) -> tuple[Judged, Counts]:
    """What is wrong in what is left of a part, flagged and left as it is."""
    left, dropped, whole = known
    log, place = left.read(number)
    problems = problems_of(log, FLAGS, PEOPLE, whole)
    cleaning = Cleaning(log, PEOPLE, Record({}), place)
    cleaning.flag(problems)
    store_record(left.directory, cleaning, 1, IN_MEMORY, number)
    # Where a row stands in the clean table: fewer were dropped before it than it has a place.
    now = {name: at - np.searchsorted(dropped[name], at) for name, at in place.items()}
    return judged(log, problems, PEOPLE, now), counted(cleaning.record.parts)
