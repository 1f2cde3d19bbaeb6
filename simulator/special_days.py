"""Special days of a shop's calendar that its log has lived, and those to come under their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ingestion.log import Log
from mdp.clock import DAY


@dataclass(frozen=True)
class SpecialDays:
    """D special days, past and to come, whose names a log has lived."""

    day: np.ndarray
    """Local dates since 1970 (D,) int32, ascending."""
    name: np.ndarray
    """Rows of their names (D,) int64."""
    names: tuple[str, ...]
    """(M,), in the order of the alphabet."""

    def rows(self, day: np.ndarray) -> np.ndarray:
        """1 + the row of the name of each local date (n,) int64, 0 for ordinary days."""
        place = np.searchsorted(self.day, day)
        there = np.append(self.day, np.iinfo(np.int32).max)[place] == day
        return np.where(there, 1 + np.append(self.name, 0)[place], 0)


def calendar_of(log: Log) -> dict[str, str]:
    """Name by date of a log's special days, by date."""
    table = log.tables["calendar"]
    return dict(sorted(zip(table["date"], table["name"], strict=True)))


def special_days(calendar: Mapping[str, str], began: int, until: int) -> SpecialDays:
    """The days of a calendar whose names were lived on some whole day from `began` to `until`,
    microseconds UTC: of others a log says nothing."""
    day, names = np.array(list(calendar), "datetime64[D]").astype(np.int64), [*calendar.values()]
    lived = {name for at, name in zip(day, names, strict=True) if began <= at * DAY <= until - DAY}
    kept = np.array([name in lived for name in names], bool)
    order = tuple(sorted(lived))
    of = [order.index(name) for name in names if name in lived]
    return SpecialDays(day[kept].astype(np.int32), np.array(of, np.int64), order)


def calendar_table(calendar: Mapping[str, str]) -> pd.DataFrame:
    """A calendar as a log's table."""
    return pd.DataFrame({"date": [*calendar], "name": [*calendar.values()]}, dtype="str")
