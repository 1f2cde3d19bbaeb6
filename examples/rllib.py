"""RLlib's PPO in a simulated shop, with its masks.

    pip install "ray[tune]" dm-tree lz4 ormsgpack
    python examples/rllib.py --env-id pushwise/LogitShop-v0 --iterations 3
    python examples/rllib.py --simulator runs/sim

`ray[rllib]` itself pins an older Gymnasium; these packages are the rest of what it asks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import ray
import tyro
from gymnasium import spaces
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.examples.rl_modules.classes.action_masking_rlm import ActionMaskingTorchRLModule
from ray.tune.registry import register_env

from envs.wrappers import FlatObservation


@dataclass(frozen=True)
class Settings:
    """What to learn from."""

    env_id: str = "pushwise/LogitShop-v0"
    """Environment; with a simulator that of a fitted shop."""
    simulator: Path | None = None
    """Fitted simulator to learn in."""
    iterations: int = 3
    """Iterations of PPO."""
    batch: int = 512
    """Days an iteration."""
    runners: int = 0
    """Processes that step environments beside this one; 0 steps them here."""
    seed: int = 0
    """Of environments and network."""
    days: int = 28
    """Length of an episode."""


class WithMask(gymnasium.ObservationWrapper[Any, Any, Any]):
    """The flat observation, and beside it which flat actions are allowed, as RLlib asks."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        assert isinstance(env.action_space, spaces.Discrete)
        mask = spaces.Box(0.0, 1.0, (int(env.action_space.n),), np.float32)
        self.observation_space = spaces.Dict(
            {"action_mask": mask, "observations": env.observation_space}
        )

    def observation(self, observation: np.ndarray) -> dict[str, np.ndarray]:
        """Both parts."""
        masks = self.env.get_wrapper_attr("action_masks")()
        return {"action_mask": masks.astype(np.float32), "observations": observation}

    def step(self, action: Any) -> Any:
        """The environment's step; a masked action is a mistake of the learner's."""
        told = super().step(action)
        assert not told[4]["illegal"]
        return told


def masked(config: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    """The environment `config["id"]`, made where a runner needs it."""
    import pushwise  # noqa: F401  registers the environments

    settings = dict(config)
    return WithMask(FlatObservation(gymnasium.make(settings.pop("id"), **settings)))


def train(settings: Settings) -> list[float]:
    """Learn; each iteration's mean return of an episode."""
    register_env("push", masked)
    env_config: dict[str, Any] = {"id": settings.env_id, "days": settings.days}
    if settings.simulator is not None:
        env_config |= {"id": "pushwise/Push-v0", "simulator": settings.simulator.absolute()}
    config = (
        PPOConfig()
        .environment("push", env_config=env_config)
        .env_runners(num_env_runners=settings.runners)
        .rl_module(rl_module_spec=RLModuleSpec(module_class=ActionMaskingTorchRLModule))
        .training(train_batch_size_per_learner=settings.batch, minibatch_size=128, num_epochs=4)
        .debugging(seed=settings.seed)
    )
    ray.init(num_cpus=1 + settings.runners, include_dashboard=False, log_to_driver=False)
    learner = config.build_algo()
    returns = []
    for iteration in range(settings.iterations):
        result = learner.train()["env_runners"]
        returns.append(float(result["episode_return_mean"]))
        print(f"iteration {iteration + 1}: mean return {returns[-1]:.3f}", flush=True)
    learner.stop()
    ray.shutdown()
    return returns


if __name__ == "__main__":
    train(tyro.cli(Settings, description=__doc__))
