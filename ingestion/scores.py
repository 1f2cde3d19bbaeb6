"""Scores of a log's quality: completeness, consistency, accuracy, uniqueness, timeliness.

Dimensions as in DAMA UK (2013), The six primary dimensions for data quality assessment; validity is
a part of accuracy here. A score is the share of values or rows that break no rule of the dimension.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ingestion.log import Log, Problem, epoch_us
from ingestion.quality import Quality
from ingestion.schema import TABLES
from mdp.clock import DAY

COMPLETE, CONSISTENT, ACCURATE, UNIQUE, TIMELY = (
    "completeness",
    "consistency",
    "accuracy",
    "uniqueness",
    "timeliness",
)
DIMENSIONS = (COMPLETE, CONSISTENT, ACCURATE, UNIQUE, TIMELY)
RULES_OF = {
    COMPLETE: (
        *("missing_table", "missing_column", "missing_value", "no_words", "no_zone", "no_signup"),
        "no_amount",
        "no_language",
    ),
    CONSISTENT: (
        *("unknown", "unknown_listed", "incomplete_send", "not_offered", "too_early"),
        *("before_send", "outcome_of_hold", "before_signup", "before_listing", "spelling"),
        *("separator", "clock_skew"),
    ),
    ACCURATE: (
        *("wrong_type", "naive_time", "integer_time", "bad_time", "impossible_time", "future"),
        *("zone", "not_allowed", "out_of_range", "propensity", "bad_hour", "blank_around"),
        *(
            "bad_date",
            "markup",
            "odd_price",
            "odd_value",
            "odd_quantity",
            "unit",
            "other_currency",
            "other_language",
            "inhuman_rate",
            "reseller",
            "zone_at_night",
        ),
    ),
    UNIQUE: (
        "repeated_row",
        "duplicate",
        "repeated",
        "near_duplicate",
        "double_purchase",
        "copied_review",
        "copied_description",
    ),
}
"""The dimension that each rule belongs to; timeliness has none: it counts days."""


@dataclass(frozen=True)
class Score:
    """One dimension of one table, or of one of its columns."""

    dimension: str
    """completeness, consistency, accuracy, uniqueness or timeliness"""
    table: str
    """the table's name"""
    column: str | None
    """the column's name; None for the whole table"""
    score: float
    """share (0 to 1) of its rows without a breach; of timeliness, of its days that have rows"""
    rows: int
    """rows with a breach; of timeliness, days without a row"""

    def to_mapping(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Breaches:
    """What scores are made of, which can be counted in parts of a log and added up."""

    rows: Counter[tuple[str, str, str | None]]
    """rows with a breach, by dimension, table and column (None for the whole table)"""
    days: dict[str, frozenset[int]]
    """days since 1970 that have rows, by table"""


def breaches_of(log: Log, problems: Sequence[Problem], tables: Collection[str]) -> Breaches:
    """The breaches in some tables of a log."""
    rows: Counter[tuple[str, str, str | None]] = Counter()
    for name in tables:
        size = len(log.tables[name])
        for dimension, rules in RULES_OF.items():
            of = [each for each in problems if each.table == name and each.rule in rules]
            for column in {None, *(each.column for each in of)}:
                part = [each for each in of if column in (None, each.column)]
                rows[dimension, name, column] = _broken(part, size)
    days = {
        name: frozenset(np.unique(epoch_us(log.tables[name][at].dropna()) // DAY).tolist())
        for name, at in _TIMES.items()
        if name in tables
    }
    return Breaches(rows, days)


_TIMES = {"events": "at", "decisions": "decided_at"}


def _broken(problems: Sequence[Problem], size: int) -> int:
    broken = np.zeros(size, bool)
    for problem in problems:
        broken[problem.rows if len(problem.rows) else slice(None)] = True
    return int(broken.sum())


def all_breaches(parts: Sequence[Breaches]) -> Breaches:
    """The breaches in a log from those in its parts."""
    rows: Counter[tuple[str, str, str | None]] = Counter()
    for part in parts:
        rows.update(part.rows)
    names = dict.fromkeys(name for part in parts for name in part.days)
    days = {name: [part.days.get(name, frozenset()) for part in parts] for name in names}
    return Breaches(rows, {name: frozenset().union(*sets) for name, sets in days.items()})


def scores(log: Log, problems: Sequence[Problem]) -> list[Score]:
    """Scores of every table that has rows, and of its columns that are not perfect."""
    sizes = {name: len(table) for name, table in log.tables.items()}
    return scores_of(breaches_of(log, problems, TABLES), sizes)


def scores_of(found: Breaches, sizes: Mapping[str, int]) -> list[Score]:
    """The scores by the breaches and the rows of each table."""
    out = []
    for name, table in TABLES.items():
        if not sizes[name]:
            continue
        for dimension in RULES_OF:
            for column in (None, *(column.name for column in table.columns)):
                broken = found.rows.get((dimension, name, column), 0)
                if column is None or broken:
                    share = 1 - broken / sizes[name]
                    out.append(Score(dimension, name, column, share, broken))
        if name in _TIMES:
            out.append(_timely(name, found.days[name]))
    return out


def _timely(table: str, days: frozenset[int]) -> Score:
    span = max(days) - min(days) + 1 if days else 1
    gaps = span - len(days)
    return Score(TIMELY, table, None, 1 - gaps / span, gaps)


def overall(found: Sequence[Score]) -> dict[str, float]:
    """The mean of the tables' scores for each dimension that any has."""
    out = {}
    for dimension in DIMENSIONS:
        of = [each.score for each in found if each.dimension == dimension and each.column is None]
        if of:
            out[dimension] = float(np.mean(of))
    return out


def verdict(figures: Quality) -> str:
    """The sentence that matters first: what the log is fit for, and why not for the rest."""
    if figures.fit == figures.evaluate == "yes":
        return "This log is fit for both fitting and evaluating."
    if figures.fit == "yes":
        return f"This log is fit for fitting, not for evaluating: {figures.evaluate}."
    if figures.evaluate == "yes":
        return f"This log is fit for evaluating, not for fitting: {figures.fit}."
    same = figures.fit == figures.evaluate
    why = figures.fit if same else f"{figures.fit}; and {figures.evaluate}"
    return f"This log is fit for neither fitting nor evaluating: {why}."
