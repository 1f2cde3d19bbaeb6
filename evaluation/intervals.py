"""Intervals by bootstrap over users, or in closed form: a user's rows belong together, because they
are alike.

Everything starts from sums over each user. One set of replicates serves every estimator, so that
differences between them, and to the logging policy, are paired: what moves both alike cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from evaluation.estimators import Terms
from evaluation.slope import student_quantile

REPLICATES = 1000
LEVEL = 0.95
CLUSTERS = 20_000
"""Users beyond this many are put together at random before they are resampled: groups drawn at
random are as good as users, and the spread of 20,000 is known to 0.5 %."""
_CELLS = 2_000_000
"""Draws at a time: 16 MB."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; NaN where there is nothing to divide by."""

    value: float
    low: float
    high: float

    def excludes(self, number: float) -> bool:
        """Whether a number lies outside; never for an interval that is not known."""
        return number < self.low or number > self.high

    def joined(self, other: Interval) -> Interval:
        """This estimate, with an interval that holds the other's too."""
        return Interval(self.value, min(self.low, other.low), max(self.high, other.high))


UNKNOWN = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums of E estimators' terms over each of G users."""

    columns: np.ndarray
    """(G, C) float64; the first column counts rows"""
    layout: tuple[tuple[tuple[int, int], ...], ...]
    """For each estimator, the columns (top, bottom) of the ratios that it adds up."""

    def ratios(self, totals: np.ndarray) -> np.ndarray:
        """Estimates (…, E) of totals (…, C)."""
        out = np.zeros((*totals.shape[:-1], len(self.layout)))
        for place, parts in enumerate(self.layout):
            for top, bottom in parts:
                below = totals[..., bottom]
                out[..., place] += np.divide(
                    totals[..., top], below, out=np.full(below.shape, np.nan), where=below > 0
                )
        return out

    def pulls(self) -> np.ndarray:
        """Influence (G, E) of each user on each estimate: what it adds to it."""
        totals = self.columns.sum(0)
        out = np.zeros((len(self.columns), len(self.layout)))
        for place, parts in enumerate(self.layout):
            for top, bottom in parts:
                if totals[bottom] > 0:
                    ratio = totals[top] / totals[bottom]
                    own = self.columns[:, top] - ratio * self.columns[:, bottom]
                    out[:, place] += own / totals[bottom]
        return out

    def grouped(self, most: int, rng: np.random.Generator) -> np.ndarray:
        """The columns of at most so many groups of users, put together at random."""
        if len(self.columns) <= most:
            return self.columns
        group = rng.permutation(len(self.columns)) % most
        return np.stack([np.bincount(group, column) for column in self.columns.T], 1)


def sums_of(terms: Sequence[Terms], user: np.ndarray, users: int | None = None) -> Sums:
    """Sums over users of E estimators' terms; user: (n,) int64 codes from 0."""
    users = int(user.max()) + 1 if users is None else users
    single = len(user) == users and bool((user == np.arange(users)).all())

    def over(values: np.ndarray) -> np.ndarray:
        return values if single else np.bincount(user, values, users)

    columns = [np.bincount(user, minlength=users).astype(np.float64)]
    known: dict[int, int] = {}
    """Where an array's sums already are: many estimators divide by the same weights."""

    def place(values: np.ndarray | None) -> int:
        if values is None:
            return 0
        if id(values) not in known:
            known[id(values)] = len(columns)
            columns.append(over(values))
        return known[id(values)]

    layout = []
    for each in terms:
        parts = [(place(each.top), place(each.bottom))]
        if each.offset is not None:
            parts.append((place(each.offset), 0))
        layout.append(tuple(parts))
    return Sums(np.stack(columns, 1), tuple(layout))


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Estimates of E ratios and their R replicates."""

    value: np.ndarray
    """(E,) float64"""
    replicates: np.ndarray
    """(R, E) float64"""
    users: int
    """resampled"""

    def interval(self, which: int, less: int | None = None, level: float = LEVEL) -> Interval:
        """Percentile interval of a ratio, or of its difference to another one; of few users wider,
        as Student's is (Hesterberg 2015, "What teachers should know about the bootstrap")."""
        value, replicates = self.value[which], self.replicates[:, which]
        if less is not None:
            value, replicates = value - self.value[less], replicates - self.replicates[:, less]
        known = replicates[np.isfinite(replicates)]
        if not np.isfinite(value) or not len(known):
            return UNKNOWN
        tail = (1 - level) / 2
        if self.users > 2:
            freedom = self.users - 1
            widened = np.sqrt(self.users / freedom) * student_quantile(1 - tail, freedom)
            tail = NormalDist().cdf(-widened)
        low, high = np.quantile(known, [tail, 1 - tail])
        return Interval(float(value), float(low), float(high))


def resampled(sums: Sums, seed: int, replicates: int = REPLICATES) -> Bootstrap:
    """Resample users with replacement, `replicates` times. Efron & Tibshirani (1993), "An
    introduction to the bootstrap", chapter 8."""
    rng = np.random.default_rng(seed)
    columns = sums.grouped(CLUSTERS, rng)
    G = len(columns)
    drawn = []
    for start in range(0, replicates, size := max(1, _CELLS // G)):
        rows = min(size, replicates - start)
        picked = rng.integers(0, G, (rows, G), dtype=np.int32)
        picked += G * np.arange(rows, dtype=np.int32)[:, None]
        counts = np.bincount(picked.ravel(), minlength=rows * G).reshape(rows, G)
        drawn.append(sums.ratios(counts.astype(np.float64) @ columns))
    value = sums.ratios(sums.columns.sum(0))
    return Bootstrap(value, np.concatenate(drawn), len(sums.columns))


@dataclass(frozen=True, eq=False)
class Analytic:
    """Estimates of E ratios and each user's influence on them."""

    value: np.ndarray
    """(E,) float64"""
    pulls: np.ndarray
    """(G, E) float64"""

    def interval(self, which: int, less: int | None = None, level: float = LEVEL) -> Interval:
        """Student's interval from the influence functions, robust to users' rows being alike
        (Liang & Zeger 1986, "Longitudinal data analysis using generalized linear models")."""
        value, pulls = self.value[which], self.pulls[:, which]
        if less is not None:
            value, pulls = value - self.value[less], pulls - self.pulls[:, less]
        users = len(pulls)
        if not np.isfinite(value) or users < 2:
            return UNKNOWN
        error = np.sqrt(users / (users - 1) * (pulls**2).sum())
        half = float(error * student_quantile((1 + level) / 2, users - 1))
        return Interval(float(value), float(value) - half, float(value) + half)


def closed_form(sums: Sums) -> Analytic:
    """Intervals without resampling: as good where many users share the weight."""
    return Analytic(sums.ratios(sums.columns.sum(0)), sums.pulls())
