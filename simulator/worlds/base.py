"""Known-truth worlds: shops whose users' behaviour is known exactly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from mdp.clock import DAY, HOUR, SECOND
from policies.base import Policy
from simulator.description import Simulator
from simulator.kernel import Kernel
from simulator.worlds.population import Goods, Population

START = int(datetime(2025, 2, 17, tzinfo=UTC).timestamp()) * SECOND + 12 * HOUR
"""Where worlds begin: a Monday noon, some weeks before daylight saving starts; by noon UTC no
zone of a world has a midnight near, so a day's length keeps every user in step."""


@dataclass(frozen=True)
class World(ABC):
    """Makes simulators whose response model and traits are the truth."""

    name: str
    recommender_noise: float = 0.8
    """Standard deviation of the noise on the recommender's guess of a user's liking of an item."""

    @abstractmethod
    def simulator(self, users: int, seed: int, start: int = START) -> Simulator:
        """U users whom nothing has happened to yet, at `start`, microseconds UTC."""

    @abstractmethod
    def over(self, goods: Goods, population: Population, seed: int, start: int) -> Simulator:
        """The world's responses over given items and users, whom nothing has happened to yet."""


def lived(
    simulator: Simulator, days: int, seed: int, policy: Policy | None = None, record: bool = False
) -> tuple[Simulator, Kernel]:
    """The simulator after `days` under a policy (default: its logging policy), and the kernel
    that lived them, with its recording."""
    policy = simulator.logging if policy is None else policy
    kernel = Kernel(simulator, np.arange(len(simulator.users)), seed, days, record)
    rng = np.random.default_rng([seed, 7])
    while not kernel.done:
        actions, propensity = policy.act(kernel.view().observation, rng)
        kernel.step(actions, propensity, policy.name)
    later = replace(simulator, start=simulator.start + days * DAY, histories=kernel.histories)
    return later, kernel
