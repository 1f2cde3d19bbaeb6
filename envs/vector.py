"""Many users at once: the vector environment, one kernel for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.episodes import Episodes, Source, settled
from envs.spaces import action_space, bounded, observation_space
from mdp.guardrails import Guardrails
from mdp.observation import Observation
from mdp.reward import Reward
from simulator.kernel import Kernel
from simulator.payment import Step

METADATA: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}


class PushVectorEnv(VectorEnv[Observation, np.ndarray, np.ndarray]):
    """`num_envs` users of a simulated shop at once; each row is a `PushEnv`.

    Row i of `reset(seed=s)` meets the same episodes as a `PushEnv` after `reset(seed=s + i)`. A
    row whose episode ends begins its next one in the same step (autoreset mode SAME_STEP): the
    last observation and info of the one that ended are in `infos["final_obs"][i]` (a dict of
    arrays) and `infos["final_info"]`.

    Arguments are those of `PushEnv`, and `num_envs`.
    """

    metadata = METADATA

    def __init__(
        self,
        simulator: Source,
        num_envs: int = 1,
        days: int = 28,
        model: Source | None = None,
        reward: Reward | None = None,
        guardrails: Guardrails | None = None,
    ) -> None:
        self.simulator = settled(simulator, days, model, reward, guardrails)
        self.num_envs = num_envs
        self.single_action_space = action_space(self.simulator)
        self.single_observation_space = observation_space(self.simulator)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._episodes = Episodes.of(self.simulator, num_envs)
        self._seeded = False
        self._ids = np.array(self.simulator.users.ids, object)
        rows = np.resize(self._episodes.eligible, num_envs)
        self.kernel = Kernel(self.simulator, rows, 0, days)
        """What steps the users."""

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode in every row. A sequence gives each row's seed."""
        super().reset(seed=seed if isinstance(seed, int) else None)
        if isinstance(seed, int):
            self._reseed(np.arange(seed, seed + self.num_envs))
        elif seed is not None:
            drawn = self.np_random.integers(2**63, size=self.num_envs).tolist()
            pairs = zip(seed, drawn, strict=True)
            self._reseed(np.array([b if a is None else a for a, b in pairs], np.uint64))
        elif not self._seeded:
            self._reseed(self.np_random.integers(2**63, size=self.num_envs))
        where = np.ones(self.num_envs, bool)
        self.kernel.reset(where, *self._episodes.next(where))
        none = np.zeros(self.num_envs)
        return bounded(self.kernel.view().observation), self._infos(none, none.astype(bool))

    def _reseed(self, seeds: np.ndarray) -> None:
        self._episodes.reseed(seeds)
        self._seeded = True

    def step(
        self, actions: np.ndarray
    ) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Decide for every row, and live to the next local midnight."""
        step = self.kernel.step(np.asarray(actions))
        terminated = self.kernel.unsubscribed & (self.simulator.reward.credit == "attributed")
        truncated = self.kernel.day >= self.kernel.days
        ended = terminated | truncated
        final = self._finals(step, ended) if ended.any() else {}
        if ended.any():
            self.kernel.reset(ended, *self._episodes.next(ended))
        infos = self._infos(np.where(ended, 0.0, step.expected), step.illegal & ~ended) | final
        observation = bounded(self.kernel.view().observation)
        return observation, step.reward, terminated, truncated, infos

    def _infos(self, expected: np.ndarray, illegal: np.ndarray) -> dict[str, Any]:
        present = np.ones(self.num_envs, bool)
        values = {
            "action_mask": self.kernel.view().mask.allowed,
            "expected_reward": expected,
            "illegal": illegal,
            "user_id": self._ids[self.kernel.rows],
        }
        return values | {f"_{name}": present for name in values}

    def _finals(self, step: Step, ended: np.ndarray) -> dict[str, Any]:
        """The last observation and info of the rows that ended, as Gymnasium stacks them."""
        observation = self.kernel.view().observation
        last = bounded({name: array[ended] for name, array in observation.items()})
        final_obs = np.full(self.num_envs, None, object)
        for i, row in enumerate(np.flatnonzero(ended)):
            final_obs[row] = {name: array[i] for name, array in last.items()}
        info = self._infos(step.expected, step.illegal)
        info |= {name: ended for name in info if name.startswith("_")}
        return {
            "final_obs": final_obs,
            "_final_obs": ended,
            "final_info": info,
            "_final_info": ended,
        }
