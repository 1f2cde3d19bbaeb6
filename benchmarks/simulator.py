"""Environment steps a second, beside CartPole's; run with `make bench-simulator`.

    python -m benchmarks.simulator

One core. Compare rates by their ratio within one run: seconds are of the processor, and noisy. The
clock covers `env.step` alone, which builds every array of the observation, `pairs` included, and
the factored mask; random legal actions are chosen while it stands still. PPO learns through the
Stable-Baselines3 adapter, and beside it the same PPO on a vector environment that costs nothing.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import SyncVectorEnv
from stable_baselines3 import PPO

from agents.network import FactorNetwork, Soft, fit_scaling
from agents.ppo import PPOSettings, build_ppo
from envs.sb3 import SB3VecEnv
from envs.vector import PushVectorEnv
from mdp.actions import HOURS
from mdp.observation import Observation
from simulator.description import Simulator
from simulator.worlds import known_world
from simulator.worlds.base import lived

CARTPOLES = 64
ROUNDS = 3


def legal(action_mask: np.ndarray, K: int, V: int, rng: np.random.Generator) -> np.ndarray:
    """A random allowed send of each row (N,) of an `action_mask`, a hold where there is none."""
    score = rng.random(action_mask.shape) * action_mask
    k = score[:, :K].argmax(1)
    v = score[:, K : K + V].argmax(1)
    hour = score[:, K + V :].argmax(1)
    possible = action_mask[:, :K].any(1) & action_mask[:, K : K + V].any(1)
    possible &= action_mask[:, K + V :].any(1)
    return np.where(possible, 1 + (k * V + v) * HOURS + hour, 0)


def push_rate(env: PushVectorEnv, steps: int) -> float:
    """Steps a second of all rows together under random legal actions."""
    rng, (K, V) = np.random.default_rng(0), env.simulator.lists
    observation, _ = env.reset(seed=0)
    spent = 0.0
    for step in range(steps + 1):
        actions = legal(observation["action_mask"], K, V, rng)
        began = time.process_time()
        observation = env.step(actions)[0]
        if step:
            spent += time.process_time() - began
    return env.num_envs * steps / spent


def cartpole_rate(env: Any, steps: int) -> float:
    """The same of Gymnasium's vector of CartPoles."""
    env.action_space.seed(0)
    env.reset(seed=0)
    actions = [env.action_space.sample() for _ in range(steps)]
    began = time.process_time()
    for action in actions:
        env.step(action)
    return env.num_envs * steps / (time.process_time() - began)


class Idle(SB3VecEnv):
    """The adapter over an environment that costs nothing: the first observation, no reward."""

    def step_wait(self) -> tuple[Observation, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """What `reset` gave, again."""
        N = self.num_envs
        return self._first, np.zeros(N, np.float32), np.zeros(N, bool), [{} for _ in range(N)]

    def reset(self) -> Observation:
        """Begin all episodes anew."""
        self._first = super().reset()
        return self._first


def ppo_rate(adapter: type[SB3VecEnv], shop: Simulator) -> float:
    """User-days a second that PPO with our network and default settings learns from."""
    torch.manual_seed(0)
    # No update stops early, so that both environments ask for the same work.
    settings = replace(PPOSettings(), target_kl=float("inf"))
    users = PushVectorEnv(shop, settings.users, settings.days)
    scaling = fit_scaling([users.kernel.view().observation])
    network = Soft(FactorNetwork(scaling, threshold=0.0, hidden=settings.hidden))
    model: PPO = build_ppo(adapter(users), network, settings, 0)
    steps = settings.users * settings.rollout
    began = time.process_time()
    model.learn(steps)
    return steps / (time.process_time() - began)


def main() -> None:
    """Measure and print a table."""
    shop, _ = lived(known_world("logit").simulator(4096, 0), 14, 0)
    shop = shop.believing(shop)
    cartpoles: Any = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * CARTPOLES)
    large, small = PushVectorEnv(shop, 4096), PushVectorEnv(shop, 256)
    # Rounds take turns, so that what else the machine does meets all three alike.
    rounds = [
        (push_rate(large, 20), push_rate(small, 100), cartpole_rate(cartpoles, 300))
        for _ in range(ROUNDS)
    ]
    at_4096, at_256, cartpole = (max(rates) for rates in zip(*rounds, strict=True))
    print("| environment | steps a second | times CartPole |")
    print("|---|---|---|")
    for name, rate in (
        ("`PushVectorEnv`, 4,096 users", at_4096),
        ("`PushVectorEnv`, 256 users", at_256),
        (f"`SyncVectorEnv`, {CARTPOLES} CartPoles", cartpole),
    ):
        print(f"| {name} | {rate:,.0f} | {rate / cartpole:.2f} |")
    torch.set_num_threads(1)
    learning = [(ppo_rate(SB3VecEnv, shop), ppo_rate(Idle, shop)) for _ in range(ROUNDS)]
    ours, idle = (max(rates) for rates in zip(*learning, strict=True))
    print("\n| PPO through `SB3VecEnv` | user-days a second | share |")
    print("|---|---|---|")
    print(f"| on an environment that costs nothing | {idle:,.0f} | 100 % |")
    print(f"| on `PushVectorEnv` | {ours:,.0f} | {ours / idle:.0%} |".replace("%", " %"))


if __name__ == "__main__":
    main()
