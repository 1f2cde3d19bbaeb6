"""Cleans and checks logs of any size, part by part; what comes out is the same for any number.

First every part is mended, or read, by itself; then what is usual in the whole log is known, and
every part is judged by it; at last the parts are put into the order in which the rows came.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ingestion.assemble import merge_parts, merge_records, store_record, write_whole
from ingestion.check import Finding, finding_of, problems_of, together
from ingestion.clean import (
    FLAGS,
    NOTHING,
    PEOPLE,
    SHARED,
    Cleaning,
    Record,
    by_table,
    counted,
    mended,
    prepared,
)
from ingestion.clocks import delays, skews
from ingestion.log import Log, LogMeta, Problem
from ingestion.parse import log_of
from ingestion.parts import (
    KEYS,
    ROW,
    Parts,
    Stored,
    frame_of,
    read_file,
    table_of,
    write_file,
)
from ingestion.quality import Figures, Quality, added, figures_of, quality_of
from ingestion.rules import Action
from ingestion.schema import TABLES
from ingestion.scores import Breaches, Score, all_breaches, breaches_of, scores_of
from ingestion.usual import Amounts, Usual, amounts, usual
from ingestion.write import replacing, write_meta

IN_MEMORY = 2_000_000
"""Rows of all parts together that are put in order at a time."""

Batches = Iterable[tuple[str, pa.Table]]
"""Raw tables by name, some rows at a time, all of one table before the next one's."""
Work = Callable[[int], Any]
"""What is done with the part of a number."""
Run = Callable[[Work, int], Iterator[Any]]
"""Does work with all parts, and gives the results in their order."""
Report = Callable[[str, int, int], None]
"""Is told what is done now, how much of it is done, and of how much (0: not known)."""


def in_turn(work: Work, count: int) -> Iterator[Any]:
    """Here, one part after the other."""
    return map(work, range(count))


def _silent(what: str, done: int, of: int) -> None:
    pass


@dataclass(frozen=True)
class Checked:
    """What is wrong in a log, and what it is good for."""

    findings: list[Finding]
    """all that is wrong"""
    quality: Quality
    """the log in figures"""
    scores: list[Score]
    """by table and column"""
    sample: Log
    """one part of the log: its first of all users, by chance"""


@dataclass(frozen=True)
class Cleaned:
    """What cleaning did, and what is left to say of the clean log."""

    rows_in: dict[str, int]
    """rows of each table before"""
    rows_out: dict[str, int]
    """rows that are left"""
    counts: Mapping[tuple[str, str, str, str], int]
    """rows of the record by action, table, column and rule"""
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


def check_log(
    batches: Batches, meta: LogMeta, parts: int = 1, run: Run = in_turn, report: Report = _silent
) -> Checked:
    """Everything that `check` says of a log."""
    with tempfile.TemporaryDirectory(prefix="pushwise-") as directory:
        stored, raw, duplicates, _ = _split(batches, Path(directory), parts, False, report)
        shared = log_of({name: frame_of(table) for name, table in raw.items()}, meta)
        each = partial(_read, stored, meta, _of(shared, SHARED), duplicates)
        found = list(_followed(run(partial(_amounts, each), parts), parts, "reading", report))
        whole = usual(found)
        judged = run(partial(_judge_raw, each, whole), parts)
        every = [_judged(shared, _within(shared, SHARED), SHARED)]
        every += _followed(judged, parts, "checking", report)
        return _checked(every, meta, each(0)[0])


@dataclass(frozen=True)
class _Judged:
    """What is wrong in a part."""

    findings: list[Finding]
    figures: Figures
    breaches: Breaches
    flags: Counter[tuple[str, str, str, str]]


@dataclass(frozen=True)
class _Mended:
    """What was done to a part."""

    amounts: Amounts
    counts: Counter[tuple[str, str, str, str]]
    dropped: dict[str, np.ndarray]
    """rows (k,) int64 of each table that went"""
    filled: dict[str, set[str]]
    """columns of each table that hold values"""
    schemas: dict[str, pa.Schema]


def _split(
    batches: Batches, directory: Path, parts: int, trims: bool, report: Report
) -> tuple[Stored, dict[str, pa.Table], dict[str, np.ndarray], dict[str, int]]:
    """The parts, the shared tables, rows with ids of earlier ones, rows of each table."""
    split, shared, rows = (
        Parts(directory, parts, trims),
        dict[str, list[pa.Table]](),
        Counter[str](),
    )
    for name, table in batches:
        rows[name] += len(table)
        if name in SHARED:
            shared.setdefault(name, []).append(table)
        else:
            split.append(name, table)
        report("reading", sum(rows.values()), 0)
    duplicates = {name: split.duplicates(name) for name in KEYS}
    raw = {name: pa.concat_tables(tables) for name, tables in shared.items()}
    order = {name: rows[name] for name in TABLES if name in rows}
    return split.stored(), raw, duplicates, order


def _followed(results: Iterator[Any], of: int, what: str, report: Report) -> Iterator[Any]:
    report(what, 0, of)
    for number, result in enumerate(results, 1):
        report(what, number, of)
        yield result


def _of(log: Log, names: Iterable[str]) -> dict[str, pd.DataFrame]:
    return {name: log.tables[name] for name in names}


def _within(log: Log, names: Iterable[str]) -> list[Problem]:
    return problems_of(log, tables=tuple(names))


def _places(tables: Mapping[str, pa.Table]) -> dict[str, np.ndarray]:
    return {name: table.column(ROW).to_numpy() for name, table in tables.items()}


def _read(
    stored: Stored,
    meta: LogMeta,
    shared: Mapping[str, pd.DataFrame],
    duplicates: Mapping[str, np.ndarray],
    number: int,
) -> tuple[Log, dict[str, np.ndarray]]:
    """A part as a log, as it is, and the place of its rows in the whole tables."""
    tables = stored.read(number)
    place = _places(tables)
    log = log_of({name: frame_of(table) for name, table in tables.items()}, meta)
    own = [problem for problem in log.problems if problem.table in PEOPLE]
    for name, rows in duplicates.items():
        here = np.flatnonzero(np.isin(place.get(name, rows[:0]), rows, kind="sort"))
        if len(here):
            own.append(Problem(name, KEYS[name], "duplicate", here))
    return Log({**log.tables, **shared}, meta, tuple(own)), place


def _amounts(read: Callable[[int], tuple[Log, Any]], number: int) -> Amounts:
    return amounts(read(number)[0])


def _judge_raw(
    read: Callable[[int], tuple[Log, dict[str, np.ndarray]]], whole: Usual, number: int
) -> _Judged:
    log, place = read(number)
    return _judged(log, problems_of(log, tables=PEOPLE, whole=whole), PEOPLE, place)


def _judged(
    log: Log,
    problems: list[Problem],
    tables: tuple[str, ...],
    place: Mapping[str, np.ndarray] = NOTHING,
    flags: Counter[tuple[str, str, str, str]] | None = None,
) -> _Judged:
    return _Judged(
        [finding_of(log, problem, place.get(problem.table)) for problem in problems],
        figures_of(log, tables),
        breaches_of(log, problems, tables),
        Counter() if flags is None else flags,
    )


def _checked(every: list[_Judged], meta: LogMeta, sample: Log) -> Checked:
    figures = added([one.figures for one in every])
    findings = together(finding for one in every for finding in one.findings)
    scored = scores_of(all_breaches([one.breaches for one in every]), figures.rows)
    return Checked(findings, quality_of(figures, meta, findings), scored, sample)


def clean_log(
    batches: Batches,
    meta: LogMeta,
    out: Path,
    parts: int = 1,
    run: Run = in_turn,
    report: Report = _silent,
) -> Cleaned:
    """Write a clean log, as `ingestion.clean.clean` makes it, and `cleaning.parquet`.

    Memory holds one part, 8 bytes for every id of an event or decision, 10 more for every decision
    and 12 for every purchase. Parts lie beside `out` meanwhile. Raises what `clean` raises.
    """
    with (
        replacing(out) as temporary,
        tempfile.TemporaryDirectory(prefix=f"{out.name}.parts", dir=out.parent) as directory,
    ):
        place = Path(directory)
        stored, raw, duplicates, rows_in = _split(batches, place, parts, True, report)
        shared = mended({name: frame_of(table) for name, table in raw.items()}, meta, SHARED)
        problems = problems_of(shared.log, FLAGS, SHARED)
        shared.flag(problems)
        every = [_judged(shared.log, problems, SHARED, flags=counted(shared.record.parts))]
        tables = _of(shared.log, SHARED)
        late = list(run(partial(_delays, stored, meta), parts))
        clocks = skews(pd.concat(late, ignore_index=True))
        chunk = max(IN_MEMORY // parts, 1)
        mend = partial(_mend, stored, meta, tables, duplicates, clocks, chunk)
        done = list(_followed(run(mend, parts), parts, "cleaning", report))
        dropped = {
            name: np.sort(np.concatenate([one.dropped[name] for one in done]))
            for name in stored.schemas
        }
        schemas = [one.schemas for one in done]
        judge = partial(_judge_clean, place, meta, tables, schemas, dropped, _whole(done))
        every += _followed(run(judge, parts), parts, "checking", report)
        rows_out = {name: len(shared.log.tables[name]) for name in raw}
        for name, table in raw.items():
            write_whole(temporary, name, shared.log.tables[name], table.schema)
        for name in stored.schemas:
            rows_out[name] = rows_in[name] - len(dropped[name])
            files = [place / f"clean-{name}.{number}" for number in range(parts)]
            filled = set().union(*(one.filled[name] for one in done))
            merge_parts(files, temporary, name, done[0].schemas[name], filled)
        merge_records(place, temporary / "cleaning.parquet", shared.record, parts)
        write_meta(temporary, meta)
        counts: Counter[tuple[str, str, str, str]] = Counter()
        for one in [*(each.counts for each in done), *(each.flags for each in every)]:
            counts.update(one)
        sample = _clean_part(place, meta, tables, schemas, 0)[0]
        order = {name: rows_out[name] for name in rows_in}
        return Cleaned(rows_in, order, counts, _checked(every, meta, sample))


def _whole(done: list[_Mended]) -> Usual:
    return usual([one.amounts for one in done])


def _delays(stored: Stored, meta: LogMeta, number: int) -> pd.DataFrame:
    """`ingestion.clocks.delays` of a part."""
    names = ("decisions", "outcomes")
    raw = stored.read(number, names)
    return delays(prepared({name: frame_of(t) for name, t in raw.items()}, meta, names).log)


def _mend(
    stored: Stored,
    meta: LogMeta,
    shared: Mapping[str, pd.DataFrame],
    duplicates: Mapping[str, np.ndarray],
    clocks: Mapping[str, int],
    chunk: int,
    number: int,
) -> _Mended:
    """Mend a part, and store what is left of it and its record."""
    raw = stored.read(number)
    frames = {name: frame_of(table) for name, table in raw.items()}
    cleaning = mended(frames, meta, PEOPLE, shared, _places(raw), duplicates, clocks)
    schemas, filled = {}, {}
    for name in raw:
        frame = cleaning.log.tables[name]
        table = table_of(name, frame, stored.schemas[name])
        table = table.append_column(ROW, pa.array(cleaning.place[name]))
        write_file(stored.directory / f"clean-{name}.{number}", table, chunk)
        schemas[name] = table.schema
        filled[name] = {c for c in table.column_names if table.column(c).null_count < len(table)}
    store_record(stored.directory, cleaning, 0, chunk, number)
    gone = cleaning.record.of(Action.DROP)
    return _Mended(
        amounts(cleaning.log),
        counted(cleaning.record.parts),
        {name: gone.loc[gone["table"] == name, "row"].to_numpy(np.int64) for name in raw},
        filled,
        schemas,
    )


def _clean_part(
    directory: Path,
    meta: LogMeta,
    shared: Mapping[str, pd.DataFrame],
    schemas: list[dict[str, pa.Schema]],
    number: int,
) -> tuple[Log, dict[str, np.ndarray]]:
    tables = {
        name: read_file(directory / f"clean-{name}.{number}", schema)
        for name, schema in schemas[number].items()
    }
    log = log_of({name: frame_of(table) for name, table in tables.items()}, meta)
    return Log({**log.tables, **shared}, meta), _places(tables)


def _judge_clean(
    directory: Path,
    meta: LogMeta,
    shared: Mapping[str, pd.DataFrame],
    schemas: list[dict[str, pa.Schema]],
    dropped: Mapping[str, np.ndarray],
    whole: Usual,
    number: int,
) -> _Judged:
    """Flag what is left of a part as it is."""
    log, place = _clean_part(directory, meta, shared, schemas, number)
    problems = problems_of(log, FLAGS, PEOPLE, whole)
    cleaning = Cleaning(log, PEOPLE, Record({}), place)
    cleaning.flag(problems)
    store_record(directory, cleaning, 1, IN_MEMORY, number)
    # Where a row stands in the clean table: fewer were dropped before it than it has a place.
    now = {name: at - np.searchsorted(dropped[name], at) for name, at in place.items()}
    return _judged(log, problems, PEOPLE, now, counted(cleaning.record.parts))
