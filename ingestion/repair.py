"""How `clean` mends values: the rules of `ingestion.rules` whose action is repair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ingestion.clocks import behind
from ingestion.log import Log, Problem
from ingestion.plain_text import plain_texts
from ingestion.plausible import first_activity, spelled
from ingestion.schema import SEPARATOR, TABLES
from ingestion.written import languages

DECIDES_NOTHING = {
    "items": ("list_price", "margin", "rating"),
    "reviews": ("rating", "at"),
}
"""Columns that a bad value is emptied in: losing the row would lose more."""


@dataclass(frozen=True)
class Repair:
    """New values for the rows of a problem."""

    values: pd.Series
    """the values (k,), typed as the column"""
    done: np.ndarray
    """whether (k,) bool each row is mended; the others keep their values"""


Mend = Callable[[Log, Problem, pd.Series], Repair]
"""The repair of a problem, given what stands in its rows."""


def repair(log: Log, problem: Problem) -> Repair:
    """The mended values of a breach's rows."""
    assert problem.column is not None
    old = log.tables[problem.table][problem.column].iloc[problem.rows]
    nothing = Repair(old, np.zeros(len(old), bool))
    if (problem.table, problem.column) == ("users", "signed_up_at"):
        first = first_activity(log).iloc[problem.rows]
        return Repair(first, first.notna().to_numpy())
    if problem.rule in _REPAIRS:
        return _REPAIRS[problem.rule](log, problem, old)
    if problem.column in DECIDES_NOTHING.get(problem.table, ()):
        return Repair(old.where(np.zeros(len(old), bool)), np.ones(len(old), bool))
    return nothing


def _zone(log: Log, problem: Problem, old: pd.Series) -> Repair:
    known = log.meta.default_timezone is not None
    return Repair(
        pd.Series(log.meta.default_timezone, old.index, dtype="str"), np.full(len(old), known)
    )


def _known_part(log: Log, problem: Problem, old: pd.Series) -> Repair:
    column = TABLES[problem.table].column(str(problem.column))
    assert column.refers_to is not None
    known = set(log.tables[column.refers_to][TABLES[column.refers_to].key])
    parts = [
        SEPARATOR.join(part for part in text.split(SEPARATOR) if part in known) or None
        for text in old
    ]
    return Repair(pd.Series(parts, old.index, dtype="str"), np.ones(len(old), bool))


def _whole_column(new: Callable[[pd.Series], pd.Series]) -> Mend:
    def mended(log: Log, problem: Problem, old: pd.Series) -> Repair:
        column = log.tables[problem.table][problem.column]
        return Repair(new(column).iloc[problem.rows], np.ones(len(old), bool))

    return mended


def _language(log: Log, problem: Problem, old: pd.Series) -> Repair:
    texts = log.tables[problem.table]["text"].iloc[problem.rows]
    return Repair(languages(texts), np.ones(len(old), bool))


def _clock(log: Log, problem: Problem, old: pd.Series) -> Repair:
    by = pd.to_timedelta(behind(log).reindex(problem.rows).to_numpy(), unit="us")
    return Repair((old + by).astype(old.dtype), np.ones(len(old), bool))


_REPAIRS: dict[str, Mend] = {
    "zone": _zone,
    "no_zone": _zone,
    "unknown_listed": _known_part,
    "clock_skew": _clock,
    "no_language": _language,
    "spelling": _whole_column(spelled),
    "markup": _whole_column(plain_texts),
}
