"""Training: from a simulator to a policy that stands on its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from stable_baselines3.common.callbacks import BaseCallback

from agents.algorithms import algorithm_of
from agents.dqn import DQNSettings, build_dqn
from agents.export import to_onnx
from agents.network import FactorNetwork, Scores, Soft, tensors
from agents.ppo import PPOSettings, build_ppo
from agents.rollouts import population, rollout
from agents.search import baselines, best_static_rule, best_threshold
from agents.start import starting_network
from envs.sb3 import SB3VecEnv
from envs.vector import PushVectorEnv
from mdp.observation import Observation
from policies.base import Policy
from policies.composition import Factors
from policies.network import NetworkPolicy
from policies.saved import PolicyBundle, SavedRecommender
from simulator.best_days import with_habits
from simulator.description import Simulator
from simulator.kernel import Kernel

SHARPNESS = 8.0
"""PPO's policy is this much surer of itself when it decides than when it learns."""
EVALUATIONS, EVALUATION_USERS, EVALUATION_DAYS = 8, 400, 42
HELD_OUT = 1_000_003
"""Added to the seed of the episodes that checkpoints are judged on: training never meets them."""
BETWEEN_CHECKPOINTS = 30.0
"""Seconds at least from one checkpoint that is kept to the next: making one takes a few."""


class ExpectedRewards(SB3VecEnv):
    """Pays what a push is expected to bring instead of what it happened to, in value units: the
    same return on average, with far less noise."""

    def __init__(self, env: PushVectorEnv, value_unit: float) -> None:
        super().__init__(env)
        self._unit = value_unit
        # With every purchase credited, the push's own expectation is not the whole reward.
        self._expected = env.simulator.reward.credit == "attributed"

    def step_wait(self) -> tuple[Observation, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step all rows."""
        observation, reward, done, infos = super().step_wait()
        if self._expected:
            reward = np.array([info["expected_reward"] for info in infos])
        return observation, (reward / self._unit).astype(np.float32), done, infos


@dataclass(frozen=True, kw_only=True)
class TorchPolicy(Policy):
    """A network while it is being trained."""

    network: FactorNetwork | Soft
    name: str = "training"
    temperature: float | None = None
    floor: float = 0.0
    kind = "network"

    def scores(self, observation: Observation) -> Factors:
        """The network's scores."""
        with torch.no_grad():
            parts = Scores(self.network)(**tensors(observation))
        return Factors(*(part.double().numpy() for part in parts))


def deciding(network: FactorNetwork | Soft) -> TorchPolicy:
    """The policy that a network stands for: sharpened for PPO, the best action for DQN."""
    if isinstance(network, Soft):
        sharp = deepcopy(network)
        sharp.sharpness.fill_(SHARPNESS)
        return TorchPolicy(network=sharp, temperature=1.0)
    return TorchPolicy(network=network)


class KeepBest(BaseCallback):
    """Judges the policy on held-out episodes now and then, keeps the best, shows progress."""

    def __init__(
        self,
        network: FactorNetwork | Soft,
        simulator: Simulator,
        seed: int,
        steps: int,
        name: str,
        checkpoint: Callable[[KeepBest], None] | None = None,
    ) -> None:
        """checkpoint: called where the policy has become better, but not too often."""
        super().__init__()
        self._network, self._simulator = network, simulator
        self._seed, self._steps = seed + HELD_OUT, steps
        self._rows = population(simulator, EVALUATION_USERS, self._seed)
        self._next, self._name = 0, name
        self._checkpoint, self._kept_at = checkpoint, time.monotonic()
        self.values: list[tuple[int, float]] = []
        """User-days trained for, and value per user on the held-out episodes."""
        self.best: dict[str, torch.Tensor] = {}

    def _on_training_start(self) -> None:
        self._progress = Progress(console=Console(file=sys.stderr), transient=True)
        self._task = self._progress.add_task(f"training {self._name}", total=self._steps)
        self._progress.start()
        self.judge()

    def _on_rollout_start(self) -> None:
        self._progress.update(self._task, completed=self.num_timesteps)
        if self.num_timesteps >= self._next:
            self.judge()

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        self.judge()
        self._progress.stop()

    def judge(self) -> None:
        """Evaluate now."""
        if self.values and self.values[-1][0] == self.num_timesteps:
            return
        outcome = rollout(
            self._simulator, deciding(self._network), self._rows, self._seed, EVALUATION_DAYS
        )
        value = float(outcome.value.mean())
        better = not self.values or value > max(v for _, v in self.values)
        self.values.append((self.num_timesteps, value))
        self.logger.record("eval/value", value)
        self._next = self.num_timesteps + self._steps // EVALUATIONS
        if better:
            self.best = deepcopy(self._network.state_dict())
            if self._checkpoint and time.monotonic() - self._kept_at >= BETWEEN_CHECKPOINTS:
                self._checkpoint(self)
                self._kept_at = time.monotonic()
                self._progress.console.print(
                    f"checkpoint after {self.num_timesteps:,} user-days: value {value:.3f}",
                    highlight=False,
                )

    @property
    def metrics(self) -> dict[str, Any]:
        """What the judgements so far say, as the manifest holds it."""
        return {
            "evaluations": self.values,
            "value": max(value for _, value in self.values),
            "value_at_start": self.values[0][1],
            "users": len(self._rows),
            "days": EVALUATION_DAYS,
        }


def train(
    simulator: Simulator,
    algo: str,
    seed: int = 0,
    settings: PPOSettings | DQNSettings | None = None,
    command: Sequence[str] = (),
    tensorboard: str | None = None,
    checkpoint: Callable[[PolicyBundle], None] | None = None,
) -> PolicyBundle:
    """Train an agent in a simulator; the best checkpoint on held-out episodes is the result.

    A simulator without beliefs (a known truth) is taken at its word. Same arguments, same policy.
    checkpoint: is given the best policy so far, while training goes on.
    """
    chosen = settings or algorithm_of(algo).default_settings()
    if simulator.model is None:
        simulator = simulator.believing(simulator)
    with Console(stderr=True).status("searching for what simple policies can do, to start there"):
        threshold = best_threshold(simulator, seed)
        rule = best_static_rule(simulator, seed)
        simulator = with_habits(simulator, threshold, seed)
        plain, start = starting_network(simulator, threshold, chosen.gamma, chosen.hidden, seed)
    network: FactorNetwork | Soft = plain if isinstance(chosen, DQNSettings) else Soft(plain)
    env = ExpectedRewards(
        PushVectorEnv(simulator, chosen.users, chosen.days), float(plain.value_unit)
    )
    manifest = {
        "algorithm": algo,
        "seed": seed,
        "settings": asdict(chosen),
        "command": list(command),
        "start": start,
        "trained_until": simulator.manifest.get("trained_until"),
        "baselines": baselines(threshold, rule),
    }

    def bundle(judge: KeepBest) -> PolicyBundle:
        return bundle_of(deciding(network), algo, simulator, manifest | {"metrics": judge.metrics})

    judge = KeepBest(
        network,
        simulator,
        seed,
        chosen.steps,
        algo,
        None if checkpoint is None else lambda judge: checkpoint(bundle(judge)),
    )
    if isinstance(chosen, DQNSettings):
        build_dqn(env, plain, chosen, seed, tensorboard).learn(chosen.steps, judge)
    else:
        assert isinstance(network, Soft)
        build_ppo(env, network, chosen, seed, tensorboard).learn(chosen.steps, judge)
    network.load_state_dict(judge.best)
    return bundle(judge)


def bundle_of(
    policy: TorchPolicy, name: str, simulator: Simulator, manifest: dict[str, Any]
) -> PolicyBundle:
    """A trained network and all that its decisions depend on, without torch."""
    example = Kernel(simulator, np.zeros(2, np.int64)).view().observation
    exported = NetworkPolicy(
        graph=to_onnx(policy.network, example),
        name=name,
        temperature=policy.temperature,
        floor=simulator.guardrails.floor,
    )
    return PolicyBundle(
        policy=exported,
        model=simulator.additive_model,
        traits=simulator.beliefs,
        reward=simulator.reward,
        guardrails=simulator.guardrails,
        recommender=SavedRecommender(simulator.recommender.kind, simulator.recommender.arrays()),
        manifest=manifest,
    )
