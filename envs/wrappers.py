"""Wrappers: factored actions, flat observations, and a campaign with a budget of sends."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from envs.episodes import count_of
from envs.push import PushEnv
from envs.spaces import LIMIT, flat_masks
from envs.vector import same_step
from mdp.actions import HOLD, HOURS, decode, encode, given
from mdp.errors import BadInput, BadSetting
from mdp.observation import Observation

ORDER = ("user", "candidates", "variants", "hours", "pairs", "action_mask")
"""Parts of a flat observation, each laid out row by row."""


class FactoredActions(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """`MultiDiscrete([2, K, V, 24])` in place of the flat action: send?, item, variant, hour.

    Where the first is 0 it is a hold, whatever the others are. `info["action_mask"]` is a tuple of
    each factor's mask, as `MultiDiscrete.sample` takes it. Raises `BadSetting` over anything but a
    single `PushEnv`, and `BadInput` for what is no action.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        self._lists = _push(env, "FactoredActions").simulator.lists
        super().__init__(env)
        self._sizes = [2, *self._lists, HOURS]
        self.action_space = spaces.MultiDiscrete(self._sizes)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin the next user's episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, self._masked(info)

    def step(self, action: np.ndarray) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Decide by factors (4,), and live to the next local midnight."""
        *outcome, info = self.env.step(self.action(action))
        return (*outcome, self._masked(info))

    def action(self, action: np.ndarray) -> np.int64:
        """The flat action of factors (4,)."""
        factors = given(action, (4,))
        if (factors < 0).any() or (factors >= self._sizes).any():
            raise BadInput(
                f"factors {factors.tolist()} are not all from 0 to below {self._sizes}: "
                "send?, item, variant, hour"
            )
        send, item, variant, hour = factors[:, None]
        return (
            np.int64(encode(item, variant, hour, self._lists[1])[0]) if send[0] else np.int64(HOLD)
        )

    def action_masks(self) -> np.ndarray:
        """Which value of each factor is allowed (2 + K + V + 24,) bool, as MaskablePPO asks.

        Where no send is allowed the three factors that then mean nothing are all allowed.
        """
        base = _push(self.env, "FactoredActions")
        allowed = base.kernel.view().mask.allowed[0].astype(bool)
        factors = np.split(allowed, np.cumsum(self._lists))
        sends = all(factor.any() for factor in factors)
        return np.concatenate([[True, sends], allowed if sends else np.ones_like(allowed)])

    def _masked(self, info: dict[str, Any]) -> dict[str, Any]:
        masks = np.split(self.action_masks().astype(np.int8), np.cumsum(self._sizes)[:-1])
        return info | {"action_mask": tuple(masks)}


class FlatObservation(gymnasium.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """One float32 vector in place of the dict: the parts of `ORDER` one after the other.

    `parts` says where each of them lies. Raises `BadSetting` over anything but a single `PushEnv`.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        _push(env, "FlatObservation")
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
    out first are made and the others are holds; `infos["over_budget"]` names their rows. An
    oracle's `infos["oracle"]` knows no budget until all is spent.

    Each row is another user, as far as there are users enough. `reset(options=…)` says otherwise
    for the campaign that it begins, and for no later one.

    The observation gets `budget` (N, 1) float32: sends left for each user. Raises `BadSetting`
    for fewer than 1 send, and over anything but a `PushVectorEnv` in autoreset mode SAME_STEP.
    """

    def __init__(self, env: Any, sends: int) -> None:
        base = same_step(env, "CampaignBudget")
        super().__init__(env)
        sends = count_of("sends", sends, "a campaign")
        base.as_campaign()
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
        allowed, over = self._within(given(actions, (self._base.num_envs,)))
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
        if not self.left and "oracle" in infos:
            infos["oracle"] = np.full(len(over), HOLD)
        return infos


def _push(env: Any, wrapper: str) -> PushEnv:
    base = getattr(env, "unwrapped", env)
    if isinstance(base, VectorEnv):
        raise BadSetting(
            f"{wrapper} goes over each single environment, not over a {type(base).__name__}: "
            f'gymnasium.make_vec(…, vectorization_mode="sync", wrappers=[{wrapper}])'
        )
    if not isinstance(base, PushEnv):
        raise BadSetting(f"{wrapper} goes over a PushEnv, not a {type(base).__name__}")
    return base
