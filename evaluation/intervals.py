"""Intervals by bootstrap over users, or in closed form: a user's rows belong together, because they
are alike.

Everything starts from sums over each user. One set of replicates serves every estimator, so that
differences between them, and to the logging policy, are paired: what moves both alike cancels.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, get_args

import numpy as np

from evaluation.slope import student_quantile
from evaluation.sums import Sums
from ingestion.spread import Spread, in_turn
from mdp.errors import BadSetting

REPLICATES = 1000
LEAST_REPLICATES = 100
"""Fewer know nothing of what lies in a tail of 2.5 %."""
LEVEL = 0.95
CLUSTERS = 20_000
"""Users beyond this many are put together at random before they are resampled: groups drawn at
random are as good as users, and the spread of 20,000 is known to 0.5 %."""
_BLOCK = 100
"""Replicates that share a random generator and are made at a time; their counts take 16 MB."""
SKEWED = 0.12
"""Skewness of an estimate from which a normal tail of 2.5 % is off by more than 1 %."""
Method = Literal["bootstrap", "analytic"]


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


def standard_error(pulls: np.ndarray) -> float:
    """Of an estimate, from what users add to it (G,); no square of a large number is taken."""
    users, top = len(pulls), float(np.abs(pulls).max(initial=0.0))
    if users < 2 or not top > 0:
        return 0.0
    return top * float(np.sqrt(users / (users - 1) * ((pulls / top) ** 2).sum()))


def long_tail(value: float, pulls: np.ndarray, level: float) -> Interval | None:
    """How far an interval must reach towards the long tail, where what users add to an estimate,
    pulls (G,), is skewed; its other end is the value. None where skewness is too small to matter.

    The end of a Student's interval made symmetric by a cubic: Hall (1992), "On the removal of
    skewness by transformation".
    """
    users, error = len(pulls), standard_error(pulls)
    if users < 3 or not error > 0:
        return None
    skewness = float(((pulls / error) ** 3).sum())
    if not abs(skewness) > SKEWED:
        return None
    quantile = student_quantile((1 + level) / 2, users - 1)

    toward = -quantile if skewness > 0 else quantile
    back = float(3 / skewness * (np.cbrt(1 + skewness * (toward - skewness / 6)) - 1))
    end = value - error * back
    return Interval(value, min(value, end), max(value, end))


@dataclass(frozen=True, eq=False)
class Analytic:
    """Estimates of E ratios and each user's influence on them."""

    value: np.ndarray
    """(E,) float64"""
    pulls: np.ndarray
    """Of users, or of groups of them (G, E) float64"""

    def interval(self, which: int, less: int | None = None, level: float = LEVEL) -> Interval:
        """An interval of a ratio, or of its difference to another one; where users' influence is
        skewed, it reaches as far as `long_tail`."""
        value, pulls = self.value[which], self.pulls[:, which]
        if less is not None:
            value, pulls = value - self.value[less], pulls - self.pulls[:, less]
        value = float(value)
        if not np.isfinite(value):
            return UNKNOWN
        if len(pulls) < 2:
            return Interval(value, np.nan, np.nan)
        plain, tail = self._plain(value, pulls, which, less, level), long_tail(value, pulls, level)
        return plain if tail is None else plain.joined(tail)

    def _plain(
        self, value: float, pulls: np.ndarray, which: int, less: int | None, level: float
    ) -> Interval:
        """Student's interval from the influence functions, robust to users' rows being alike
        (Liang & Zeger 1986, "Longitudinal data analysis using generalized linear models")."""
        half = standard_error(pulls) * student_quantile((1 + level) / 2, len(pulls) - 1)
        return Interval(value, value - half, value + half)


@dataclass(frozen=True, eq=False)
class Bootstrap(Analytic):
    """The same with R replicates, whose spread says how wide intervals are."""

    replicates: np.ndarray
    """(R, E) float64"""

    def _plain(
        self, value: float, pulls: np.ndarray, which: int, less: int | None, level: float
    ) -> Interval:
        """Percentile interval; of few users wider, as Student's is (Hesterberg 2015, "What
        teachers should know about the bootstrap")."""
        replicates = self.replicates[:, which]
        if less is not None:
            replicates = replicates - self.replicates[:, less]
        known = replicates[np.isfinite(replicates)]
        if not len(known):
            return UNKNOWN
        tail, users = (1 - level) / 2, len(pulls)
        if users > 2:
            freedom = users - 1
            widened = np.sqrt(users / freedom) * student_quantile(1 - tail, freedom)
            tail = NormalDist().cdf(-widened)
        low, high = np.quantile(known, [tail, 1 - tail])
        return Interval(value, float(low), float(high))


@dataclass(frozen=True)
class Intervals:
    """How intervals are made."""

    method: Method = "bootstrap"
    """by resampling users, or in closed form"""
    seed: int = 0
    """of the bootstrap"""
    replicates: int = REPLICATES
    """resamples"""
    spread: Spread = in_turn
    """where resamples, and what else takes long, are made"""

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise BadSetting(f"there are no intervals {self.method!r}: use bootstrap or analytic")
        if not isinstance(self.seed, int | np.integer) or self.seed < 0:
            raise BadSetting(f"the seed is {self.seed!r}: use a whole number, not negative")
        if not self.replicates >= LEAST_REPLICATES:
            raise BadSetting(f"{self.replicates} resamples: use {LEAST_REPLICATES} at least")

    def of(self, sums: Sums) -> Analytic:
        """Intervals of all that was summed up."""
        return closed_form(sums) if self.method == "analytic" else resampled(sums, self)


PLAIN = Intervals()


def resampled(sums: Sums, how: Intervals = PLAIN) -> Bootstrap:
    """Resample users with replacement. Efron & Tibshirani (1993), "An introduction to the
    bootstrap", chapter 8."""
    columns = sums.grouped(CLUSTERS, np.random.default_rng(how.seed))
    grouped = Sums(columns, sums.layout)
    parts = [
        (how.seed, first, min(_BLOCK, how.replicates - first))
        for first in range(0, how.replicates, _BLOCK)
    ]
    drawn = np.concatenate(list(how.spread(_replicates, grouped, parts)))
    return Bootstrap(sums.ratios(sums.columns.sum(0)), grouped.pulls(), drawn)


def _replicates(sums: Sums, part: tuple[int, int, int]) -> np.ndarray:
    """Some replicates (rows, E); part: seed, number of the first one, and how many."""
    seed, first, rows = part
    rng = np.random.default_rng([seed, first])
    G = len(sums.columns)
    picked = rng.integers(0, G, (rows, G), dtype=np.int32)
    picked += G * np.arange(rows, dtype=np.int32)[:, None]
    counts = np.bincount(picked.ravel(), minlength=rows * G).reshape(rows, G)
    return sums.ratios(counts.astype(np.float64) @ sums.columns)


def closed_form(sums: Sums) -> Analytic:
    """Intervals without resampling: as good where many users share the weight."""
    return Analytic(sums.ratios(sums.columns.sum(0)), sums.pulls())
