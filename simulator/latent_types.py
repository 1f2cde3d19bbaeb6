"""Users of latent types, whose distribution is free (Heckman and Singer, 1984), and what they did,
for `simulator/fit_lull.py`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HASTE = 1.8
"""Power of each round's step, below 2 (Salakhutdinov and Roweis, 2003. Adaptive overrelaxed bound
optimization methods. ICML)."""
SMOOTHED = 5.0
"""Purchases or visits, as expected, that are added to each day's for what it does to all users."""
IN_TURN = 10
"""Times that what days do to all users is fitted beside the users' rates."""


@dataclass(frozen=True)
class Trials:
    """M days of users on which something may have happened: each of some turns, or, for `turns`
    None, as often as a Poisson number says."""

    owner: np.ndarray
    """Row of the user (M,) int64, ascending."""
    day: np.ndarray
    """(M,) int64"""
    turns: np.ndarray | None
    """(M,) float64"""
    happened: np.ndarray
    """Whether anything did (M,) bool."""
    rates: np.ndarray
    """Of the types (G,): probability of a turn, or expected number a day."""
    users: int

    @classmethod
    def of(
        cls, where: np.ndarray, turns: np.ndarray | None, happened: np.ndarray, rates: np.ndarray
    ) -> Trials:
        """From arrays (U, T)."""
        owner, day = np.nonzero(where)
        some = None if turns is None else turns[where].astype(np.float64)
        return cls(owner, day, some, happened[where], rates, len(where))

    def _none(self, rate: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Log probability that nothing happened in trials `which` (m,) at rates (m, …)."""
        if self.turns is None:
            return -rate
        turns = self.turns[which].reshape(-1, *[1] * (rate.ndim - 1))
        return turns * np.log1p(-np.minimum(rate, 0.999))

    def table(self, factor: np.ndarray) -> np.ndarray:
        """Log-likelihood (U, G) of each rate, taken by factors (M,) and by what days do to all."""
        return self._likelihoods(factor * self._of_days(factor))

    def _likelihoods(self, factor: np.ndarray) -> np.ndarray:
        """Log-likelihood (U, G) of each type, with factors (M,) on its rate."""
        out = np.zeros((self.users, len(self.rates)))
        yes, no = np.flatnonzero(self.happened), np.flatnonzero(~self.happened)
        if self.turns is None:
            out -= np.bincount(self.owner[no], factor[no], self.users)[:, None] * self.rates
        else:
            _add(out, self.owner[no], self._none(factor[no, None] * self.rates, no))
        nothing = self._none(np.maximum(factor[yes, None] * self.rates, 1e-12), yes)
        _add(out, self.owner[yes], np.log(-np.expm1(nothing)))
        return out

    def _of_days(self, factor: np.ndarray) -> np.ndarray:
        """What each trial's day does to all users (M,), whose rates are taken by `factor` (M,).

        Users' rates and days' effects are fitted in turn, a rate as if it was Gamma distributed.
        """
        every, often = np.arange(len(self.owner)), np.ones(len(self.owner))
        came, days = self._by_owner(self.happened), np.bincount(self.day, self.happened)
        turns = self._by_owner(factor if self.turns is None else factor * self.turns)
        usual = (came.sum() + 1.0) / (turns.sum() + 1.0)
        rate = np.full(self.users, usual)
        for _ in range(IN_TURN):
            expected = -np.expm1(self._none(rate[self.owner] * factor * often, every))
            rate = (came + 1.0) / (self._by_owner(expected) / rate + 1.0 / usual)
            expected = -np.expm1(self._none(rate[self.owner] * factor * often, every))
            often *= ((days + SMOOTHED) / (np.bincount(self.day, expected) + SMOOTHED))[self.day]
        return often

    def _by_owner(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self.owner, values, self.users)


def _add(out: np.ndarray, owner: np.ndarray, values: np.ndarray) -> None:
    """Add rows (m, G), of ascending owners (m,), to those of their owners (U, G)."""
    if len(owner):
        first = np.flatnonzero(np.diff(owner, prepend=-1))
        out[owner[first]] += np.add.reduceat(values, first)


def distribution(
    tables: list[np.ndarray], share: np.ndarray, rounds: int
) -> tuple[np.ndarray, float]:
    """The distribution of the types (G,) or (G, H) after some rounds of expectation and
    maximisation from `share` on, and the log-likelihood of all users under it."""
    first, second, top = _relative(tables)
    grid = share.reshape(first.shape[1], -1)
    for _ in range(rounds):
        likely = ((first @ grid) * second).sum(1)
        grid = grid * ((first / likely[:, None]).T @ second / len(first)) ** HASTE
        grid /= grid.sum()
    likely = ((first @ grid) * second).sum(1)
    return grid.reshape(share.shape), float((np.log(likely) + top).sum())


def _relative(tables: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Likelihoods (U, G) and (U, H) over the largest, whose logarithm (U,) is the third."""
    both = [*tables, np.zeros((len(tables[0]), 1))][:2]
    tops = [table.max(1) for table in both]
    first, second = (np.exp(table - top[:, None]) for table, top in zip(both, tops, strict=True))
    return first, second, tops[0] + tops[1]
