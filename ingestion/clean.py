"""Cleans a log by the table of rules: drops, repairs, flags, and records each row of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ingestion.check import finding_of, problems_of
from ingestion.codes import repeated
from ingestion.log import Log, LogMeta, Problem
from ingestion.parse import log_of, parse_column
from ingestion.plausible import trimmed
from ingestion.repair import repair
from ingestion.rules import ERROR, RULES, Action
from ingestion.schema import TABLES, Type
from mdp.errors import BadLog

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
        if not self.parts:
            return pd.DataFrame(columns=list(COLUMNS))
        return pd.concat(self.parts, ignore_index=True)

    def counts(self, action: Action) -> dict[str, dict[str, int]]:
        """Rows by table and `column: rule`."""
        rows = self.rows
        rows = rows[rows["action"] == action.value]
        out: dict[str, dict[str, int]] = {}
        keys = ["table", "column", "rule"]
        for (table, column, rule), part in rows.groupby(keys, sort=False, dropna=False):
            out.setdefault(str(table), {})[f"{column}: {rule}"] = len(part)
        return out

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

    def to_mapping(self, log: Log) -> dict[str, Any]:
        """As plain values, with the rows that are left."""
        return {
            "rows_in": self.rows_in,
            "rows_out": {name: len(log.tables[name]) for name in self.rows_in},
            "dropped": self.dropped,
            "repaired": self.repaired,
            "flagged": self.flagged,
        }


def clean(tables: Mapping[str, pd.DataFrame], meta: LogMeta) -> tuple[Log, Record]:
    """A log that breaks no rule but those that are only flagged, and the record of every change.

    For every table, rows in = rows out + rows that the record says were dropped. What each rule
    does is in `ingestion.rules`; a row dropped takes those along that refer to it. Doing it again
    changes nothing. Raises `BadLog` where a table or column that is needed is not there.
    """
    given = {name: tables[name].reset_index(drop=True) for name in TABLES if name in tables}
    cleaning = _Cleaning(
        Log({}, meta),
        Record({name: len(table) for name, table in given.items()}),
        {name: np.arange(len(table)) for name, table in given.items()},
    )
    for name, table in given.items():
        again = repeated(table, TABLES[name].key)
        given[name] = table[~again].reset_index(drop=True)
        cleaning.note(name, table.columns[:1], np.flatnonzero(again), "repeated_row", Action.DROP)
        cleaning.place[name] = cleaning.place[name][~again]
    cleaning.log = cleaning.typed(cleaning.trimmed(given))
    for _ in range(ROUNDS):
        problems = problems_of(cleaning.log)
        todo = [each for each in problems if RULES[each.rule].action is not Action.FLAG]
        if not todo:
            cleaning.flag(problems)
            return cleaning.log, cleaning.record
        # A clock is set right before it is asked what came too early by it.
        skewed = [each for each in todo if each.rule == "clock_skew"]
        cleaning.mend(skewed or todo)
    raise BadLog(f"cleaning does not end; still wrong: {finding_of(cleaning.log, todo[0]).message}")


@dataclass
class _Cleaning:
    """A log on its way, and where its rows came from."""

    log: Log
    record: Record
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
        """One round over problems, the first of a row deciding what it is dropped for."""
        tables = dict(self.log.tables)
        gone = {name: np.zeros(len(table), bool) for name, table in tables.items()}
        for problem in problems:
            if not len(problem.rows):
                message = finding_of(self.log, problem).message
                raise BadLog(f"{message}: cleaning can't make it up")
            assert problem.column is not None
            rule, left = RULES[problem.rule], problem.rows
            if rule.action is Action.REPAIR:
                left = self._repair(problem, tables)
                if rule.severity != ERROR:
                    continue
            fresh = left[~gone[problem.table][left]]
            gone[problem.table][fresh] = True
            before = _texts(self.log.tables[problem.table][problem.column].iloc[fresh])
            if problem.values:
                stood = dict(zip(problem.rows.tolist(), problem.values, strict=True))
                before = [stood[row] for row in fresh.tolist()]
            self.note(problem.table, problem.column, fresh, rule.name, Action.DROP, before)
        for name in self.record.rows_in:
            self.place[name] = self.place[name][~gone[name]]
            tables[name] = tables[name][~gone[name]].reset_index(drop=True)
        self.log = Log(tables, self.log.meta)

    def _repair(self, problem: Problem, tables: dict[str, pd.DataFrame]) -> np.ndarray:
        """Mend a problem's rows in `tables`; returns the rows that could not be."""
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
        return problem.rows[~mended.done]

    def flag(self, problems: list[Problem]) -> None:
        """Record what is left as it is."""
        for problem in problems:
            assert problem.column is not None
            values = _texts(self.log.tables[problem.table][problem.column].iloc[problem.rows])
            self.note(
                problem.table, problem.column, problem.rows, problem.rule, Action.FLAG, values
            )


def _texts(values: pd.Series) -> list[str | None]:
    return [
        None if missing else str(value)
        for value, missing in zip(values, values.isna(), strict=True)
    ]
