"""What an agent is paid while it learns: expected rewards, less the prices of budgets."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.budgets import Prices
from envs.sb3 import SB3VecEnv
from envs.vector import PushVectorEnv
from mdp.errors import BadSetting
from mdp.observation import Observation


class ExpectedRewards(SB3VecEnv):
    """Pays what a push is expected to bring instead of what it happened to, in value units: the
    same return on average, with far less noise."""

    def __init__(self, env: PushVectorEnv, value_unit: float, pessimism: float = 0.0) -> None:
        """value_unit: currency of one unit paid. pessimism: standard deviations over the
        ensemble's members by which a push's expectation is lowered; 0 takes the episode's own
        member at its word. Raises `BadSetting`."""
        super().__init__(env)
        self.unit, self._pessimism = value_unit, pessimism
        self.prices = Prices()
        """What is charged on top."""
        # With every purchase credited, the push's own expectation is not the whole reward.
        self._expected = env.simulator.reward.credit == "attributed"
        if pessimism < 0.0:
            raise BadSetting(f"pessimism is {pessimism}; it must be 0 or above")
        if pessimism and (len(env.simulator.members) < 2 or not self._expected):
            raise BadSetting(
                "pessimism needs an ensemble to disagree, and a reward that credits what a push "
                "brings: leave it at 0 here"
            )

    def step_wait(self) -> tuple[Observation, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step all rows."""
        cautious = self._cautious() if self._pessimism else None
        observation, reward, done, infos = super().step_wait()
        if cautious is not None:
            reward = cautious
        elif self._expected:
            reward = np.array([info["expected_reward"] for info in infos])
        if self.prices != Prices():
            risk = np.array([info["expected_unsubscribe"] for info in infos])
            sent = self._actions > 0
            reward = reward - self.prices.send * sent - self.prices.unsubscribe * risk
        return observation, (reward / self.unit).astype(np.float32), done, infos

    def _cautious(self) -> np.ndarray:
        """Mean over the members of what they expect of the coming pushes (N,), less their
        disagreement."""
        assert isinstance(self.env, PushVectorEnv)
        expected = self.env.kernel.expected_by_member(self._actions)
        return expected.mean(0) - self._pessimism * expected.std(0, ddof=1)
