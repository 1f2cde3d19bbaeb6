"""Checks a log: every rule that it breaks, with table, column, count and first rows."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.codes import again, listed
from ingestion.log import NONE, Log, Problem, epoch_us
from ingestion.parse import may_be_missing
from ingestion.plausible import FINDERS, Finder, Found
from ingestion.rules import ERROR, RULES
from ingestion.schema import OUTCOME_KEY, SEPARATOR, TABLES, Column, Missing, Table, Type
from ingestion.usual import Usual, amounts, unusual, usual
from ingestion.written import WRITTEN
from mdp.clock import NEVER, NO_ZONE, zone_code

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


def errors_of(
    log: Log,
    tables: Collection[str] = TABLES.keys(),
    place: Mapping[str, np.ndarray] | None = None,
) -> list[Finding]:
    """What is wrong in some of a log's tables as an error; warnings are not looked for, which is
    quicker. In a part of a log, `place` are its rows in the whole tables."""
    rules = [name for name in RULES if RULES[name].severity == ERROR]
    where = place or {}
    return together(
        finding_of(log, problem, where.get(problem.table))
        for problem in problems_of(log, rules, tables)
    )


def findings_of(log: Log, problems: Sequence[Problem]) -> list[Finding]:
    """Problems in words, errors first, in the order of tables, columns and rules."""
    return together(finding_of(log, problem) for problem in problems)


def problems_of(
    log: Log,
    rules: Collection[str] = RULES.keys(),
    tables: Collection[str] = TABLES.keys(),
    whole: Usual | None = None,
) -> list[Problem]:
    """Every rule that a log breaks, with all rows that break it.

    Only some rules and tables where those are given. What is usual is that of `whole`, where the
    log is but a part of it.
    """
    found = [
        each
        for each in log.problems
        if each.rule in rules and each.table in tables and each.rule != "duplicate"
    ]
    for name in tables:
        if not log.tables[name].empty:
            found += _problems(log, name, rules, whole)
    return found


def finding_of(log: Log, problem: Problem, place: np.ndarray | None = None) -> Finding:
    """A broken rule in words, with the first rows that break it; in a part of a log, `place` (n,)
    int64 is each row's place in the whole table."""
    rows = problem.rows[:FIRST]
    values = problem.values[:FIRST]
    if not values and len(rows) and problem.column is not None:
        stand = log.tables[problem.table][problem.column].iloc[rows]
        values = tuple("" if pd.isna(value) else str(value) for value in stand)
    values = tuple(value if len(value) <= LONGEST else f"{value[:LONGEST]}…" for value in values)
    whole = rows if place is None else place[rows]
    first = tuple(int(row) for row in whole)
    return _worded(problem.table, problem.column, problem.rule, len(problem.rows), first, values)


def _worded(
    table: str,
    column: str | None,
    rule: str,
    count: int,
    rows: tuple[int, ...],
    values: tuple[str, ...],
) -> Finding:
    where = table if column is None else f"{table}.{column}"
    message = f"{where}: {RULES[rule].says}"
    if count:
        some = ", ".join(f"{value!r}" for value in values)
        numbers = ", ".join(str(row) for row in rows)
        message += f" in {count} row{'s' if count > 1 else ''}, first {numbers} ({some})"
    return Finding(RULES[rule].severity, table, column, rule, count, rows, values, message)


def together(parts: Iterable[Finding]) -> list[Finding]:
    """Findings of a log from those of its parts, one for each table, column and rule."""
    same: dict[tuple[str, str | None, str], list[Finding]] = {}
    for each in parts:
        same.setdefault((each.table, each.column, each.rule), []).append(each)
    found = []
    for (table, column, rule), each_of in same.items():
        stands = sorted(
            pair for each in each_of for pair in zip(each.rows, each.values, strict=False)
        )[:FIRST]
        rows, values = tuple(row for row, _ in stands), tuple(value for _, value in stands)
        count = sum(each.count for each in each_of)
        found.append(_worded(table, column, rule, count, rows, values))
    order = {name: place for place, name in enumerate([*TABLES, *RULES])}
    columns = {t.name: ["None", *(c.name for c in t.columns)] for t in TABLES.values()}
    return sorted(
        found,
        key=lambda each: (
            each.severity != ERROR,
            order[each.table],
            _place(columns[each.table], str(each.column)),
            order[each.rule],
        ),
    )


def _place(names: list[str], name: str) -> int:
    return names.index(name) if name in names else len(names)


def _problems(
    log: Log, name: str, rules: Collection[str], whole: Usual | None
) -> Iterator[Problem]:
    columns = TABLES[name].columns
    found = [_gaps(log, TABLES[name], column) for column in columns]
    if not set(_COLUMN_RULES).isdisjoint(rules):
        found += [_values(log, TABLES[name], column) for column in columns]
    found += [
        finder.find(log, name)
        for finder in (*_ROW_FINDERS, *FINDERS, *WRITTEN)
        if name in finder.tables and not set(finder.rules).isdisjoint(rules)
    ]
    if name in _UNUSUAL and not set(_UNUSUAL[name]).isdisjoint(rules):
        found.append(unusual(log, usual([amounts(log)]) if whole is None else whole, name))
    for column, rule, mask in chain.from_iterable(found):
        if rule not in rules:
            continue
        rows = np.flatnonzero(np.asarray(mask, bool))
        if len(rows):
            yield Problem(name, column, rule, rows)


_UNUSUAL = {
    "users": ("reseller", "zone_at_night"),
    "events": ("odd_value", "odd_quantity", "unit"),
    "outcomes": ("clock_skew",),
}
"""Rules about what is unusual in the whole log, by table."""


def _gaps(log: Log, table: Table, column: Column) -> Found:
    """Values that are missing where one is needed."""
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
    missing = may_be_missing(table.name, column, log.meta)
    if not absent and missing is not Missing.FINE:
        gap = values.isna().to_numpy() & ~broken
        yield column.name, _missing_rule(table, column, missing), gap


_COLUMN_RULES = (
    "duplicate",
    "separator",
    "zone",
    "not_allowed",
    "bad_hour",
    "out_of_range",
    "unknown_listed",
    "unknown",
)
"""Rules that `_values` looks after."""


def _values(log: Log, table: Table, column: Column) -> Found:
    """Values that the schema does not allow."""
    name, values = column.name, log.tables[table.name][column.name]
    there = values.notna().to_numpy()
    if not there.any():
        return
    if table.key == name:
        # Of a part of a log, `problems` has the rows whose id a row of another part has.
        elsewhere = [p.rows for p in log.problems if (p.table, p.rule) == (table.name, "duplicate")]
        twice = again(values, log.alike(table.name, name))
        twice[np.concatenate([*elsewhere, np.zeros(0, np.int64)])] = True
        yield name, "duplicate", twice
    if column.type is Type.ID and column.refers_to is None:
        yield name, "separator", values.str.contains(SEPARATOR, regex=False).fillna(False)
    if column.type is Type.ZONE:
        codes = log.codes(table.name, name)
        yield name, "zone", there & ~codes.each(lambda zone: zone_code(zone) != NO_ZONE)
    if column.allowed:
        pattern = "|".join(f"{word}.+" if word.endswith(":") else word for word in column.allowed)
        allowed = log.codes(table.name, name).each(re.compile(pattern, re.DOTALL).fullmatch)
        yield name, "not_allowed", there & ~allowed
    if column.type is Type.HOURS:
        yield name, "bad_hour", there & ~log.codes(table.name, name).each(_are_hours)
    if column.type in (Type.NUMBER, Type.INTEGER) and name != "propensity":
        yield name, "out_of_range", there & ~_in_range(values, column)
    if column.refers_to is not None and column.type is Type.IDS:
        yield name, "unknown_listed", _lists_unknown(values, log.tables[column.refers_to])
    elif column.refers_to is not None:
        yield name, "unknown", there & (log.rows_of(table.name, name) < 0)


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
    numbers = values.to_numpy(np.float64, na_value=np.nan)
    return np.isfinite(numbers) & (numbers >= low) & (numbers <= high)


def _are_hours(text: str) -> bool:
    return all(part in _HOURS for part in text.split(SEPARATOR))


def _lists_unknown(values: pd.Series, table: pd.DataFrame) -> np.ndarray:
    """Whether each list (n,) has an id that is no key of the table, bool (n,)."""
    known = pa.array(table[table.columns[0]], pa.large_string(), from_pandas=True)
    out = np.zeros(len(values), bool)
    for rows, ids in listed(values):
        out[rows[~pc.is_in(ids, value_set=known).to_numpy(zero_copy_only=False)]] = True
    return out


def _amounts(log: Log, name: str) -> Found:
    events = log.tables["events"]
    yield "value", "no_amount", events["event"].eq("purchase") & events["value"].isna()


def _sends(log: Log, name: str) -> Found:
    table = log.tables["decisions"]
    sent = table["send_at"].notna()
    parts = table[["item_id", "variant_id"]].notna()
    yield "send_at", "incomplete_send", parts.ne(sent, axis=0).any(axis=1)
    yield "send_at", "too_early", sent & (table["send_at"] < table["decided_at"])


def _draws(log: Log, name: str) -> Found:
    table = log.tables["decisions"]
    if log.meta.propensities == NONE:
        return
    drawn = log.codes("decisions", "arm").each(re.compile(r"policy\Z|challenger:").match)
    drawn |= table["arm"].isna().to_numpy()
    good = table["propensity"].gt(0) & table["propensity"].le(1)
    reported = np.zeros(len(table), bool)
    for problem in log.problems:
        if problem.table == "decisions" and problem.column in (None, "propensity"):
            reported[problem.rows if len(problem.rows) else slice(None)] = True
    yield "propensity", "propensity", drawn & ~good.to_numpy() & ~reported


def _offers(log: Log, name: str) -> Found:
    table = log.tables["decisions"]
    for column, lists in (("item_id", "candidates"), ("variant_id", "variants")):
        known = (table["send_at"].notna() & table[column].notna() & table[lists].notna()).to_numpy()
        chosen = pa.array(table[column], pa.large_string(), from_pandas=True)
        offered = np.zeros(len(table), bool)
        for rows, ids in listed(table[lists].where(known)):
            same = pc.equal(ids, chosen.take(pa.array(rows))).to_numpy(zero_copy_only=False)
            offered[rows[same]] = True
        yield column, "not_offered", known & ~offered


def _repeats(log: Log, name: str) -> Found:
    outcomes = log.tables["outcomes"]
    twice = outcomes.duplicated(OUTCOME_KEY) & outcomes["at"].notna()
    yield "outcome", "repeated", twice


def _follows(log: Log, name: str) -> Found:
    outcomes, decisions = log.tables["outcomes"], log.tables["decisions"]
    of = log.rows_of("outcomes", "decision_id")
    mine, at = of >= 0, epoch_us(outcomes["at"])
    decided, sent = (
        np.append(epoch_us(decisions[column]), NEVER)[of] for column in ("decided_at", "send_at")
    )
    mine_at = mine & (at != NEVER)
    early = mine_at & (at < decided)
    yield "at", "too_early", early
    kind = log.codes("outcomes", "outcome")
    response = kind.each(lambda w: w in ("opened", "clicked", "dismissed", "unsubscribed"))
    moved = np.zeros(len(decisions) + 1, bool)
    moved[of[kind.each(lambda word: word == "moved") & mine]] = True
    yield "at", "before_send", mine_at & (at < sent) & ~early & response & ~moved[of]
    yield "decision_id", "outcome_of_hold", mine & (sent == NEVER)


_ROW_FINDERS = (
    Finder(("no_amount",), ("events",), _amounts),
    Finder(("incomplete_send", "too_early"), ("decisions",), _sends),
    Finder(("propensity",), ("decisions",), _draws),
    Finder(("not_offered",), ("decisions",), _offers),
    Finder(("repeated",), ("outcomes",), _repeats),
    Finder(("too_early", "before_send", "outcome_of_hold"), ("outcomes",), _follows),
)
