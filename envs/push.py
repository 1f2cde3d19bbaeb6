"""One user at a time: the single environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from envs.episodes import Episodes, Source, begin, settled
from envs.rendering import Day, day_of, picture_of, text_of
from envs.spaces import action_space, flat_masks, observation_space
from mdp.actions import given
from mdp.errors import BadSetting
from mdp.guardrails import Guardrails
from mdp.observation import Observation
from mdp.reward import PARTS, Reward
from simulator.kernel import Kernel
from simulator.payment import Step

METADATA: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 4}


class PushEnv(gymnasium.Env[Observation, np.int64]):
    """One user of a simulated shop, a decision a day.

    ## Description
    Every local midnight the agent holds, or chooses which of K candidate items to push that day,
    with which of V copy variants and at which of the day's 24 hours. Pushes bring opens, clicks
    and purchases; they also tire the user, wear copy out and may make the user unsubscribe. The
    user visits and buys on their own as well.

    ## Action Space
    `Discrete(1 + K·V·24)`: 0 holds; `1 + (k·V + v)·24 + h` sends candidate k with variant v at
    local hour h (`mdp.actions`). An action that the mask forbids is a hold.

    ## Observation Space
    A `Dict` of float32 arrays, the same as those of evaluation and server; the names of their
    last axes are in `mdp.observation.NAMES`.

    | name | shape | |
    |---|---|---|
    | user | (48,) | decayed counts of what the user did, recency, fatigue, traits |
    | candidates | (K, 8) | items that may be pushed today |
    | variants | (V, 6) | copy variants |
    | hours | (24, 4) | hours of the day on the user's clock |
    | pairs | (K, V, 6) | predicted reward and outcomes of item × variant at the best hour |
    | action_mask | (K + V + 24,) int8 | allowed items, variants and hours; a hold always is |

    What predicts is 0 where the simulator has no model: a known truth shows none unless `model`
    is given.

    ## Starting State
    A user of the simulator who may be pushed, drawn uniformly, with the history they have at the
    simulator's start, at their first local midnight. `reset(options=…)` says otherwise for the
    episode that it begins: `user_id`, of one who may be pushed; `start_day`, days after the
    simulator's start through which nothing happened to the user, so that weekday and calendar move,
    events stay and their counts decay; `member`, number of the ensemble's member that responds.

    ## Rewards
    That of the decision's whole window, paid at its step: by default margin × price of an
    attributed purchase, +0.2 for a click, −0.05 for a dismissal, −4 for an unsubscribe, −0.01 for
    a send (`mdp.reward.Reward`).

    ## Episode End
    Terminated when the user has unsubscribed, as nothing can be earned any more (with
    `reward.credit == "all"` the episode goes on, since organic purchases do). Truncated after
    `days` days.

    ## Information
    `action_mask` (1 + K·V·24,) int8, 1 where a flat action is allowed, so that
    `env.action_space.sample(info["action_mask"])` draws among these; the observation's has it by
    factor. `expected_reward`, the expected reward of the push that was made, in currency units;
    `expected_unsubscribe`, the probability of an unsubscribe after it; `illegal`, whether the
    action was masked and a hold took its place; `user_id`; `reward_purchase`, `reward_click`,
    `reward_dismissal`, `reward_unsubscribe` and `reward_send`, which add up to the reward.
    `action_masks()` is `action_mask` as bool, as MaskablePPO asks.

    ## Arguments
    `simulator`: a `Simulator`, or the directory of a saved one. `days`: length of an episode.
    `model`: a simulator (or its directory) whose response model and traits the observations carry
    in place of the simulator's own. `reward`, `guardrails`: in place of the simulator's.
    `render_mode`: "ansi" for the episode's days as lines of text, "rgb_array" for a picture
    (H, W, 3) uint8 of its pushes. `newcomers`: share of the episodes whose user is new: drawn from
    the simulator's users under an id of its own, with nothing behind it, and unknown to model and
    recommender.

    ## Version History
    v0: first version.
    """

    metadata = METADATA

    def __init__(
        self,
        simulator: Source | None = None,
        days: int = 28,
        model: Source | None = None,
        reward: Reward | None = None,
        guardrails: Guardrails | None = None,
        render_mode: str | None = None,
        newcomers: float = 0.0,
    ) -> None:
        if render_mode not in (None, *METADATA["render_modes"]):
            raise BadSetting(f"render_mode is {render_mode!r}; use 'ansi', 'rgb_array' or None")
        self.render_mode = render_mode
        self.simulator = settled(simulator, days, model, reward, guardrails, newcomers)
        self.action_space = action_space(self.simulator)
        self.observation_space: spaces.Space = observation_space(self.simulator)
        self._episodes = Episodes.of(self.simulator, 1)
        self._seeded = False
        self.kernel = Kernel(self.simulator, self._episodes.eligible[:1], 0, days)
        """What steps the user."""
        self._days: list[Day] = []
        self._begun = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin the next user's episode; `options` are listed under Starting State."""
        super().reset(seed=seed)
        if seed is not None or not self._seeded:
            own = int(self.np_random.integers(2**63)) if seed is None else seed
            self._episodes.reseed(np.array([own]))
            self._seeded = True
        begin(self.kernel, self._episodes, np.ones(1, bool), options)
        self._begun, self._days = True, []
        return self._observed(), self._info(None)

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Decide, and live to the next local midnight. Raises `BadInput` for what is no action."""
        if not self._begun:
            raise ResetNeeded("step was called before reset: call reset first")
        asked = None if self.render_mode is None else (self.kernel.requests(), self.kernel.at)
        step = self.kernel.step(given(action, ())[None])
        if asked is not None:
            self._days.append(day_of(self.simulator, *asked, step))
        ended = self.simulator.reward.credit == "attributed"
        return (
            self._observed(),
            float(step.reward[0]),
            bool(self.kernel.unsubscribed[0] and ended),
            self.kernel.done,
            self._info(step),
        )

    def action_masks(self) -> np.ndarray:
        """Which flat actions are allowed (1 + K·V·24,) bool, as MaskablePPO asks."""
        return flat_masks(self.kernel.view().mask.allowed, self.simulator.lists)[0]

    def render(self) -> Any:
        """The episode so far, as `render_mode` says."""
        if self.render_mode == "ansi":
            return text_of(self._days)
        if self.render_mode == "rgb_array":
            return picture_of(self.simulator.users.ids[self.kernel.rows[0]], self._days)
        return None

    def _observed(self) -> Observation:
        return {name: array[0] for name, array in self.kernel.view().observation.items()}

    def _info(self, step: Step | None) -> dict[str, Any]:
        return {
            "action_mask": self.action_masks().astype(np.int8),
            "expected_reward": 0.0 if step is None else float(step.expected[0]),
            "expected_unsubscribe": 0.0 if step is None else float(step.risk[0]),
            "illegal": step is not None and bool(step.illegal[0]),
            "user_id": self.simulator.users.ids[self.kernel.rows[0]],
        } | {
            f"reward_{name}": 0.0 if step is None else float(step.parts[name][0]) for name in PARTS
        }
