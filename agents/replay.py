"""Replay of whole days of a vector environment, for n-step targets.

Each day's observations are stored once, not also as the next ones of the day before. A target
that would run past the end of an episode stops at its last observation that was decided on: at a
truncation the value is bootstrapped there, at a termination nothing follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from mdp.observation import Observation


@dataclass(frozen=True)
class Batch:
    """Transitions over up to n days (tensors)."""

    observation: dict[str, Tensor]
    action: Tensor
    """(B,) int64"""
    reward: Tensor
    """Discounted sum over the days (B,)."""
    discount: Tensor
    """Of the value of what follows (B,); 0 after a termination."""
    following: dict[str, Tensor]


class Replay:
    """The last days of E environments, in a ring; made by SB3 with these arguments."""

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Dict,
        action_space: spaces.Space[Any],
        device: Any = "cpu",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        gamma: float = 0.99,
        n_days: int = 1,
    ) -> None:
        self.days = max(buffer_size // n_envs, n_days + 2)
        self.n_envs, self.gamma, self.n_days = n_envs, gamma, n_days
        self.observations = {
            name: np.zeros((self.days, n_envs, *space.shape), space.dtype)
            for name, space in observation_space.spaces.items()
            if space.shape is not None
        }
        self.actions = np.zeros((self.days, n_envs), np.int64)
        self.rewards = np.zeros((self.days, n_envs), np.float32)
        self.risks = np.zeros((self.days, n_envs), np.float32)
        self.terminated = np.zeros((self.days, n_envs), bool)
        self.truncated = np.zeros((self.days, n_envs), bool)
        self.added = 0

    def size(self) -> int:
        """User-days stored."""
        return min(self.added, self.days) * self.n_envs

    def add(
        self,
        observation: Observation,
        actions: np.ndarray,
        rewards: np.ndarray,
        risks: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
    ) -> None:
        """Store a day: what was seen, done (E,) int, and paid (E,), how likely an unsubscribe was
        (E,), and which episodes ended."""
        day = self.added % self.days
        for name, array in self.observations.items():
            array[day] = observation[name]
        self.actions[day], self.rewards[day], self.risks[day] = actions, rewards, risks
        self.terminated[day], self.truncated[day] = terminated, truncated
        self.added += 1

    def cut(self) -> None:
        """End all episodes after the last day stored: what comes next does not follow from it."""
        if self.added:
            self.truncated[(self.added - 1) % self.days] = True

    def charge(self, send: float, unsubscribe: float) -> None:
        """Take from all rewards stored what a send and an unsubscribe cost more than before."""
        self.rewards -= send * (self.actions > 0) + unsubscribe * self.risks

    @property
    def ready(self) -> bool:
        """Whether any transition has a target."""
        day = np.arange(max(self.added - self.days, 0), self.added - 1)
        return not self.truncated[day % self.days].all()

    def sample(self, size: int, rng: np.random.Generator) -> Batch:
        """Transitions drawn alike from all that have a target; needs `ready`."""
        oldest = self.added - min(self.added, self.days)
        start, env = np.zeros(0, np.int64), np.zeros(0, np.int64)
        while len(start) < size:
            # The newest day has no successor yet; a truncated one has none that was decided on.
            day = rng.integers(oldest, self.added - 1, size)
            who = rng.integers(0, self.n_envs, size)
            good = ~self.truncated[day % self.days, who]
            start = np.concatenate([start, day[good]])[:size]
            env = np.concatenate([env, who[good]])[:size]
        reward = np.zeros(size, np.float32)
        discount = np.ones(size, np.float32)
        at, running, alive = start.copy(), np.ones(size, bool), np.ones(size, bool)
        for _ in range(self.n_days):
            row = at % self.days
            running &= (at < self.added - 1) & ~self.truncated[row, env]
            reward += np.where(running, discount * self.rewards[row, env], 0.0)
            discount *= np.where(running, self.gamma, 1.0).astype(np.float32)
            at += running
            ended = running & self.terminated[row, env]
            alive &= ~ended
            running &= ~ended
        return Batch(
            self._take(start, env),
            torch.as_tensor(self.actions[start % self.days, env]),
            torch.as_tensor(reward),
            torch.as_tensor(discount * alive),
            self._take(at, env),
        )

    def _take(self, day: np.ndarray, env: np.ndarray) -> dict[str, Tensor]:
        row = day % self.days
        return {name: torch.as_tensor(array[row, env]) for name, array in self.observations.items()}
