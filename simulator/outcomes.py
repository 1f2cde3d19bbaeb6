"""What follows a send: outcomes drawn from conditional probabilities, each with its delay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdp.clock import HOUR, MINUTE, NEVER
from mdp.compiled import njit
from mdp.state import ATTRIBUTION
from simulator.description import Delays
from simulator.randomness import normal, uniform

INSTANTS = ("opened", "clicked", "purchased", "dismissed", "unsubscribed")


@dataclass(frozen=True)
class Outcomes:
    """When what followed each of N decisions, int64; `NEVER` for what did not."""

    instants: np.ndarray
    """(N, 5), in the order of `INSTANTS`."""

    @property
    def opened(self) -> np.ndarray:
        """(N,)"""
        return self.instants[:, 0]

    @property
    def clicked(self) -> np.ndarray:
        """(N,)"""
        return self.instants[:, 1]

    @property
    def purchased(self) -> np.ndarray:
        """(N,)"""
        return self.instants[:, 2]

    @property
    def dismissed(self) -> np.ndarray:
        """(N,)"""
        return self.instants[:, 3]

    @property
    def unsubscribed(self) -> np.ndarray:
        """(N,)"""
        return self.instants[:, 4]


def draw_outcomes(
    probability: np.ndarray, send_at: np.ndarray, key: np.ndarray, delays: Delays
) -> Outcomes:
    """Outcomes of N decisions.

    probability: (N, 5) conditional probabilities of the heads, as `outcomes_of` gives them.
    send_at: (N,) int64, `NEVER` for a hold. key: (N,) uint64 random keys.
    """
    out = np.empty((len(send_at), len(INSTANTS)), np.int64)
    medians = np.array(
        [
            delays.open_hours * HOUR,
            delays.click_minutes * MINUTE,
            delays.buy_hours * HOUR,
            delays.dismiss_hours * HOUR,
            delays.unsubscribe_hours * HOUR,
        ]
    )
    longest = np.array([24 * HOUR, HOUR, ATTRIBUTION - HOUR, 12 * HOUR, 12 * HOUR], np.float64)
    _draw(probability, send_at, key, medians, longest, delays.spread, out)
    return Outcomes(out)


@njit(cache=True)
def _later(key: Any, draw: Any, at: Any, median: Any, longest: Any, spread: Any) -> Any:
    delay = min(median * math.exp(spread * normal(key, draw)), longest)
    return at + max(np.int64(delay), 1)


@njit(cache=True)
def _draw(
    probability: Any, send_at: Any, key: Any, median: Any, longest: Any, spread: Any, out: Any
) -> None:
    for n in range(send_at.size):
        at = send_at[n]
        for head in range(5):
            out[n, head] = NEVER
        if at == NEVER:
            continue
        # A head's numbers are fixed: heads 0–4 take draws 0–4, their delays draws 5, 7, …
        previous = at
        for head in range(3):
            if uniform(key[n], head) >= probability[n, head]:
                break
            previous = _later(key[n], 5 + 2 * head, previous, median[head], longest[head], spread)
            out[n, head] = previous
        if previous == at and uniform(key[n], 3) < probability[n, 3]:
            out[n, 3] = _later(key[n], 11, at, median[3], longest[3], spread)
        if uniform(key[n], 4) < probability[n, 4]:
            out[n, 4] = _later(key[n], 13, at, median[4], longest[4], spread)
