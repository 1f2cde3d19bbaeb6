"""Scores of a log's quality: completeness, consistency, accuracy, uniqueness, timeliness.

Dimensions as in DAMA UK (2013), The six primary dimensions for data quality assessment; validity is
a part of accuracy here. A score is the share of values or rows that break no rule of the dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from ingestion.log import Log, Problem
from ingestion.quality import Quality

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
        *("before_send", "outcome_of_hold", "before_signup", "spelling", "separator", "clock_skew"),
    ),
    ACCURATE: (
        *("wrong_type", "naive_time", "integer_time", "bad_time", "impossible_time", "future"),
        *("zone", "not_allowed", "out_of_range", "propensity", "bad_hour", "blank_around"),
        *(
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


def scores(log: Log, problems: Sequence[Problem]) -> list[Score]:
    """Scores of every table that has rows, then of its columns that are not perfect."""
    out = []
    for name, table in log.tables.items():
        mine = [each for each in problems if each.table == name]
        if table.empty:
            continue
        for dimension, rules in RULES_OF.items():
            of = [each for each in mine if each.rule in rules]
            out.append(_score(dimension, name, None, of, len(table)))
            columns = dict.fromkeys(each.column for each in of if each.column is not None)
            for column in columns:
                part = [each for each in of if each.column == column]
                out.append(_score(dimension, name, column, part, len(table)))
        if name in _TIMES:
            out.append(_timely(name, table[_TIMES[name]]))
    return out


_TIMES = {"events": "at", "decisions": "decided_at"}


def _score(
    dimension: str, table: str, column: str | None, problems: Sequence[Problem], rows: int
) -> Score:
    broken = np.zeros(rows, bool)
    for problem in problems:
        broken[problem.rows if len(problem.rows) else slice(None)] = True
    count = int(broken.sum())
    return Score(dimension, table, column, 1 - count / rows, count)


def _timely(table: str, at: pd.Series) -> Score:
    days = at.dropna().dt.floor("D")
    span = (days.max() - days.min()).days + 1 if len(days) else 1
    gaps = span - days.nunique() if len(days) else 1
    return Score(TIMELY, table, None, 1 - gaps / span, int(gaps))


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
