"""Checks a log: every rule that it breaks, with table, column, count and first rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from ingestion.log import NONE, Log, Problem
from ingestion.parse import may_be_missing
from ingestion.plausible import unlikely
from ingestion.rules import ERROR, RULES
from ingestion.schema import OUTCOME_KEY, SEPARATOR, TABLES, Column, Missing, Table, Type
from mdp.clock import NO_ZONE, zone_code

FIRST = 3
"""Rows and values that a finding shows."""
LONGEST = 60
"""Characters of a value that a finding shows."""


@dataclass(frozen=True)
class Finding:
    """One rule that a log breaks."""

    severity: str
    """error or warning"""
    table: str
    """the table's name"""
    column: str | None
    """the column's name; None for the whole table"""
    rule: str
    """the rule's name"""
    count: int
    """how many rows break it; 0 where a table or column is not there"""
    rows: tuple[int, ...]
    """positions of the first of them, 0 first"""
    values: tuple[str, ...]
    """what stands there"""
    message: str
    """all of this as one sentence"""

    @property
    def says(self) -> str:
        """What breaking the rule means."""
        return RULES[self.rule].says

    def to_mapping(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


_HOURS = frozenset(written for hour in range(24) for written in (f"{hour}", f"{hour:02}"))


def findings(log: Log) -> list[Finding]:
    """All that is wrong in a log, errors first, in the order of tables and columns."""
    return findings_of(log, problems_of(log))


def findings_of(log: Log, problems: Sequence[Problem]) -> list[Finding]:
    """Problems in words, errors first, in their order."""
    found = [finding_of(log, problem) for problem in problems]
    return sorted(found, key=lambda finding: finding.severity != ERROR)


def problems_of(log: Log) -> list[Problem]:
    """Every rule that a log breaks, with all rows that break it."""
    return [*log.problems, *_problems(log)]


def finding_of(log: Log, problem: Problem) -> Finding:
    """A broken rule in words, with the first rows that break it."""
    rows = tuple(int(row) for row in problem.rows[:FIRST])
    values = problem.values[:FIRST]
    if not values and rows and problem.column is not None:
        stand = log.tables[problem.table][problem.column].iloc[list(rows)]
        values = tuple("" if pd.isna(value) else str(value) for value in stand)
    values = tuple(value if len(value) <= LONGEST else f"{value[:LONGEST]}…" for value in values)
    where = problem.table if problem.column is None else f"{problem.table}.{problem.column}"
    message = f"{where}: {RULES[problem.rule].says}"
    if len(problem.rows):
        some = ", ".join(f"{value!r}" for value in values)
        numbers = ", ".join(str(row) for row in rows)
        count = len(problem.rows)
        message += f" in {count} row{'s' if count > 1 else ''}, first {numbers} ({some})"
    return Finding(
        RULES[problem.rule].severity,
        problem.table,
        problem.column,
        problem.rule,
        len(problem.rows),
        rows,
        values,
        message,
    )


def _problems(log: Log) -> Iterator[Problem]:
    for table in TABLES.values():
        if log.tables[table.name].empty:
            continue
        for column in table.columns:
            for rule, mask in _column_rules(log, table, column):
                rows = np.flatnonzero(np.asarray(mask, bool))
                if len(rows):
                    yield Problem(table.name, column.name, rule, rows)
    for name, column_name, rule, mask in (*_row_rules(log), *unlikely(log)):
        rows = np.flatnonzero(np.asarray(mask, bool))
        if len(rows):
            yield Problem(name, column_name, rule, rows)


def _column_rules(log: Log, table: Table, column: Column) -> Iterator[tuple[str, Any]]:
    values = log.tables[table.name][column.name]
    broken = np.zeros(len(values), bool)
    for problem in log.problems:
        if (problem.table, problem.column) == (table.name, column.name):
            broken[problem.rows] = True
    absent = any(
        problem.table == table.name and problem.column in (None, column.name)
        for problem in log.problems
        if not len(problem.rows)
    )
    there = values.notna().to_numpy()
    missing = may_be_missing(table.name, column, log.meta)
    if not absent and missing is not Missing.FINE:
        yield _missing_rule(table, column, missing), ~there & ~broken
    if table.key == column.name:
        yield "duplicate", values.duplicated().to_numpy() & there
    if column.type is Type.ID and column.refers_to is None:
        yield "separator", values.fillna("").str.contains(SEPARATOR, regex=False)
    if column.type is Type.ZONE:
        bad = {name for name in values.dropna().unique() if zone_code(name) == NO_ZONE}
        yield "zone", values.isin(bad)
    if column.allowed:
        pattern = "|".join(f"{word}.+" if word.endswith(":") else word for word in column.allowed)
        yield "not_allowed", there & ~values.fillna("").str.fullmatch(pattern).to_numpy(bool)
    if column.type is Type.HOURS:
        bad_hours = {text for text in values.dropna().unique() if not _are_hours(text)}
        yield "bad_hour", values.isin(bad_hours)
    if column.type in (Type.NUMBER, Type.INTEGER) and column.name != "propensity":
        yield "out_of_range", there & ~_in_range(values, column)
    if column.refers_to is not None:
        key = TABLES[column.refers_to].key
        rule = "unknown_listed" if column.type is Type.IDS else "unknown"
        yield rule, there & ~_refers(values, log.tables[column.refers_to][key], column.type)


def _missing_rule(table: Table, column: Column, missing: Missing) -> str:
    if missing is Missing.WARNING:
        return "no_words"
    if column.type is Type.ZONE:
        return "no_zone"
    return (
        "no_signup" if (table.name, column.name) == ("users", "signed_up_at") else "missing_value"
    )


def _in_range(values: pd.Series, column: Column) -> np.ndarray:
    """Whether each number (n,) is finite and within the column's limits, bool (n,)."""
    low = -np.inf if column.minimum is None else column.minimum
    high = np.inf if column.maximum is None else column.maximum
    numbers = values.astype("Float64").to_numpy(np.float64, na_value=np.nan)
    return np.isfinite(numbers) & (numbers >= low) & (numbers <= high)


def _are_hours(text: str) -> bool:
    return all(part in _HOURS for part in text.split(SEPARATOR))


def _refers(values: pd.Series, known: pd.Series, kind: Type) -> np.ndarray:
    """Whether every id in each value (n,) is known, bool (n,)."""
    names = set(known.dropna())
    if kind is Type.IDS:
        texts = values.dropna().unique()
        bad = {text for text in texts if not names.issuperset(text.split(SEPARATOR))}
        return ~values.isin(bad).to_numpy()
    return values.isin(names).to_numpy()


def _row_rules(log: Log) -> Iterator[tuple[str, str, str, Any]]:
    """Rules that look at several columns: table, column, rule, mask."""
    table, outcomes, events = (log.tables[name] for name in ("decisions", "outcomes", "events"))
    yield "events", "value", "no_amount", events["event"].eq("purchase") & events["value"].isna()
    yield (
        "outcomes",
        "outcome",
        "repeated",
        outcomes.duplicated(OUTCOME_KEY) & outcomes["at"].notna(),
    )
    sent = table["send_at"].notna()
    parts = table[["item_id", "variant_id"]].notna()
    yield "decisions", "send_at", "incomplete_send", parts.ne(sent, axis=0).any(axis=1)
    yield "decisions", "send_at", "too_early", sent & (table["send_at"] < table["decided_at"])
    drawn = table["arm"].fillna("policy").str.match(r"policy$|challenger:")
    if log.meta.propensities != NONE:
        good = table["propensity"].gt(0) & table["propensity"].le(1)
        reported = np.zeros(len(table), bool)
        for problem in log.problems:
            if problem.table == "decisions" and problem.column in (None, "propensity"):
                reported[problem.rows if len(problem.rows) else slice(None)] = True
        yield "decisions", "propensity", "propensity", drawn & ~good & ~reported
    for column, lists in (("item_id", "candidates"), ("variant_id", "variants")):
        offered = [
            one in many.split(SEPARATOR)
            for one, many in zip(
                table[column].fillna(""), table[lists].fillna("").astype(str), strict=True
            )
        ]
        known = sent & table[column].notna() & table[lists].notna()
        yield "decisions", column, "not_offered", known.to_numpy() & ~np.array(offered, bool)
    decided = table.drop_duplicates("decision_id").set_index("decision_id")
    mine = outcomes["decision_id"].isin(decided.index)
    of = decided.reindex(outcomes["decision_id"])
    early = outcomes["at"].to_numpy() < of["decided_at"].to_numpy()
    yield "outcomes", "at", "too_early", mine & early
    before = outcomes["at"].to_numpy() < of["send_at"].to_numpy()
    response = outcomes["outcome"].isin(["opened", "clicked", "dismissed", "unsubscribed"])
    unmoved = ~outcomes["decision_id"].isin(
        outcomes["decision_id"][outcomes["outcome"].eq("moved")]
    )
    yield "outcomes", "at", "before_send", mine & before & ~early & response & unmoved
    yield "outcomes", "decision_id", "outcome_of_hold", mine & of["send_at"].isna().to_numpy()
