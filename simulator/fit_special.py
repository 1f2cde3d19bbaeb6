"""What special days do to what users do by themselves: factors on visits and on buying, by name.

A day is held to the ordinary days around it. All users share it, so it scatters more than Poisson's
law says: as ordinary days do among themselves. What that leaves unsure is shrunk to no effect.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mdp.events import Kind
from mdp.local_time import local_day, local_hour
from mdp.special_days import NO_DAYS
from simulator.description import Users
from simulator.habits import Acts
from simulator.organic import Organic
from simulator.special_days import SpecialDays

AROUND = 14
"""Days before and after a day that it is held to."""
LEAST = 14
"""Ordinary days below which nothing is said."""
WIDTH = 0.5
"""Standard deviation of a factor's logarithm before anything is seen."""


def set_aside(special: SpecialDays, began: int, until: int) -> np.ndarray:
    """The special days (D,) that habits are read without: none, where of a log's days from `began`
    to `until`, local dates, most are special or few are ordinary."""
    lived = special.day[(special.day >= began) & (special.day < until)]
    ordinary = until - began - len(lived)
    return lived if ordinary >= max(len(lived), LEAST) else NO_DAYS


def with_special_days(organic: Organic, special: SpecialDays, users: Users, acts: Acts) -> Organic:
    """Organic behaviour with what special days do to it; as it is where a log has none, or too few
    ordinary days."""
    if not len(special.day):
        return organic
    date, came, met, bought = _counted(users, acts)
    row = special.rows(date)
    ordinary = row == 0
    near = np.abs(date[:, None] - date) <= AROUND
    near &= ordinary & ~np.eye(len(date), dtype=bool)
    known = near.any(1)
    if (ordinary & known).sum() < LEAST:
        return organic
    effects = np.zeros((len(special.names), 2))
    usually = organic.weekday[(date + 3) % 7].astype(np.float64)
    for place, (count, exposure) in enumerate(((came, usually), (bought, met))):
        apart = _apart(count, exposure, near)
        usual = apart[ordinary & known]
        days = row[~ordinary & known] - 1
        total = np.bincount(days, apart[~ordinary & known] - usual.mean(), len(effects))
        number = np.bincount(days, minlength=len(effects))
        effects[:, place] = total / np.maximum(number + usual.var() / WIDTH**2, 1e-9)
    factors = np.exp(effects)[special.name]
    return replace(organic, special_day=special.day, special=factors.astype(np.float32))


def _counted(users: Users, acts: Acts) -> tuple[np.ndarray, ...]:
    """The whole local dates of a log (T,), and of each the hours of users with a visit, the items
    met and the items bought (T,) float64; where no views are logged, nothing is met or bought."""
    zone = users.codes[acts.owner]
    day, hour = local_day(acts.at, zone), local_hour(acts.at, zone)
    last = day.max(initial=0)
    date = np.arange(day.min(initial=last) + 1, last)  # log's ends cut the others short
    place, size = day - last + len(date), len(date)
    inside = (place >= 0) & (place < size)
    hours = np.unique((acts.owner[inside] * size + place[inside]) * 24 + hour[inside])
    kinds = (acts.kind == Kind.VIEW, acts.kind == Kind.PURCHASE)
    met, bought = (np.bincount(place[inside & kind], minlength=size) for kind in kinds)
    came = np.bincount(hours // 24 % max(size, 1), minlength=size)
    return date, came.astype(float), met.astype(float), bought * float(kinds[0].any())


def _apart(count: np.ndarray, exposure: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Logarithms (T,) of days' counts over what the days near (T, T) had for as much exposure."""
    expected = exposure * (near @ count) / np.maximum(near @ exposure, 1e-9)
    return np.log((count + 0.5) / (expected + 0.5))
