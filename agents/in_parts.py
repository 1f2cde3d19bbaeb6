"""Learning in parts that each begin anew: episodes, draws, and nothing carried over but what was
learned. So a run that was stopped goes on from its last finished part to the same bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger


class InParts(BaseAlgorithm):
    """Mixed into an algorithm of Stable-Baselines3 in front of it."""

    whole: int | None = None
    """User-days of all parts together, from which schedules fall; None: those of one `learn`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Without a logger of ours SB3 makes a directory among the temporary ones, and leaves it.
        self.set_logger(Logger(folder=None, output_formats=[]))

    def _update_current_progress_remaining(self, num_timesteps: int, total_timesteps: int) -> None:
        whole = total_timesteps if self.whole is None else self.whole
        super()._update_current_progress_remaining(num_timesteps, whole)

    def learn_part(self, number: int, steps: int, seed: int, callback: BaseCallback) -> None:
        """Learn for some user-days in episodes that begin now, drawn from seed and number."""
        drawn = np.random.SeedSequence([seed, number]).generate_state(1)[0]
        self.set_random_seed(int(drawn >> 1))
        self._last_obs = None
        if self.whole is not None:
            self._update_current_progress_remaining(self.num_timesteps, self.whole)
        self.learn(steps, callback, reset_num_timesteps=False)
