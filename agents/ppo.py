"""PPO: Stable-Baselines3's, over the factor network's masked distribution.

Masks hold in training and in prediction because they are part of the observation: every
distribution is built with the mask of the decision that it is for. The learning rate is low and
updates stop at a small divergence, so that the policy does not fall below the greedy one that it
starts as: at ten times the rate, over 28-day episodes, the critic lags behind and the policy can
stop sending. J. Schulman et al., Proximal Policy Optimization Algorithms, 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from agents.distribution import FactorisedDistribution
from agents.in_parts import InParts
from agents.network import Soft
from agents.ranges import (
    Count,
    Discount,
    InRange,
    Limit,
    NotNegative,
    Pace,
    Positive,
    Range,
    Share,
    Times,
)


@dataclass(frozen=True)
class PPOSettings(InRange):
    """Hyper-parameters of PPO; the defaults suit a minute on one core."""

    steps: Count = 500_000
    """user-days to train for"""
    users: Count = 512
    """users simulated at once"""
    days: Count = 60
    """days of an episode; its end is a truncation, and the value is bootstrapped there"""
    rollout: Annotated[int, Range(2)] = 32
    """days collected between updates"""
    learning_rate: Pace = 1e-4
    """of Adam; falls linearly to a tenth"""
    batch_size: Annotated[int, Range(2)] = 4096
    """user-days in a gradient step"""
    epochs: Count = 4
    """passes over what was collected"""
    gamma: Discount = 0.99
    """discount a day"""
    gae_lambda: Share = 0.9
    """of generalised advantage estimation"""
    clip: Positive = 0.15
    """clipping range of the probability ratio"""
    target_kl: Annotated[float, Range(0, float("inf"), above=True)] = 0.02
    """an update stops at one and a half times this divergence"""
    entropy: NotNegative = 0.0
    """weight of the entropy bonus"""
    hidden: Count = 64
    """width of the network's layers"""
    patience: Times = 0
    """judgements in a row without a better one after which training stops; 0: never"""
    pessimism: NotNegative = 0.0
    """standard deviations over the ensemble by which what a push is expected to bring is lowered"""
    send_budget: Limit = None
    """sends per user and week that the policy may use"""
    unsubscribe_budget: Limit = None
    """unsubscribes per 1,000 users and week that the policy may cause"""


class FactorActorCritic(ActorCriticPolicy):
    """SB3's actor-critic interface around a `Soft` factor network."""

    # SB3 annotates an observation as one tensor; ours are dicts of them, as its code allows. That
    # is what the ignored overrides are about.

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        network: Soft,
        **kwargs: Any,
    ) -> None:
        self._network = [network]  # in a list: modules can't be set before Module.__init__
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        self.soft = self._network.pop()
        self.optimizer = torch.optim.Adam(self.parameters(), lr=lr_schedule(1), eps=1e-5)

    def _distribution(self, observation: dict[str, Tensor]) -> tuple[Any, Tensor]:
        hold, pair, hour, values = self.soft(observation)
        parts = FactorisedDistribution()
        return parts.proba_distribution(hold, pair, hour, observation["action_mask"]), values

    def forward(  # type: ignore[override]
        self, obs: dict[str, Tensor], deterministic: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Actions (N,), values (N, 1) and log-probabilities (N,)."""
        parts, values = self._distribution(obs)
        actions = parts.get_actions(deterministic)
        return actions, values[:, None], parts.log_prob(actions)

    def evaluate_actions(  # type: ignore[override]
        self, obs: dict[str, Tensor], actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Values (N, 1), log-probabilities (N,) and entropies (N,)."""
        parts, values = self._distribution(obs)
        return values[:, None], parts.log_prob(actions), parts.entropy()

    def get_distribution(self, obs: dict[str, Tensor]) -> Any:  # type: ignore[override]
        """The masked distribution."""
        return self._distribution(obs)[0]

    def predict_values(self, obs: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Values (N, 1)."""
        return self.soft.network(obs)[1][:, None]

    def _predict(  # type: ignore[override]
        self, observation: dict[str, Tensor], deterministic: bool = False
    ) -> Tensor:
        return self.get_distribution(observation).get_actions(deterministic)


class PartialPPO(InParts, PPO):
    """PPO that learns in parts."""


Kind = TypeVar("Kind", bound=PartialPPO)


def build_ppo(
    env: VecEnv,
    network: Soft,
    settings: PPOSettings,
    seed: int,
    kind: type[Kind] = PartialPPO,  # type: ignore[assignment]  # a default can't bind Kind
) -> Kind:
    """PPO over a vector environment, starting from a network."""
    rate = settings.learning_rate
    return kind(
        FactorActorCritic,
        env,
        learning_rate=lambda left: rate * (0.1 + 0.9 * left),
        n_steps=settings.rollout,
        batch_size=settings.batch_size,
        n_epochs=settings.epochs,
        gamma=settings.gamma,
        gae_lambda=settings.gae_lambda,
        clip_range=settings.clip,
        target_kl=settings.target_kl,
        ent_coef=settings.entropy,
        policy_kwargs={"network": network},
        seed=seed,
        device="cpu",
    )
