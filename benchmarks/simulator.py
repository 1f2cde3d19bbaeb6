"""Environment steps a second, beside CartPole's; run with `make bench-simulator`.

    python -m benchmarks.simulator

One core. Compare rates by their ratio within one run: seconds are of the processor, and noisy. The
clock covers `env.step` alone, which builds every array of the observation, `pairs` included, and
the factored mask; random legal actions are chosen while it stands still.
"""

from __future__ import annotations

import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import SyncVectorEnv

from envs.vector import PushVectorEnv
from mdp.actions import HOURS
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


if __name__ == "__main__":
    main()
