"""DQN: Stable-Baselines3's, with masks and factors.

SB3's DQN knows no action mask. Here it holds in the greedy choice, in exploration (which redraws
one factor of the best send, or holds) and in the target's maximum. Q(s, a) = V(s) + A(s, a) with
the factor network's advantages, so the greedy choice needs no flat array of actions. Targets are
over several days and double: the online network chooses, the target network values. H. van
Hasselt, A. Guez, D. Silver, Deep Reinforcement Learning with Double Q-learning, 2016.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from gymnasium import spaces
from stable_baselines3 import DQN
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from agents.budgets import Prices
from agents.in_parts import InParts
from agents.network import Advantages, FactorNetwork, best_send, tensors
from agents.ranges import (
    Count,
    Discount,
    InRange,
    Limit,
    NotNegative,
    Pace,
    Range,
    Share,
    Times,
)
from agents.replay import Replay
from mdp.actions import HOURS
from mdp.errors import BadSetting
from mdp.observation import Observation
from policies.composition import Factors, distribution


@dataclass(frozen=True)
class DQNSettings(InRange):
    """Hyper-parameters of DQN; the defaults suit a minute on one core."""

    steps: Count = 100_000
    """user-days to train for, more than `learning_starts`"""
    users: Count = 128
    """users simulated at once"""
    days: Annotated[int, Range(2)] = 60
    """days of an episode; its end is a truncation, and the value is bootstrapped there, so one day
    alone would teach nothing"""
    replay: Count = 40_000
    """user-days remembered"""
    learning_starts: Times = 4_000
    """user-days before the first update, no more than are remembered"""
    learning_rate: Pace = 1e-5
    """of Adam for advantages, which differ little beside the value; falls linearly to a tenth"""
    critic_rate: Pace = 1e-3
    """of Adam for the state's value, likewise"""
    batch_size: Count = 512
    """transitions in a gradient step"""
    gradient_steps: Count = 2
    """gradient steps per simulated day"""
    gamma: Discount = 0.99
    """discount a day"""
    target_days: Count = 7
    """days of rewards in a target before it bootstraps"""
    tau: Pace = 0.01
    """how far the target network moves towards the online one each simulated day"""
    explore: Share = 0.1
    """exploration at the start"""
    explore_end: Share = 0.05
    """exploration after half of the training"""
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.learning_starts > self.replay:
            raise BadSetting(
                f"learning_starts is {self.learning_starts}; it must be at most replay, "
                f"{self.replay}"
            )
        if self.steps <= self.learning_starts:
            raise BadSetting(
                f"steps is {self.steps}; nothing is learned before learning_starts, "
                f"{self.learning_starts} user-days: give more steps, or set learning_starts lower"
            )


def best_action(advantages: Advantages) -> Tensor:
    """Flat actions (N,) int64 with the highest advantage among those allowed; ties to hold."""
    pair, hour = advantages.pair.flatten(1).argmax(1), advantages.hour.argmax(1)
    sends = advantages.sendable & (best_send(advantages) > advantages.hold)
    return torch.where(sends, 1 + pair * HOURS + hour, 0)


def q_values(network: FactorNetwork, observation: dict[str, Tensor], action: Tensor) -> Tensor:
    """Q (N,) of flat actions (N,), in value units."""
    advantages, value = network(observation)
    return value + network.unit / network.value_unit * advantage_of(advantages, action)


def advantage_of(advantages: Advantages, action: Tensor) -> Tensor:
    """Advantages (N,) of flat actions (N,), in units."""
    place = (action - 1).clamp(min=0)
    pair = advantages.pair.flatten(1).gather(1, (place // HOURS)[:, None])[:, 0]
    hour = advantages.hour.gather(1, (place % HOURS)[:, None])[:, 0]
    return torch.where(action > 0, pair + hour, advantages.hold)


class FactorQPolicy(BasePolicy):
    """SB3's Q-network interface around a `FactorNetwork`."""

    # SB3 annotates an observation as one tensor; ours are dicts of them, as its code allows.

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        network: FactorNetwork,
        critic_rate: float,
    ) -> None:
        super().__init__(observation_space, action_space)
        self.q_net = network
        self.q_net_target = deepcopy(network).requires_grad_(False)
        of_value = [*network.critic.parameters(), *network.value.parameters()]
        known = {id(parameter) for parameter in of_value}
        others = [p for p in network.parameters() if id(p) not in known]
        rate = lr_schedule(1)
        # SB3 sets one rate for all groups: `MaskedDQN.train` multiplies the second's.
        self.ratio = critic_rate / rate
        self.optimizer = torch.optim.Adam([{"params": others}, {"params": of_value}], lr=rate)

    def _predict(  # type: ignore[override]  # SB3 annotates one array, and passes dicts
        self, observation: dict[str, Tensor], deterministic: bool = True
    ) -> Tensor:
        return best_action(self.q_net(observation)[0])


class MaskedDQN(InParts, DQN):
    """DQN that never leaves the mask."""

    # Ignored below: SB3 names its own classes where ours take their places, and annotates an
    # observation as one array where it passes on dicts.
    policy: FactorQPolicy  # type: ignore[assignment]
    replay_buffer: Replay  # type: ignore[assignment]
    q_net: FactorNetwork  # type: ignore[assignment]
    q_net_target: FactorNetwork  # type: ignore[assignment]

    def set_random_seed(self, seed: int | None = None) -> None:
        """Seed all that is drawn from here on."""
        super().set_random_seed(seed)
        self._draws = np.random.default_rng(seed)

    def _update_current_progress_remaining(self, num_timesteps: int, total_timesteps: int) -> None:
        super()._update_current_progress_remaining(num_timesteps, total_timesteps)
        self.exploration_rate = self.exploration_schedule(self._current_progress_remaining)

    def predict(  # type: ignore[override]
        self, observation: Observation, *args: Any, deterministic: bool = True
    ) -> tuple[np.ndarray, None]:
        """Flat actions (N,) int64: the best allowed, or with exploration."""
        with torch.no_grad():
            advantages, _ = self.q_net(tensors(observation))
        if deterministic:
            return best_action(advantages).numpy(), None
        parts = (advantages.hold, advantages.pair, advantages.hour)
        factors = Factors(*(part.double().numpy() for part in parts))
        rate = self.exploration_rate
        mixture = distribution(factors, observation["action_mask"], None, rate)
        return mixture.draw(self._draws), None

    def _sample_action(
        self, learning_starts: int, action_noise: Any = None, n_envs: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        action, _ = self.predict(self._last_obs, deterministic=False)  # type: ignore[arg-type]
        return action, action

    def _store_transition(  # type: ignore[override]
        self,
        replay_buffer: Replay,
        buffer_action: np.ndarray,
        new_obs: Observation,
        reward: np.ndarray,
        dones: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        risks = np.array([info["expected_unsubscribe"] for info in infos])
        truncated = np.zeros(len(dones), bool)
        for row in np.flatnonzero(dones):
            truncated[row] = infos[row].get("TimeLimit.truncated", False)
        replay_buffer.add(
            self._last_obs,  # type: ignore[arg-type]
            buffer_action,
            reward,
            risks,
            dones & ~truncated,
            truncated,
        )
        self._last_obs = new_obs

    def end_part(self, old: Prices, new: Prices, unit: float) -> None:
        """What is remembered does not lead to the next part, and costs what it will cost then;
        unit: currency of one unit paid."""
        self.replay_buffer.cut()
        more = (new.send - old.send, new.unsubscribe - old.unsubscribe)
        self.replay_buffer.charge(*(price / unit for price in more))

    def targets(self, following: dict[str, Tensor], reward: Tensor, discount: Tensor) -> Tensor:
        """reward + discount · Q_target(s', best allowed action of the online network) (B,)."""
        with torch.no_grad():
            chosen = best_action(self.q_net(following)[0])
            return reward + discount * q_values(self.q_net_target, following, chosen)

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Gradient steps on the Huber loss to the targets, as soon as there is one."""
        if not self.replay_buffer.ready:
            return
        self._update_learning_rate(self.policy.optimizer)
        self.policy.optimizer.param_groups[1]["lr"] *= self.policy.ratio
        losses = []
        for _ in range(gradient_steps):
            batch = self.replay_buffer.sample(batch_size, self._draws)
            target = self.targets(batch.following, batch.reward, batch.discount)
            loss = F.smooth_l1_loss(q_values(self.q_net, batch.observation, batch.action), target)
            losses.append(loss.item())
            self.policy.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.q_net.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/loss", float(np.mean(losses)))


def build_dqn(env: VecEnv, network: FactorNetwork, settings: DQNSettings, seed: int) -> MaskedDQN:
    """DQN over a vector environment, starting from a network."""
    rate = settings.learning_rate
    return MaskedDQN(
        FactorQPolicy,
        env,
        learning_rate=lambda left: rate * (0.1 + 0.9 * left),
        buffer_size=settings.replay,
        learning_starts=settings.learning_starts,
        batch_size=settings.batch_size,
        tau=settings.tau,
        gamma=settings.gamma,
        train_freq=1,
        gradient_steps=settings.gradient_steps,
        replay_buffer_class=Replay,
        replay_buffer_kwargs={"gamma": settings.gamma, "n_days": settings.target_days},
        target_update_interval=env.num_envs,
        exploration_fraction=0.5,
        exploration_initial_eps=settings.explore,
        exploration_final_eps=settings.explore_end,
        policy_kwargs={"network": network, "critic_rate": settings.critic_rate},
        seed=seed,
        device="cpu",
    )
