"""Stable-Baselines3's vector interface over a `PushVectorEnv`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from envs.vector import PushVectorEnv
from envs.wrappers import CampaignBudget
from mdp.observation import Observation


class SB3VecEnv(VecEnv):
    """All rows of a vector environment, stepped at once.

    An info holds `expected_reward` and `expected_unsubscribe`, and at an episode's end
    `terminal_observation` and `TimeLimit.truncated`, from which SB3 bootstraps.
    """

    def __init__(self, env: PushVectorEnv | CampaignBudget) -> None:
        self.env = env
        self._actions = np.zeros(env.num_envs, np.int64)
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> Observation:
        """Begin all episodes anew, under the seed given by `seed` where there is one."""
        seeds = None if all(seed is None for seed in self._seeds) else self._seeds
        observation, _ = self.env.reset(seed=seeds)
        self._reset_seeds()
        return observation

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions (N,) for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Observation, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step all rows."""
        observation, reward, terminated, truncated, infos = self.env.step(self._actions)
        names = ("expected_reward", "expected_unsubscribe")
        expected = zip(*(infos[name].tolist() for name in names), strict=True)
        rows: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in expected]
        done = terminated | truncated
        for row in np.flatnonzero(done):
            rows[row] = {
                **{name: float(infos["final_info"][name][row]) for name in names},
                "terminal_observation": infos["final_obs"][row],
                "TimeLimit.truncated": bool(truncated[row] and not terminated[row]),
            }
        return observation, reward.astype(np.float32), done, rows

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """The vector environment's attribute, once a row."""
        return [getattr(self.env, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set it for all rows."""
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Call the vector environment's method once; its result, once a row. Of `action_masks`,
        as MaskablePPO asks, each row's own."""
        result = getattr(self.env, method_name)(*args, **kwargs)
        if method_name == "action_masks":
            return list(result[list(self._get_indices(indices))])
        return [result] * len(list(self._get_indices(indices)))

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None
    ) -> list[bool]:
        """No row is."""
        return [False] * len(list(self._get_indices(indices)))

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Nothing is drawn."""
        return [None] * self.num_envs
