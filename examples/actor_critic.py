"""An actor-critic in one file, in the manner of CleanRL: no library between loop and environment.

    python examples/actor_critic.py --env-id pushwise/LogitShop-v0 --steps 200
    python examples/actor_critic.py --simulator runs/sim

Every action is drawn under the mask, so that a send which guardrails forbid is never tried.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
import tyro
from torch import nn

import pushwise  # noqa: F401  registers the environments


@dataclass(frozen=True)
class Settings:
    """What the loop runs with."""

    env_id: str = "pushwise/LogitShop-v0"
    """Environment; with a simulator that of a fitted shop."""
    simulator: Path | None = None
    """Fitted simulator to learn in."""
    num_envs: int = 64
    """Users at once."""
    steps: int = 200
    """Days of each user."""
    learning_rate: float = 1e-3
    """Of Adam."""
    gamma: float = 0.98
    """Discount of a day."""
    entropy: float = 0.01
    """Weight of the entropy of the actions."""
    seed: int = 0
    """Of environments and network."""
    env: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the environment."""


def train(settings: Settings) -> np.ndarray:
    """Learn for `steps` days; the mean reward (steps,) float64 of each."""
    torch.manual_seed(settings.seed)
    name, more = settings.env_id, dict(settings.env)
    if settings.simulator is not None:
        name, more["simulator"] = "pushwise/Push-v0", settings.simulator
    env: Any = gymnasium.make_vec(name, num_envs=settings.num_envs, **more)
    observation, _ = env.reset(seed=settings.seed)
    width, actions = flat(observation).shape[1], int(env.single_action_space.n)
    actor = nn.Sequential(nn.Linear(width, 64), nn.Tanh(), nn.Linear(64, actions))
    critic = nn.Sequential(nn.Linear(width, 64), nn.Tanh(), nn.Linear(64, 1))
    adam = torch.optim.Adam([*actor.parameters(), *critic.parameters()], settings.learning_rate)
    curve = np.zeros(settings.steps)
    for step in range(settings.steps):
        seen = flat(observation)
        allowed = torch.as_tensor(env.unwrapped.action_masks())
        drawn = torch.distributions.Categorical(logits=actor(seen).masked_fill(~allowed, -1e9))
        action = drawn.sample()
        observation, reward, terminated, truncated, infos = env.step(action.numpy())
        assert not infos["illegal"].any()
        with torch.no_grad():
            after = critic(flat(last_of(observation, truncated, infos))).squeeze(1)
            onward = settings.gamma * after * torch.as_tensor(~terminated)
            target = torch.as_tensor(reward, dtype=torch.float32) + onward
        advantage = target - critic(seen).squeeze(1)
        gain = drawn.log_prob(action) * advantage.detach() + settings.entropy * drawn.entropy()
        loss = advantage.square().mean() - gain.mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        curve[step] = reward.mean()
    env.close()
    return curve


def flat(observation: dict[str, np.ndarray]) -> torch.Tensor:
    """The arrays of N observations side by side (N, D) float32, their mask left out."""
    parts = [
        array.reshape(len(array), -1)
        for name, array in observation.items()
        if name != "action_mask"
    ]
    return torch.as_tensor(np.concatenate(parts, 1))


def last_of(
    observation: dict[str, np.ndarray], truncated: np.ndarray, infos: dict[str, Any]
) -> dict[str, np.ndarray]:
    """The observations that the step led to: where it cut an episode, the last one of that."""
    if not truncated.any():
        return observation
    out = {name: array.copy() for name, array in observation.items()}
    for row in np.flatnonzero(truncated):
        for name, array in infos["final_obs"][row].items():
            out[name][row] = array
    return out


if __name__ == "__main__":
    rewards = train(tyro.cli(Settings))
    print(
        f"reward a day: first tenth {rewards[: len(rewards) // 10 or 1].mean():+.4f}, "
        f"last tenth {rewards[-(len(rewards) // 10 or 1) :].mean():+.4f}"
    )
