"""Stable-Baselines3's vector interface over a `PushVectorEnv`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from envs.vector import PushVectorEnv, same_step
from envs.wrappers import CampaignBudget
from mdp.errors import BadInput
from mdp.observation import Observation
from mdp.reward import PARTS

_TOLD = ("expected_reward", "expected_unsubscribe", *(f"reward_{part}" for part in PARTS))


class SB3VecEnv(VecEnv):
    """All rows of a vector environment, stepped at once.

    An info holds `expected_reward`, `expected_unsubscribe` and the parts of the reward
    (`reward_purchase`, …), and at an episode's end `terminal_observation` and
    `TimeLimit.truncated`, from which SB3 bootstraps. `reset_infos` hold the `user_id`.
    `set_options` takes those of `PushEnv.reset` for the next reset, for all rows or one dict a row.
    Raises `BadSetting` over anything but a `PushVectorEnv` in autoreset mode SAME_STEP.
    """

    def __init__(self, env: PushVectorEnv | CampaignBudget) -> None:
        same_step(env, "SB3VecEnv")
        self.env = env
        self._actions = np.zeros(env.num_envs, np.int64)
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> Observation:
        """Begin all episodes anew, under the seed given by `seed` where there is one and with the
        options given by `set_options`."""
        seeds = None if all(seed is None for seed in self._seeds) else self._seeds
        observation, infos = self.env.reset(seed=seeds, options=_by_row(self._options))
        self.reset_infos = [{"user_id": str(name)} for name in infos["user_id"]]
        self._reset_seeds()
        self._reset_options()
        return observation

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions (N,) for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Observation, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step all rows."""
        observation, reward, terminated, truncated, infos = self.env.step(self._actions)
        columns = zip(*(infos[name].tolist() for name in _TOLD), strict=True)
        # Names spelled out, as in `_TOLD`, make a dict in half the time.
        rows: list[dict[str, Any]] = [
            {
                "expected_reward": reward_ahead,
                "expected_unsubscribe": risk,
                "reward_purchase": purchase,
                "reward_click": click,
                "reward_dismissal": dismissal,
                "reward_unsubscribe": unsubscribe,
                "reward_send": send,
            }
            for reward_ahead, risk, purchase, click, dismissal, unsubscribe, send in columns
        ]
        done = terminated | truncated
        for row in np.flatnonzero(done):
            rows[row] = {
                **{name: float(infos["final_info"][name][row]) for name in _TOLD},
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


def _by_row(options: list[dict[str, Any]]) -> dict[str, Any]:
    """Each row's reset options as one dict of lists; raises `BadInput` where rows name different
    ones."""
    names = options[0].keys()
    if any(row.keys() != names for row in options):
        raise BadInput("each row needs the same reset options: give every row a value of each")
    return {name: [row[name] for row in options] for name in names}
