"""Cleans a log by the table of rules: drops, repairs, flags, and records each row of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from ingestion.check import finding_of, problems_of
from ingestion.clocks import behind
from ingestion.codes import alike, repeated
from ingestion.log import Log, LogMeta, Problem
from ingestion.parse import log_of, parse_column
from ingestion.plain_text import trimmed
from ingestion.repair import repair
from ingestion.rules import ERROR, RULES, Action
from ingestion.schema import PEOPLE, SHARED, TABLES, Type
from mdp.errors import BadLog

FLAGS = tuple(name for name, rule in RULES.items() if rule.action is Action.FLAG)
CHANGES = tuple(name for name in RULES if name not in (*FLAGS, "clock_skew"))
NOTHING: Mapping[str, Any] = MappingProxyType({})
ROUNDS = 20
"""Dropping a row can orphan others, a few times over."""
COLUMNS = ("table", "row", "id", "column", "rule", "action", "before", "after")
"""Of the record: the row, from 0, in the table as it came in, and its key where it has one."""


@dataclass
class Record:
    """What cleaning did."""

    rows_in: dict[str, int]
    """rows of each table before"""
    parts: list[pd.DataFrame] = field(default_factory=list)
    """rows of the record"""

    @property
    def rows(self) -> pd.DataFrame:
        """One row for each row dropped and each value repaired or flagged, with `COLUMNS`."""
        return in_rows(self.parts)

    def counts(self, action: Action) -> dict[str, dict[str, int]]:
        """Rows by table and `column: rule`."""
        return by_table(counted(self.parts), action)

    def of(self, action: Action) -> pd.DataFrame:
        """The rows of one action."""
        rows = self.rows
        return rows[rows["action"] == action.value]

    @property
    def dropped(self) -> dict[str, dict[str, int]]:
        """Rows dropped, by table and reason; a row has one reason."""
        return self.counts(Action.DROP)

    @property
    def repaired(self) -> dict[str, dict[str, int]]:
        """Values repaired, by table and reason."""
        return self.counts(Action.REPAIR)

    @property
    def flagged(self) -> dict[str, dict[str, int]]:
        """Values left as they are that a rule warns of, by table and reason."""
        return self.counts(Action.FLAG)


def clean(tables: Mapping[str, pd.DataFrame], meta: LogMeta) -> tuple[Log, Record]:
    """A log that breaks no rule but those that are only flagged, and the record of every change.

    For every table, rows in = rows out + rows that the record says were dropped. What each rule
    does is in `ingestion.rules`; a row dropped takes those along that refer to it. Doing it again
    changes nothing. Raises `BadLog` where a table or column that is needed is not there.
    """
    shared = mended(tables, meta, SHARED)
    people = mended(tables, meta, PEOPLE, shared.log.tables)
    shared.flag(problems_of(shared.log, FLAGS, SHARED))
    people.flag(problems_of(people.log, FLAGS, PEOPLE))
    parts = [*shared.record.parts, *people.record.parts]
    return people.log, Record({name: len(tables[name]) for name in TABLES if name in tables}, parts)


def prepared(
    tables: Mapping[str, pd.DataFrame],
    meta: LogMeta,
    names: Sequence[str],
    place: Mapping[str, np.ndarray] = NOTHING,
) -> Cleaning:
    """Some tables without rows that are there twice, their ids trimmed, their columns typed."""
    given = {name: tables[name].reset_index(drop=True) for name in names if name in tables}
    cleaning = Cleaning(
        Log({}, meta),
        tuple(names),
        Record({name: len(table) for name, table in given.items()}),
        {name: place.get(name, np.arange(len(table))) for name, table in given.items()},
    )
    for name, table in given.items():
        key = TABLES[name].key
        known = key in table and table[key].dtype != object
        same = repeated(table, alike(table[key]) if known else None)
        given[name] = table[~same].reset_index(drop=True)
        cleaning.note(name, table.columns[:1], np.flatnonzero(same), "repeated_row", Action.DROP)
        cleaning.place[name] = cleaning.place[name][~same]
    cleaning.log = cleaning.typed(cleaning.trimmed(given))
    return cleaning


def mended(
    tables: Mapping[str, pd.DataFrame],
    meta: LogMeta,
    names: Sequence[str],
    known: Mapping[str, pd.DataFrame] = NOTHING,
    place: Mapping[str, np.ndarray] = NOTHING,
    duplicates: Mapping[str, np.ndarray] = NOTHING,
    clocks: Mapping[str, int] | None = None,
) -> Cleaning:
    """Some tables after all drops and repairs, given the others, `known`, which are clean.

    Of a part of a log, `place` (n,) int64 is each row's place in the whole table, `duplicates`
    (k,) int64 are the places of rows whose id another part's row has first, and `clocks` says which
    sources' clocks are behind.
    """
    cleaning = prepared(tables, meta, names, place)
    own = [problem for problem in cleaning.log.problems if problem.table in names]
    others = {name: table for name, table in known.items() if name not in names}
    problems = (*own, *cleaning.duplicates(duplicates))
    cleaning.log = Log({**cleaning.log.tables, **others}, meta, problems, clocks)
    cleaning.set_clocks()
    for _ in range(ROUNDS):
        todo = problems_of(cleaning.log, CHANGES, names)
        if not todo:
            return cleaning
        cleaning.mend(todo)
    raise BadLog(f"cleaning does not end; still wrong: {finding_of(cleaning.log, todo[0]).message}")


def counted(parts: Sequence[pd.DataFrame]) -> Counter[tuple[str, str, str, str]]:
    """Rows of a record by action, table, column and rule."""
    whole: Counter[tuple[str, str, str, str]] = Counter()
    for part in parts:
        for key, count in part[["action", "table", "column", "rule"]].value_counts().items():
            whole[key] += int(count)  # type: ignore[index]
    return whole


def by_table(
    counts: Mapping[tuple[str, str, str, str], int], action: Action
) -> dict[str, dict[str, int]]:
    """The rows of one action, by table and `column: rule`."""
    out: dict[str, dict[str, int]] = {}
    for (what, table, column, rule), count in sorted(counts.items()):
        if what == action.value:
            out.setdefault(table, {})[f"{column}: {rule}"] = count
    return out


def in_rows(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """A record's rows by table and row, and for one row as they came."""
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS))
    rows = pd.concat(parts, ignore_index=True)
    order = pd.DataFrame({"table": rows["table"].map(list(TABLES).index), "row": rows["row"]})
    return rows.loc[order.sort_values(["table", "row"], kind="stable").index].reset_index(drop=True)


@dataclass
class Cleaning:
    """A log on its way, and where its rows came from."""

    log: Log
    """as it is by now"""
    names: tuple[str, ...]
    """the tables that are cleaned"""
    record: Record
    """what was done"""
    place: dict[str, np.ndarray]
    """row of the table as it came in, of each row that is left (n,) int64"""

    def note(
        self,
        table: str,
        column: Any,
        rows: np.ndarray,
        rule: str,
        action: Action,
        before: Any = None,
        after: Any = None,
    ) -> None:
        """Record rows, by their positions (k,) now, with texts (k,) before and after."""
        if not len(rows):
            return
        key, frame = TABLES[table].key or "event_id", self.log.tables.get(table)
        ids = None if frame is None or key not in frame else _texts(frame[key].iloc[rows])
        values = {
            "table": table,
            "row": self.place[table][rows],
            "id": ids,
            "column": column if isinstance(column, str) else next(iter(column), None),
            "rule": rule,
            "action": action.value,
            "before": before,
            "after": after,
        }
        texts = [name for name in COLUMNS if name != "row"]
        self.record.parts.append(pd.DataFrame(values).astype(dict.fromkeys(texts, "str")))

    def duplicates(self, rows: Mapping[str, np.ndarray]) -> list[Problem]:
        """Rows of the table as it came in, by table, that are still there, as duplicates."""
        found = []
        for name, places in rows.items():
            here = np.flatnonzero(np.isin(self.place.get(name, places[:0]), places, kind="sort"))
            if len(here):
                found.append(Problem(name, TABLES[name].key, "duplicate", here))
        return found

    def set_clocks(self) -> None:
        """Set clocks right that are behind, before it is asked what came too early by them."""
        if "outcomes" not in self.place:
            return
        late = behind(self.log)
        if len(late):
            problem = Problem("outcomes", "at", "clock_skew", late.index.to_numpy())
            tables = dict(self.log.tables)
            self._repair(problem, tables)
            self.log = replace(self.log, tables=tables)

    def trimmed(self, tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        """Ids without white space around them, before it is asked which of them are known."""
        out = dict(tables)
        for name, frame in tables.items():
            for column in TABLES[name].columns:
                if column.type not in (Type.ID, Type.IDS) or column.name not in frame:
                    continue
                ids = parse_column(column, frame[column.name]).values
                short = trimmed(ids)
                rows = np.flatnonzero(ids.fillna("") != short.fillna(""))
                if len(rows):
                    whole = frame[column.name].astype(object)
                    whole.iloc[rows] = short.iloc[rows].tolist()
                    out[name] = out[name].assign(**{column.name: whole})
                    before, after = _texts(ids.iloc[rows]), _texts(short.iloc[rows])
                    rule, action = "blank_around", Action.REPAIR
                    self.note(name, column.name, rows, rule, action, before, after)
        return out

    def typed(self, tables: dict[str, pd.DataFrame]) -> Log:
        """The log of raw tables, with naive times read in the shop's zone, where that is known.

        An hour that daylight saving skips reads as the first instant after it; one that it repeats
        says nothing certain and is left as it is.
        """
        out, meta = dict(tables), self.log.meta
        log, mended = log_of(tables, meta), False
        for problem in log.problems:
            if problem.rule != "naive_time" or meta.default_timezone is None:
                continue
            assert problem.column is not None
            frame = out[problem.table].copy()
            texts = frame[problem.column].astype(object)
            local = pd.to_datetime(texts.iloc[problem.rows], errors="coerce", format="mixed")
            zoned = local.dt.tz_localize(
                meta.default_timezone, ambiguous="NaT", nonexistent="shift_forward"
            ).dropna()
            before = _texts(texts[zoned.index])
            texts[zoned.index] = after = [time.isoformat() for time in zoned]
            frame[problem.column] = texts
            out[problem.table], mended = frame, True
            rows = zoned.index.to_numpy()
            self.note(
                problem.table, problem.column, rows, "naive_time", Action.REPAIR, before, after
            )
        return log_of(out, meta) if mended else log

    def mend(self, problems: list[Problem]) -> None:
        """One round: drops, each for the first problem of its row, then repairs of what is left."""
        tables = dict(self.log.tables)
        gone = {name: np.zeros(len(table), bool) for name, table in tables.items()}
        repairs = []
        for problem in problems:
            if not len(problem.rows):
                message = finding_of(self.log, problem).message
                raise BadLog(f"{message}: cleaning can't make it up")
            if RULES[problem.rule].action is Action.REPAIR:
                repairs.append(problem)
            else:
                self._drop(problem, gone[problem.table])
        for problem in repairs:
            left = _only(problem, ~gone[problem.table][problem.rows])
            left = _only(left, ~self._repair(left, tables))
            if RULES[problem.rule].severity == ERROR:
                self._drop(left, gone[problem.table])
        for name in self.record.rows_in:
            self.place[name] = self.place[name][~gone[name]]
            tables[name] = tables[name][~gone[name]].reset_index(drop=True)
        self.log = Log(tables, self.log.meta)

    def _drop(self, problem: Problem, gone: np.ndarray) -> None:
        """Mark a problem's rows as gone, and record those that were not yet."""
        fresh = _only(problem, ~gone[problem.rows])
        gone[fresh.rows] = True
        column = self.log.tables[problem.table][problem.column]
        before = list(fresh.values) or _texts(column.iloc[fresh.rows])
        self.note(problem.table, str(problem.column), fresh.rows, problem.rule, Action.DROP, before)

    def _repair(self, problem: Problem, tables: dict[str, pd.DataFrame]) -> np.ndarray:
        """Mend a problem's rows (k,) in `tables`; returns which of them it could, bool (k,)."""
        mended = repair(self.log, problem)
        rows = problem.rows[mended.done]
        if len(rows):
            column = self.log.tables[problem.table][problem.column]
            before = _texts(column.iloc[rows])
            if problem.values:
                before = [v for v, done in zip(problem.values, mended.done, strict=True) if done]
            after = mended.values[mended.done]
            changed = tables[problem.table][problem.column].copy()
            changed.iloc[rows] = after.to_numpy() if after.dtype != "str" else after.tolist()
            tables[problem.table] = tables[problem.table].assign(**{str(problem.column): changed})
            self.note(
                problem.table,
                str(problem.column),
                rows,
                problem.rule,
                Action.REPAIR,
                before,
                _texts(after),
            )
        return mended.done

    def flag(self, problems: list[Problem]) -> None:
        """Record what is left as it is."""
        for problem in problems:
            assert problem.column is not None
            values = _texts(self.log.tables[problem.table][problem.column].iloc[problem.rows])
            self.note(
                problem.table, problem.column, problem.rows, problem.rule, Action.FLAG, values
            )


def _only(problem: Problem, which: np.ndarray) -> Problem:
    """Some of a problem's rows, by mask (k,) bool."""
    values = tuple(compress(problem.values, which))
    return replace(problem, rows=problem.rows[which], values=values)


def _texts(values: pd.Series) -> list[str | None]:
    return [
        None if missing else str(value)
        for value, missing in zip(values, values.isna(), strict=True)
    ]
