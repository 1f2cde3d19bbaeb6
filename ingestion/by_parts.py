"""Logs of any size, part by part: what is wrong in one is the same for any number of parts.

First every part is read by itself; then what is usual in the whole log is known, and every part is
judged by it. `ingestion.clean_by_parts` mends them in between.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ingestion.check import Finding, finding_of, problems_of, together
from ingestion.log import Log, LogMeta, Problem
from ingestion.parse import log_of
from ingestion.parts import KEYS, Parts, Stored
from ingestion.quality import Figures, Quality, added, figures_of, quality_of
from ingestion.schema import PEOPLE, SHARED, TABLES
from ingestion.scores import Breaches, Score, all_breaches, breaches_of, scores_of
from ingestion.spread import Spread, in_turn
from ingestion.stored import ROW, frame_of
from ingestion.usual import Amounts, Usual, amounts, usual

Batches = Iterable[tuple[str, pa.Table]]
"""Raw tables by name, some rows at a time, all of one table before the next one's."""
Report = Callable[[str, int, int], None]
"""Is told what is done now, how much of it is done, and of how much (0: not known)."""
Counts = Counter[tuple[str, str, str, str]]
"""Rows of a cleaning's record by action, table, column and rule."""


def silent(what: str, done: int, of: int) -> None:
    """A `Report` that goes nowhere."""


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


def check_log(
    batches: Batches,
    meta: LogMeta,
    parts: int = 1,
    spread: Spread = in_turn,
    report: Report = silent,
) -> Checked:
    """Everything that `check` says of a log."""
    with tempfile.TemporaryDirectory(prefix="pushwise-") as directory:
        split = split_up(batches, Path(directory), parts, False, report)
        shared = log_of({name: frame_of(table) for name, table in split.shared.items()}, meta)
        raw = Raw(split.stored, meta, tables_of(shared, SHARED), split.duplicates)
        numbers = range(parts)
        found = list(followed(spread(_amounts, raw, numbers), parts, "reading", report))
        judging = spread(_judge, (raw, usual(found)), numbers)
        every = [judged(shared, problems_of(shared, tables=SHARED), SHARED)]
        every += followed(judging, parts, "checking", report)
        return checked(every, meta, raw.read(0)[0])


@dataclass(frozen=True)
class Split:
    """A log that is split up."""

    stored: Stored
    """its parts"""
    shared: dict[str, pa.Table]
    """its tables that are not taken apart, raw"""
    duplicates: dict[str, np.ndarray]
    """by table the rows (k,) int64 whose id a row before them has, in whatever part"""
    rows: dict[str, int]
    """rows of each table, in the order of `TABLES`"""


def split_up(batches: Batches, directory: Path, parts: int, trims: bool, report: Report) -> Split:
    """Split a log up into a directory; `trims` says whether white space around ids will go."""
    split, shared = Parts(directory, parts, trims), dict[str, list[pa.Table]]()
    rows = Counter[str]()
    for name, table in batches:
        rows[name] += len(table)
        if name in SHARED:
            shared.setdefault(name, []).append(table)
        else:
            split.append(name, table)
        report("reading", sum(rows.values()), 0)
    return Split(
        split.stored(),
        {name: pa.concat_tables(tables) for name, tables in shared.items()},
        {name: split.duplicates(name) for name in KEYS},
        {name: rows[name] for name in TABLES if name in rows},
    )


def followed(results: Iterator[Any], of: int, what: str, report: Report) -> Iterator[Any]:
    """The results, each reported as it comes."""
    report(what, 0, of)
    for number, result in enumerate(results, 1):
        report(what, number, of)
        yield result


def tables_of(log: Log, names: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Some of a log's tables."""
    return {name: log.tables[name] for name in names}


def places_of(tables: Mapping[str, pa.Table]) -> dict[str, np.ndarray]:
    """The rows (n,) int64 of the whole tables that a part's tables hold."""
    return {name: table.column(ROW).to_numpy() for name, table in tables.items()}


@dataclass(frozen=True)
class Raw:
    """Parts as they came, and what is known of the whole log."""

    stored: Stored
    meta: LogMeta
    shared: Mapping[str, pd.DataFrame]
    duplicates: Mapping[str, np.ndarray]

    def read(self, number: int) -> tuple[Log, dict[str, np.ndarray]]:
        """A part as a log, and the place of its rows in the whole tables."""
        tables = self.stored.read(number)
        place = places_of(tables)
        log = log_of({name: frame_of(table) for name, table in tables.items()}, self.meta)
        own = [problem for problem in log.problems if problem.table in PEOPLE]
        for name, rows in self.duplicates.items():
            here = np.flatnonzero(np.isin(place.get(name, rows[:0]), rows, kind="sort"))
            if len(here):
                own.append(Problem(name, KEYS[name], "duplicate", here))
        return Log({**log.tables, **self.shared}, self.meta, tuple(own)), place


def _amounts(raw: Raw, number: int) -> Amounts:
    return amounts(raw.read(number)[0])


def _judge(known: tuple[Raw, Usual], number: int) -> Judged:
    raw, whole = known
    log, place = raw.read(number)
    return judged(log, problems_of(log, tables=PEOPLE, whole=whole), PEOPLE, place)


@dataclass(frozen=True)
class Judged:
    """What is wrong in a part."""

    findings: list[Finding]
    figures: Figures
    breaches: Breaches


def judged(
    log: Log,
    problems: list[Problem],
    tables: tuple[str, ...],
    place: Mapping[str, np.ndarray] | None = None,
) -> Judged:
    """Problems of some of a part's tables in words and figures; `place` (n,) int64 are its rows
    in the whole tables, where those are others."""
    where = place or {}
    return Judged(
        [finding_of(log, problem, where.get(problem.table)) for problem in problems],
        figures_of(log, tables),
        breaches_of(log, problems, tables),
    )


def checked(every: list[Judged], meta: LogMeta, sample: Log) -> Checked:
    """What is wrong in the log of all parts."""
    figures = added([one.figures for one in every])
    findings = together(finding for one in every for finding in one.findings)
    scored = scores_of(all_breaches([one.breaches for one in every]), figures.rows)
    return Checked(findings, quality_of(figures, meta, findings), scored, sample)
