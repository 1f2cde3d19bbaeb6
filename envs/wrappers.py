"""Wrappers: factored actions, flat observations, and a campaign with a budget of sends."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorWrapper
from gymnasium.vector.utils import batch_space

from envs.push import PushEnv
from envs.spaces import LIMIT, flat_masks
from envs.vector import PushVectorEnv
from mdp.actions import HOLD, HOURS, decode, encode
from mdp.errors import BadSetting
from mdp.observation import Observation

ORDER = ("user", "candidates", "variants", "hours", "pairs", "action_mask")
"""Parts of a flat observation, each laid out row by row."""


class FactoredActions(gymnasium.ActionWrapper[Any, Any, Any], RecordConstructorArgs):
    """`MultiDiscrete([2, K, V, 24])` in place of the flat action: send?, item, variant, hour.

    Where the first is 0 it is a hold, whatever the others are.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        self._lists = _push(env).simulator.lists
        self.action_space = spaces.MultiDiscrete([2, *self._lists, HOURS])

    def action(self, action: np.ndarray) -> np.int64:
        """The flat action of factors (4,)."""
        send, item, variant, hour = np.asarray(action, np.int64)[:, None]
        return (
            np.int64(encode(item, variant, hour, self._lists[1])[0]) if send[0] else np.int64(HOLD)
        )

    def action_masks(self) -> np.ndarray:
        """Which value of each factor is allowed (2 + K + V + 24,) bool, as MaskablePPO asks.

        Where no send is allowed the three factors that then mean nothing are all allowed.
        """
        allowed = _push(self.env).kernel.view().mask.allowed[0].astype(bool)
        factors = np.split(allowed, np.cumsum(self._lists))
        sends = all(factor.any() for factor in factors)
        return np.concatenate([[True, sends], allowed if sends else np.ones_like(allowed)])


class FlatObservation(gymnasium.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """One float32 vector in place of the dict: the parts of `ORDER` one after the other.

    `parts` says where each of them lies.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        inner = env.observation_space
        assert isinstance(inner, spaces.Dict)
        sizes = [int(np.prod(inner[name].shape or ())) for name in ORDER]
        ends = np.cumsum(sizes).tolist()
        self.parts: dict[str, slice] = {
            name: slice(end - size, end) for name, size, end in zip(ORDER, sizes, ends, strict=True)
        }
        """Part → its place in the vector."""
        low, high = np.full(ends[-1], -LIMIT, np.float32), np.full(ends[-1], LIMIT, np.float32)
        low[self.parts["action_mask"]], high[self.parts["action_mask"]] = 0, 1
        self.observation_space = spaces.Box(low, high)

    def observation(self, observation: Observation) -> np.ndarray:
        """The vector (D,) float32 of an observation."""
        return np.concatenate([np.ravel(observation[name]).astype(np.float32) for name in ORDER])


class CampaignBudget(VectorWrapper):
    """A campaign over the rows of a `PushVectorEnv`: all of them share `sends` sends an episode.

    All rows begin and end together. A user who unsubscribes therefore stays until the end, with
    nothing but holds allowed and nothing more to earn. When the sends are spent only holds are
    allowed, and masks show it. Where a step asks for more sends than are left, those that would go
    out first are made and the others are holds; `infos["over_budget"]` names their rows.

    The observation gets `budget` (N, 1) float32: sends left for each user. Raises `BadSetting`
    for fewer than 1 send, and without autoreset mode SAME_STEP.
    """

    def __init__(self, env: Any, sends: int) -> None:
        super().__init__(env)
        base = env.unwrapped
        if not isinstance(base, PushVectorEnv):
            raise BadSetting(f"CampaignBudget goes over a PushVectorEnv, not {type(base).__name__}")
        if sends < 1:
            raise BadSetting(f"sends is {sends!r}; a campaign needs at least 1")
        if base.autoreset_mode is not AutoresetMode.SAME_STEP:
            raise BadSetting(
                f"autoreset_mode is {base.autoreset_mode.name}; CampaignBudget needs SAME_STEP"
            )
        base.ends_on_unsubscribe = False
        self._base, self.sends, self.left = base, sends, sends
        most = sends / base.num_envs
        self.single_observation_space = spaces.Dict(
            {
                **env.single_observation_space.spaces,
                "budget": spaces.Box(0.0, np.float32(most), (1,), np.float32),
            }
        )
        self.observation_space = batch_space(self.single_observation_space, base.num_envs)

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a campaign in all rows; `reset_mask` is refused."""
        if options and "reset_mask" in options:
            raise BadSetting("reset_mask begins some rows; a campaign begins in all: leave it out")
        observation, infos = self.env.reset(seed=seed, options=options)
        self.left = self.sends
        over = np.zeros(self._base.num_envs, bool)
        return self._shown(observation), self._masked(infos, over)

    def step(
        self, actions: np.ndarray
    ) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Decide for every row within the budget, and live to the next local midnight."""
        allowed, over = self._within(np.asarray(actions, np.int64))
        observation, reward, terminated, truncated, infos = self.env.step(allowed)
        if truncated.any():
            for last in infos["final_obs"]:
                self._show(last, ())
            self._masked(infos["final_info"], over)
            self.left, over = self.sends, np.zeros_like(over)
        return self._shown(observation), reward, terminated, truncated, self._masked(infos, over)

    def action_masks(self) -> np.ndarray:
        """Which flat actions are allowed (N, 1 + K·V·24) bool, as MaskablePPO asks."""
        allowed = self._base.kernel.view().mask.allowed * (self.left > 0)
        return flat_masks(allowed, self._base.simulator.lists)

    def _within(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The actions (N,) that the budget allows, and which ones it made holds (N,) bool."""
        mask, (K, V) = self._base.kernel.view().mask, self._base.simulator.lists
        rows = np.arange(len(actions))
        k, v, h = decode(actions, K, V)
        sends = (actions != HOLD) & (mask.item[rows, k] == 0)
        sends &= (mask.variant[rows, v] == 0) & (mask.hour[rows, h] == 0)
        asked = np.flatnonzero(sends)
        order = asked[np.argsort(mask.send_at[asked, h[asked]], kind="stable")]
        over = np.zeros(len(actions), bool)
        over[order[self.left :]] = True
        self.left -= min(self.left, len(order))
        return np.where(over, HOLD, actions), over

    def _shown(self, observation: Observation) -> Observation:
        self._show(observation, (self._base.num_envs,))
        return observation

    def _show(self, observation: Observation, rows: tuple[int, ...]) -> None:
        observation["budget"] = np.full((*rows, 1), self.left / self._base.num_envs, np.float32)
        if not self.left:
            observation["action_mask"][...] = 0

    def _masked(self, infos: dict[str, Any], over: np.ndarray) -> dict[str, Any]:
        infos["over_budget"], infos["_over_budget"] = over, np.ones_like(over)
        infos["action_mask"] = infos["action_mask"] * np.int8(self.left > 0)
        return infos


def _push(env: gymnasium.Env) -> PushEnv:
    base = env.unwrapped
    if not isinstance(base, PushEnv):
        raise BadSetting(f"this wrapper goes over a PushEnv, not {type(base).__name__}")
    return base
