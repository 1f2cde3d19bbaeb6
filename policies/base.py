"""The policy interface: scores in, probabilities, propensities and decisions out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mdp.observation import Observation
from policies.composition import Distribution, Factors, distribution, flat_probabilities


@dataclass(frozen=True, kw_only=True)
class Policy(ABC):
    """Decides from observations. Subclasses are frozen dataclasses that give `scores`."""

    kind: ClassVar[str]
    """network, greedy, planner, linear, table, rule or mixture"""
    name: str
    """What reports and logs call it."""
    temperature: float | None
    """Of the softmax over scores; None: take the best."""
    floor: float = 0.0
    """Exploration floor ε."""

    @abstractmethod
    def scores(self, observation: Observation) -> Factors:
        """Scores of N decisions; a send's is `pair + hour`."""

    def distribution(self, observation: Observation) -> Distribution:
        """π of N decisions, in parts."""
        return self.distribution_of(self.scores(observation), observation)

    def distribution_of(self, factors: Factors, observation: Observation) -> Distribution:
        """π of N decisions from their scores, for who has these already."""
        return distribution(factors, observation["action_mask"], self.temperature, self.floor)

    def probabilities(self, observation: Observation) -> np.ndarray:
        """Probability of every flat action (N, 1 + K·V·24) float64, after guardrails."""
        return flat_probabilities(self.distribution(observation))

    def propensity(self, observation: Observation, actions: np.ndarray) -> np.ndarray:
        """Exact probability (N,) float64 of flat actions (N,), after guardrails."""
        return self.distribution(observation).probability(np.asarray(actions, np.int64))

    def act(
        self, observation: Observation, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Drawn flat actions (N,) int64 and their propensities (N,) float64."""
        parts = self.distribution(observation)
        actions = parts.draw(rng)
        return actions, parts.probability(actions)
