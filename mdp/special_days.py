"""Special days: holidays, sales and whatever else a shop's calendar names, by their local dates."""

from __future__ import annotations

from typing import Any

import numpy as np

from mdp.compiled import njit

NO_DAYS = np.zeros(0, np.int32)
"""Of a shop without a calendar."""


@njit(cache=True)
def day_row(day: Any, special: Any) -> Any:
    """The row of a local day, since 1970, in a table of weekdays, Monday first, and after these of
    the special days (D,), ascending."""
    if special.size:
        place = np.searchsorted(special, day)
        if place < special.size and special[place] == day:
            return 7 + place
    return (day + 3) % 7


def by_day(weekday: np.ndarray, special: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """A table (7 + D, …) of what weekdays (7, …) do, and after it of what special days (D,) do on
    their weekdays: `apart` (D, …) as much more."""
    return np.concatenate([weekday, weekday[(special + 3) % 7] + apart])
