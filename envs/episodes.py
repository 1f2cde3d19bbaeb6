"""Episodes: whose they are, what they draw, and what settings they run under."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mdp.errors import BadSetting, NotEnoughData
from mdp.guardrails import Guardrails
from mdp.reward import Reward
from simulator.description import Simulator
from simulator.randomness import EPISODE, keys, words
from simulator.saved import load_simulator

Source = Simulator | str | Path
"""A simulator, or the directory of a saved one."""


def settled(
    simulator: Source,
    days: int,
    model: Source | None,
    reward: Reward | None,
    guardrails: Guardrails | None,
) -> Simulator:
    """The simulator with an environment's arguments put over it."""
    if days < 1:
        raise BadSetting(f"days is {days!r}; an episode needs at least 1")
    chosen = simulator if isinstance(simulator, Simulator) else load_simulator(simulator)
    if model is not None:
        chosen = chosen.believing(model if isinstance(model, Simulator) else load_simulator(model))
    return replace(
        chosen,
        reward=chosen.reward if reward is None else reward,
        guardrails=chosen.guardrails if guardrails is None else guardrails,
    )


@dataclass
class Episodes:
    """Draws the user and the kernel's seed of each row's next episode.

    Both are hashes of the row's own seed and the episode's number, so a row of a vector
    environment meets the same episodes as a single environment with its seed.
    """

    eligible: np.ndarray
    """Rows of the users who can be pushed at all (M,) int64."""
    seed: np.ndarray
    """(N,) uint64"""
    number: np.ndarray
    """Episodes begun so far (N,) int64."""

    @classmethod
    def of(cls, simulator: Simulator, size: int) -> Episodes:
        """For `size` rows; raises `NotEnoughData` where all users have unsubscribed."""
        histories = simulator.histories
        eligible = np.flatnonzero((histories["unsubscribed"] == 0) & (histories["consent"] == 1))
        if not len(eligible):
            raise NotEnoughData("none of the simulator's users may be pushed: fit one with others")
        return cls(eligible, np.zeros(size, np.uint64), np.zeros(size, np.int64))

    def reseed(self, seeds: np.ndarray) -> None:
        """Begin anew under seeds (N,)."""
        self.seed = np.asarray(seeds).astype(np.uint64)
        self.number[:] = 0

    def next(self, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Users (M,) int64 and kernel seeds (M,) uint64 of the episodes that begin in the rows
        `where` (N,) bool."""
        key = keys(
            self.seed[where], EPISODE, np.zeros(int(where.sum()), np.uint64), self.number[where]
        )
        self.number[where] += 1
        place = words(key, 0) % np.uint64(len(self.eligible))
        return self.eligible[place.astype(np.int64)], words(key, 1)
