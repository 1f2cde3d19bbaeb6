"""Judging an agent while it is trained: on held-out episodes, under ensemble members that training
never meets. The best so far is kept, and TensorBoard gets what the judgements say."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback

from agents.budgets import Budget, Prices
from agents.curves import Watch, health
from agents.network import FactorNetwork, Scores, Soft, tensors
from agents.progress import Shown
from agents.rollouts import Outcome, population, rollout
from mdp.observation import Observation
from policies.base import Policy
from policies.composition import Factors
from simulator.description import Simulator

SHARPNESS = 8.0
"""PPO's policy is this much surer of itself when it decides than when it learns."""
USERS, DAYS = 300, 42
HELD_OUT = 1_000_003
"""Added to the seed of the episodes that checkpoints are judged on: training never meets them."""
KEPT_MEMBERS = 2
"""Members of the ensemble that judge and never train, where there are three or more."""
BETWEEN_CHECKPOINTS = 30.0
"""Seconds at least from one checkpoint that is kept to the next: making one takes a few."""


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


def divided(simulator: Simulator) -> tuple[Simulator, Simulator]:
    """The simulator with the members that train, and with those that judge; of fewer than three
    all do both."""
    members = simulator.members
    if len(members) <= KEPT_MEMBERS:
        return simulator, simulator
    return (
        replace(simulator, members=members[:-KEPT_MEMBERS]),
        replace(simulator, members=members[-KEPT_MEMBERS:]),
    )


@dataclass(frozen=True)
class Judgement:
    """How a policy did on the held-out episodes."""

    steps: int
    """User-days trained for."""
    value: float
    """Expected reward per user."""
    sends: float
    """Per user and week."""
    unsubscribes: float
    """Expected, per 1,000 users and week."""
    prices: Prices
    """Of the budgets, in the training that led here."""

    @staticmethod
    def of(outcome: Outcome, steps: int, prices: Prices) -> Judgement:
        """From the lives of the judges' users."""
        weeks = outcome.days / 7
        return Judgement(
            steps,
            float(outcome.value.mean()),
            float(outcome.sends.mean()) / weeks,
            1000 * float(outcome.risk.mean()) / weeks,
            prices,
        )


class Judge(BaseCallback):
    """Judges at the end of each part of training; holds the best policy and the progress bar."""

    def __init__(
        self,
        network: FactorNetwork | Soft,
        simulator: Simulator,
        seed: int,
        steps: int,
        name: str,
        budget: Budget,
        baselines: Mapping[str, Policy],
        checkpoint: Callable[[Judge], None] | None = None,
    ) -> None:
        """simulator: with the members that judge. baselines: shown beside the value.
        checkpoint: called where the policy has become better, but not too often."""
        super().__init__()
        self.network = network
        """The network that is trained."""
        self._simulator, self._budget = simulator, budget
        self._seed, self._steps, self._name = seed + HELD_OUT, steps, name
        self._rows = population(simulator, USERS, self._seed)
        self._checkpoint, self._kept_at = checkpoint, time.monotonic()
        self.judgements: list[Judgement] = []
        self.best: dict[str, torch.Tensor] = {}
        self.baselines = {
            name: Judgement.of(self._lives(policy), 0, Prices()).value
            for name, policy in baselines.items()
        }
        """Value per user of each, on the same episodes."""
        self._progress = Shown()
        self._task = self._progress.add_task(f"training {name}", total=steps)

    def __enter__(self) -> Judge:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _on_rollout_start(self) -> None:
        self._progress.update(self._task, completed=self.num_timesteps)

    def _on_step(self) -> bool:
        return True

    @property
    def chosen(self) -> int:
        """Number of the best judgement: the highest value within the budgets, else what is
        nearest to them."""
        return max(range(len(self.judgements)), key=lambda n: self._rank(self.judgements[n]))

    def tired(self, patience: int) -> bool:
        """Whether the last judgements, so many, all brought nothing better; never for 0."""
        return 0 < patience <= len(self.judgements) - 1 - self.chosen

    def _rank(self, judgement: Judgement) -> tuple[float, float]:
        over = self._budget.excess(judgement.sends, judgement.unsubscribes)
        return (-over, judgement.value)

    def judge(self, steps: int, prices: Prices) -> Judgement:
        """Judge the network as it is now, after so many user-days under the budgets' prices."""
        watch = Watch()
        judgement = Judgement.of(self._lives(deciding(self.network), watch), steps, prices)
        self.judgements.append(judgement)
        if self.chosen == len(self.judgements) - 1:
            self.best = deepcopy(self.network.state_dict())
            self._keep(judgement)
        self._record(judgement, watch)
        values = {"value": self.judgements[self.chosen].value} | self.baselines
        said = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
        self._progress.update(self._task, description=f"training {self._name}: {said}")
        return judgement

    def _lives(self, policy: Policy, watch: Watch | None = None) -> Outcome:
        return rollout(self._simulator, policy, self._rows, self._seed, DAYS, watch)

    def _keep(self, judgement: Judgement) -> None:
        if not self._checkpoint or time.monotonic() - self._kept_at < BETWEEN_CHECKPOINTS:
            return
        self._checkpoint(self)
        self._kept_at = time.monotonic()
        self._progress.console.print(
            f"checkpoint after {judgement.steps:,} user-days: value {judgement.value:.3f}",
            highlight=False,
        )

    def _record(self, judgement: Judgement, watch: Watch) -> None:
        if not hasattr(self, "model"):  # nobody keeps curves of what was before training
            return
        values = {
            "eval/value": judgement.value,
            "eval/sends_per_week": judgement.sends,
            "eval/unsubscribes_per_1000_and_week": judgement.unsubscribes,
            "budget/price_of_a_send": judgement.prices.send,
            "budget/price_of_an_unsubscribe": judgement.prices.unsubscribe,
        }
        values |= {
            f"eval/minus_{name.replace(' ', '_')}": judgement.value - value
            for name, value in self.baselines.items()
        }
        for name, value in (values | watch.curves() | health(self.network)).items():
            self.logger.record(name, value)
        self.logger.dump(judgement.steps)

    @property
    def metrics(self) -> dict[str, Any]:
        """What the judgements so far say, as the manifest holds it."""
        best = self.judgements[self.chosen]
        return {
            "evaluations": [(each.steps, each.value) for each in self.judgements],
            "value": best.value,
            "value_at_start": self.judgements[0].value,
            "sends_per_week": best.sends,
            "unsubscribes_per_1000_and_week": best.unsubscribes,
            "baselines": self.baselines,
            "users": len(self._rows),
            "days": DAYS,
        }
