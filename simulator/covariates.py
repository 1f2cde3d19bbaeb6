"""Covariates: what a log says of its users beside how they answered pushes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ingestion.log import epoch_us
from ingestion.schema import TABLES
from mdp.clock import DAY, NEVER
from simulator.habits import Habits

MOST = 64
"""Columns in all; groups that come after these are left out."""
LEVELS = 12
"""Values of a text column that are told apart, the most frequent."""
LEAST_SHARE = 0.02
"""Share of the users that a value of a text column must have to be told apart."""
FAR = 3.0
"""Standard deviations beyond which a number says no more."""


@dataclass(frozen=True)
class Covariates:
    """Columns in groups: a column of the users table, or one thing that the log shows of users."""

    names: tuple[str, ...]
    """Of the groups (G,)."""
    group: np.ndarray
    """Which group each column belongs to (C,) int64."""
    columns: np.ndarray
    """(U, C) float32: each of mean 0, and the variances of a group add up to 1."""

    def of_users(self, rows: np.ndarray) -> Covariates:
        """Those of some users (N,), as they are."""
        return Covariates(self.names, self.group, self.columns[rows])


def covariates_of(table: pd.DataFrame, habits: Habits, taste: np.ndarray, until: int) -> Covariates:
    """What is known at an instant of the users (U,) in the rows of a users table.

    taste: (U, 8) float32. Columns with a value of its own for most users, such as names, tell of
    nobody else and are left out.
    """
    names: list[str] = []
    group: list[int] = []
    columns = np.zeros((len(table), MOST), np.float32)
    for name, values in _groups(table, habits, taste, until):
        scaled = _scaled(values)
        end = len(group) + scaled.shape[1]
        if scaled.shape[1] and end <= MOST:
            columns[:, len(group) : end] = scaled
            group += [len(names)] * scaled.shape[1]
            names.append(name)
    return Covariates(tuple(names), np.array(group, np.int64), columns[:, : len(group)].copy())


def _groups(
    table: pd.DataFrame, habits: Habits, taste: np.ndarray, until: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Names and values (U, n) float32, NaN where nothing is known."""
    ended, met = habits.ends[:, 0], habits.ends.sum(1)
    yield "visits", _number(_log(habits.visits.sessions))
    yield "items a visit", _number(_log(met / np.maximum(ended, 1e-9)))
    yield "purchases an item met", _number(_log(habits.buy))
    signed = epoch_us(table["signed_up_at"])
    known = np.where(signed == NEVER, np.nan, np.maximum(until - signed, 0) / DAY)
    yield "days since signing up", _number(np.log1p(known))
    yield "taste", taste
    yield "hours of visits", _waves(habits.hours)
    own = {column.name for column in TABLES["users"].columns}
    for name in ("timezone", "locale", *(str(name) for name in table if name not in own)):
        column = table[name]
        if pd.api.types.is_numeric_dtype(column):
            yield name, _number(column.to_numpy(np.float64, na_value=np.nan))
        elif not pd.api.types.is_datetime64_any_dtype(column):
            yield name, _levels(column)


def _log(values: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(values, 1e-9))


def _number(values: np.ndarray) -> np.ndarray:
    """A number (U,) as a column (U, 1), the unknown at the mean and the far ones drawn in."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros((len(values), 1), np.float32)
    mean, spread = values[known].mean(), max(float(values[known].std()), 1e-12)
    out = np.where(known, (values - mean) / spread, 0.0).clip(-FAR, FAR)
    return out[:, None].astype(np.float32)


def _waves(hours: np.ndarray) -> np.ndarray:
    """When in the day and in the half day (U, 4) visits come on average, from hours (U, 24)."""
    angle = 2 * np.pi * np.arange(24) / 24
    waves = np.stack([f(n * angle) for n in (1, 2) for f in (np.cos, np.sin)], 1)
    return (hours @ waves).astype(np.float32)


def _levels(column: pd.Series) -> np.ndarray:
    """A text column's frequent values (U, n), 1 for who has it."""
    code, values = pd.factorize(column)
    count = np.bincount(code[code >= 0], minlength=len(values))
    frequent = np.argsort(-count, kind="stable")[:LEVELS]
    frequent = frequent[count[frequent] >= LEAST_SHARE * len(column)]
    return (code[:, None] == frequent).astype(np.float32)


def _scaled(values: np.ndarray) -> np.ndarray:
    """Columns (U, n) about their means, by one factor for all, without those that are constant."""
    apart = values - values.mean(0)
    spread = apart.var(0)
    some = spread > 1e-9
    return apart[:, some] / np.sqrt(spread[some].sum() or 1.0)
