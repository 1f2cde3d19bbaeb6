"""Splits to judge rankers by: what is learned from, and what they should have found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from generation.candidates.interactions import Interactions
from mdp.clock import DAY
from mdp.errors import BadSetting, NotEnoughData

SPLITS = ("time", "leaky-random", "leaky-leave-one-out")
"""By time; or two that the literature uses though they let a ranker learn from the days that it
is asked about, which is why they must be asked for by that name."""


@dataclass(frozen=True, eq=False)
class Split:
    """What is known, and what is asked."""

    known: Interactions
    truth: csr_matrix
    """1 where a user bought an item that a ranker should have found (U, I) float32."""
    users: np.ndarray
    """Rows of the users asked about (N,) int64: they met something before and bought after."""

    def asked(self, new: bool) -> tuple[np.ndarray, csr_matrix, csr_matrix | None]:
        """Users (N,), what they bought (N, I), and what must not be offered them (N, I).

        new: only items that the user had not met, and only those are offered. Raises
        `NotEnoughData` where nobody bought such an item.
        """
        if not new:
            return self.users, self.truth[self.users], None
        met = self.known.met[self.users]
        fresh = self.truth[self.users] - self.truth[self.users].multiply(met)
        fresh = csr_matrix(fresh)
        fresh.eliminate_zeros()
        some = np.flatnonzero(np.diff(fresh.indptr))
        if not len(some):
            raise NotEnoughData(
                "after the split nobody bought an item that they had not met before"
            )
        return self.users[some], fresh[some], met[some]


def splits_of(
    log: Interactions, days: int = 30, split: str = "time", seed: int = 0
) -> tuple[Split, Split]:
    """The validation split, by which configurations are chosen, and the test split, read once.

    By time, the last `days` UTC days of the log are the test and those before them the validation.
    Raises `BadSetting` for a split of another name and `NotEnoughData` for a log that is too short.
    """
    if split not in SPLITS:
        leaky = f"leaky-{split}"
        raise BadSetting(
            f"--split is {split!r}; "
            + (
                f"a {split} split lets rankers learn from the days that they are asked about: if "
                f"that is what you want, name it {leaky!r}"
                if leaky in SPLITS
                else f"use {', '.join(SPLITS)}"
            )
        )
    if days < 1:
        raise BadSetting(f"--days is {days}; it must be 1 or more")
    end = -(-log.until // DAY) * DAY
    validation_at, test_at = end - 2 * days * DAY, end - days * DAY
    if split == "time":
        return (
            _split(log.before(test_at), log.at[log.at < test_at] >= validation_at, validation_at),
            _split(log, log.at >= test_at, test_at),
        )
    rng = np.random.default_rng(seed)
    test = _drawn(log, split, rng)
    rest = log.where(~test)
    return _split(rest, _drawn(rest, split, rng), log.until), _split(log, test, log.until)


def _split(log: Interactions, after: np.ndarray, until: int) -> Split:
    known, asked = log.where(~after, until), log.where(after & log.bought)
    truth = asked.met
    users = np.flatnonzero((np.diff(truth.indptr) > 0) & (np.diff(known.counts.indptr) > 0))
    if not len(users):
        raise NotEnoughData(
            "nobody met an item before the split and bought one after it: the log is too short, or "
            "a smaller --days may do"
        )
    return Split(known, truth, users)


def _drawn(log: Interactions, split: str, rng: np.random.Generator) -> np.ndarray:
    """Which interactions (n,) bool are asked about: a tenth, or each user's last."""
    if split == "leaky-random":
        return rng.random(len(log.user)) < 0.1
    _, from_end = np.unique(log.user[::-1], return_index=True)
    last = np.zeros(len(log.user), bool)
    last[len(log.user) - 1 - from_end] = True
    return last
