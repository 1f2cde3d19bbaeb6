"""The lull after a purchase: for a while a user buys less of everything, and comes less often."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mdp.clock import DAY, NEVER
from mdp.compiled import njit
from mdp.state import KNOWN


@dataclass(frozen=True)
class Lull:
    """How much a user's purchases weigh on the user's demand: times exp(-size × what is remembered
    of them)."""

    buys: float
    """Size for the probability that an item met is bought."""
    visits: float
    """Size for the visits a day."""
    days: float
    """Days in which a purchase is half forgotten."""
    latest: bool
    """Whether the latest purchase alone counts; else the items bought add up."""

    @property
    def numbers(self) -> tuple[float, float, float, bool]:
        """What `lulled` takes."""
        return self.buys, self.visits, self.days * DAY, self.latest


NO_LULL = (0.0, 0.0, 1.0, False)
"""The numbers of none."""


@njit(cache=True)
def remembered(known: Any, at: Any, half_life: Any, latest: Any) -> Any:
    """How much of the purchases in a user's known items (KNOWN,) still weighs at an instant: the
    sum of 2^(-age / half-life) over the items bought, or that of the latest alone."""
    total, last = 0.0, NEVER
    for slot in range(KNOWN):
        bought = known[slot].bought_at
        if bought == NEVER:
            continue
        if latest:
            last = max(last, bought)
        else:
            total += math.exp2(-float(at - bought) / half_life)
    return total if last == NEVER else math.exp2(-float(at - last) / half_life)


@njit(cache=True)
def remembered_all(known: Any, at: Any, half_lives: Any, out: Any) -> None:
    """Fills what is remembered (2, G, N) of N users' known items at instants (N,): of all items
    bought and of the latest, under half-lives (G,) in microseconds."""
    for n in range(at.size):
        for g in range(half_lives.size):
            for latest in range(2):
                out[latest, g, n] = remembered(known[n], at[n], half_lives[g], latest == 1)


@njit(cache=True)
def lulled(known: Any, until: Any, lull: Any) -> Any:
    """Factors on the probability of buying and on the visits of a day that ends at `until`, by
    what is remembered at its noon."""
    buys, visits, half_life, latest = lull
    if buys == 0.0 and visits == 0.0:
        return 1.0, 1.0
    weight = remembered(known, until - DAY // 2, half_life, latest)
    return math.exp(-buys * weight), math.exp(-visits * weight)
