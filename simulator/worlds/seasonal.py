"""SeasonalShop: what works depends on when, and does not stay.

The people and goods of `LogitShop`. Office hours and evenings trade places between working days
and weekends, seasons and holidays lift all responses, tastes turn within months while the
recommender keeps its old guesses, and copy and items wear out soon when repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from mdp.clock import DAY
from mdp.response import ResponseModel
from simulator.description import Simulator
from simulator.truths import SeasonalTruth, day_of_year
from simulator.worlds.logit import LogitShop
from simulator.worlds.population import Goods, Population

HOLIDAYS = ((2, 14, 3, 0.35), (4, 20, 4, 0.3), (7, 4, 4, -0.25), (11, 28, 5, 0.5), (12, 24, 9, 0.6))
"""Month, day, width in days and height of what lifts buying; some lower it."""
NAMES = ("Valentine's Day", "Easter", "Independence Day", "Black Friday", "Christmas")
"""What the shop's calendar calls them."""
YEARS = 3
"""Years from a simulator's start on that its calendar knows."""
TURN = 0.012
"""Radians that tastes turn in a day: a right angle in 131 days."""
_LIFT = np.array([0.3, 0.5, 1.0, -0.2, 0.0])
"""Of a season, on each head."""
_WEEK = np.array([0.45, 0.15, 0.0, -0.15, -0.15])
"""Of the hour's fitness for the weekday, on each head."""
_WEAR = np.array([-0.42, -0.2, 0.0, 0.25, 0.12], np.float32)
_REPETITION = np.array([-0.9, -0.7, -0.3, 0.5, 0.4], np.float32)


@dataclass(frozen=True)
class SeasonalShop(LogitShop):
    """The world of seasons, drift and wear-out."""

    name: str = "seasonal"

    def over(self, goods: Goods, population: Population, seed: int, start: int) -> Simulator:
        """See `World.over`."""
        shop = super().over(goods, population, seed, start)
        assert isinstance(shop.response, ResponseModel)
        base = shop.response.base.copy()
        base[0] += 0.3  # so that opens are as frequent as in other worlds despite wear-out
        truth = SeasonalTruth(
            replace(shop.response, base=base, wear_weight=_WEAR, repetition_weight=_REPETITION),
            week=(_WEEK * _fitness()[..., None]).astype(np.float32),
            year=(_LIFT * _year()[:, None]).astype(np.float32),
            turn=np.array([TURN], np.float32),
            since=np.array([start // DAY], np.int64),
        )
        return replace(shop, response=truth, calendar=calendar(start // DAY))


def calendar(began: int) -> dict[str, str]:
    """The holidays' names by date, within one width of each, from a day since 1970 on."""
    dates = np.arange(began, began + 366 * YEARS)
    day, out = day_of_year(dates), {}
    for (on, width, _), name in zip(_places(), NAMES, strict=True):
        for date in dates[_away(day, on) <= width].astype("datetime64[D]"):
            out[str(date)] = name
    return dict(sorted(out.items()))


def _fitness() -> np.ndarray:
    """How well an hour fits the weekday (7, 24): working days before and after work and at
    noon, weekends late in the morning and in the afternoon, Friday night not at all."""
    hour = np.arange(24)

    def bump(centre: float, width: float) -> np.ndarray:
        return np.exp(-0.5 * ((hour + 0.5 - centre) / width) ** 2)

    working = bump(8, 1.0) + 0.7 * bump(12.5, 1.0) + 1.2 * bump(20, 1.5) - 0.6 * bump(15, 2.0)
    weekend = 1.3 * bump(11, 1.5) + 0.8 * bump(16, 2.0) - 0.9 * bump(8, 1.5) - 0.6 * bump(20, 1.5)
    week = np.stack([working] * 5 + [weekend] * 2)
    week[4] -= 1.6 * bump(20, 2.0)
    return week - week.mean()


def _year() -> np.ndarray:
    """The season's lift by day of the year (366,): a slow wave, and holidays."""
    day = np.arange(366)
    wave = 0.25 * np.cos(2 * np.pi * (day - 340) / 366)
    for on, width, height in _places():
        wave = wave + height * np.exp(-0.5 * (_away(day, on) / width) ** 2)
    return wave


def _places() -> Iterator[tuple[int, int, float]]:
    """Day of the year, width and height of each of `HOLIDAYS`."""
    for month, date, width, height in HOLIDAYS:
        on = int(datetime(2024, month, date, tzinfo=UTC).timestamp()) // 86400
        yield int(day_of_year(np.array([on]))[0]), width, height


def _away(day: np.ndarray, on: int) -> np.ndarray:
    """Days between days of the year (n,) and one, round the year."""
    away = np.abs(day - on)
    return np.minimum(away, 366 - away)
