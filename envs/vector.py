"""Many users at once: the vector environment, one kernel for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.episodes import Episodes, Source, begin, count_of, seeds_of, settled
from envs.spaces import action_space, flat_masks, observation_space
from mdp.actions import HOLD, given
from mdp.errors import BadInput, BadSetting
from mdp.guardrails import Guardrails
from mdp.observation import Observation
from mdp.reward import PARTS, Reward
from simulator.kernel import Kernel
from simulator.payment import Step

METADATA: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}


class PushVectorEnv(VectorEnv[Observation, np.ndarray, np.ndarray]):
    """`num_envs` users of a simulated shop at once; each row is a `PushEnv`.

    Row i of `reset(seed=s)` meets the same episodes as a `PushEnv` after `reset(seed=s + i)`.
    What happens to a row whose episode ends is Gymnasium's `autoreset_mode`:

    - SAME_STEP (default): its next episode begins in the same step. The last observation and info
      of the one that ended are in `infos["final_obs"][i]` (a dict of arrays) and
      `infos["final_info"]`.
    - NEXT_STEP: the next step ignores its action, pays 0 and begins the episode.
    - DISABLED: `reset(options={"reset_mask": …})`, a mask (N,) bool, begins it; a step before
      that is refused.

    `reset(options=…)` takes those of `PushEnv`, one value for all rows or one a row, for the
    episodes that it begins and for no later ones. Infos are those of `PushEnv` but `action_mask`,
    which would be larger than all else: `action_masks()` makes it for who asks. Arguments are those
    of `PushEnv` but `render_mode`, and `num_envs` and `autoreset_mode`.
    """

    metadata = METADATA

    def __init__(
        self,
        simulator: Source | None = None,
        num_envs: int = 1,
        days: int = 28,
        model: Source | None = None,
        reward: Reward | None = None,
        guardrails: Guardrails | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        newcomers: float = 0.0,
    ) -> None:
        self.autoreset_mode = _mode(autoreset_mode)
        self.metadata = METADATA | {"autoreset_mode": self.autoreset_mode}
        self.simulator = settled(simulator, days, model, reward, guardrails, newcomers)
        self.num_envs = num_envs = count_of("num_envs", num_envs, "a vector environment")
        self.single_action_space = action_space(self.simulator)
        self.single_observation_space = observation_space(self.simulator)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._episodes = Episodes.of(self.simulator, num_envs)
        self.ends_on_unsubscribe = self.simulator.reward.credit == "attributed"
        """Whether an unsubscribe terminates a row's episode."""
        self._seeded = False
        self._begun = False
        self._ended = np.zeros(num_envs, bool)
        self._ids = np.array(self.simulator.users.ids)
        rows = np.resize(self._episodes.eligible, num_envs)
        self.kernel = Kernel(self.simulator, rows, 0, days)
        """What steps the users."""

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode in every row, or in those of `options["reset_mask"]`. A sequence gives
        each row's seed. Raises `BadInput` for another number of seeds and for wrong options."""
        seed = seeds_of(seed, self.num_envs)
        super().reset(seed=seed if isinstance(seed, int) else None)
        options = dict(options or {})
        where = self._masked(options.pop("reset_mask", None))
        if isinstance(seed, int):
            self._reseed(np.arange(seed, seed + self.num_envs), where)
        elif seed is not None:
            drawn = self.np_random.integers(2**63, size=self.num_envs).tolist()
            pairs = zip(seed, drawn, strict=True)
            own = np.array([b if a is None else a for a, b in pairs], np.uint64)
            given = np.array([a is not None for a in seed]) | (not self._seeded)
            self._reseed(own, where & given)
        elif not self._seeded:
            self._reseed(self.np_random.integers(2**63, size=self.num_envs), where)
        self.kernel.release()
        begin(self.kernel, self._episodes, where, options)
        self._begun, self._ended = True, self._ended & ~where
        return self.kernel.view().observation, self._infos(None, where)

    def _masked(self, mask: Any) -> np.ndarray:
        """The rows (N,) bool that a reset begins anew."""
        every = np.ones(self.num_envs, bool)
        if mask is None:
            return every
        mask = np.asarray(mask)
        if mask.shape != every.shape or mask.dtype != bool or not mask.any():
            raise BadInput(
                f"reset_mask is {mask.dtype} of shape {mask.shape} with {np.count_nonzero(mask)} "
                f"set; give {self.num_envs} booleans, at least one of them true"
            )
        if not self._begun and not mask.all():
            raise ResetNeeded("the first reset begins every row: leave reset_mask out")
        return mask

    def _reseed(self, seeds: np.ndarray, where: np.ndarray) -> None:
        self._episodes.reseed(seeds, where)
        self._seeded = True

    def step(
        self, actions: np.ndarray
    ) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Decide for every row, and live to the next local midnight. Raises `BadInput` for what
        are no actions (N,)."""
        if not self._begun:
            raise ResetNeeded("step was called before reset: call reset first")
        waiting = self._ended
        if waiting.any() and self.autoreset_mode is AutoresetMode.DISABLED:
            raise ResetNeeded(
                f"the episodes of rows {np.flatnonzero(waiting).tolist()} are over: "
                'reset(options={"reset_mask": …}) begins their next ones'
            )
        actions = given(actions, (self.num_envs,))
        step = self.kernel.step(np.where(waiting, HOLD, actions))
        terminated = self.kernel.unsubscribed & self.ends_on_unsubscribe & ~waiting
        truncated = (self.kernel.day >= self.kernel.days) & ~waiting
        ended, final, fresh = terminated | truncated, {}, waiting
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            final, fresh = self._finals(step, ended) if ended.any() else {}, ended
        else:
            self._ended = ended
        if fresh.any():
            begin(self.kernel, self._episodes, fresh)
        infos = self._infos(step, np.ones(self.num_envs, bool), fresh) | final
        observation = self.kernel.view().observation
        return observation, np.where(waiting, 0.0, step.reward), terminated, truncated, infos

    def as_campaign(self) -> None:
        """From the next reset on no unsubscribe ends an episode, so that all rows begin and end
        together, and each row is another user, as far as there are enough."""
        self.ends_on_unsubscribe, self._episodes.distinct = False, True

    def action_masks(self) -> np.ndarray:
        """Which flat actions are allowed (N, 1 + K·V·24) bool, as MaskablePPO asks."""
        return flat_masks(self.kernel.view().mask.allowed, self.simulator.lists)

    def _infos(
        self, step: Step | None, present: np.ndarray, fresh: np.ndarray | bool = False
    ) -> dict[str, Any]:
        """Infos of the rows `present` (N,); a step brought nothing to the `fresh` ones."""
        none = np.zeros(self.num_envs)
        paid = {name: none if step is None else step.parts[name] for name in PARTS}
        values = {
            "expected_reward": np.where(fresh, 0.0, none if step is None else step.expected),
            "expected_unsubscribe": np.where(fresh, 0.0, none if step is None else step.risk),
            "illegal": none.astype(bool) if step is None else step.illegal & ~np.asarray(fresh),
            "user_id": self._ids[self.kernel.rows],
        } | {f"reward_{name}": np.where(fresh, 0.0, part) for name, part in paid.items()}
        return values | {f"_{name}": present for name in values}

    def _finals(self, step: Step, ended: np.ndarray) -> dict[str, Any]:
        """The last observation and info of the rows that ended, as Gymnasium stacks them."""
        observation = self.kernel.view().observation
        last = {name: array[ended] for name, array in observation.items()}
        final_obs = np.full(self.num_envs, None, object)
        for i, row in enumerate(np.flatnonzero(ended)):
            final_obs[row] = {name: array[i] for name, array in last.items()}
        info = self._infos(step, ended)
        return {
            "final_obs": final_obs,
            "_final_obs": ended,
            "final_info": info,
            "_final_info": ended,
        }


def _mode(mode: AutoresetMode | str) -> AutoresetMode:
    for known in AutoresetMode:
        if mode in (known, known.name, known.value):
            return known
    raise BadSetting(
        f"autoreset_mode is {mode!r}; use {', '.join(known.name for known in AutoresetMode)}"
    )


def same_step(env: Any, wrapper: str) -> PushVectorEnv:
    """The `PushVectorEnv` that a wrapper goes over; raises `BadSetting` for another environment
    and for one that is not in autoreset mode SAME_STEP."""
    base = getattr(env, "unwrapped", env)
    if not isinstance(base, PushVectorEnv):
        raise BadSetting(
            f"{wrapper} goes over a PushVectorEnv, not a {type(base).__name__}: make one with "
            "gymnasium.make_vec(…), without vectorization_mode"
        )
    if base.autoreset_mode is not AutoresetMode.SAME_STEP:
        raise BadSetting(
            f"autoreset_mode is {base.autoreset_mode.name}; {wrapper} needs SAME_STEP, the default"
        )
    return base
