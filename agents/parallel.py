"""PPO in several processes: Ray actors collect days and compute gradients, one learner steps.

The users are divided into `SHARDS` shards, each with its own environment, draws and rows of every
batch. Whoever holds a shard, what it collects and its gradients are the same, and the learner adds
them in the shards' order: the policy is the same to the bit in one process and in eight. It is
another than that of PPO without Ray, which draws otherwise. Gradients are averaged as by E. Wijmans
et al., DD-PPO: Learning Near-Perfect PointGoal Navigators from 2.5 Billion Frames, 2020.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import ray
import torch
import torch.nn.functional as F
from stable_baselines3.common.callbacks import BaseCallback, ConvertCallback
from stable_baselines3.common.utils import explained_variance, set_random_seed
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from agents.budgets import Prices
from agents.cluster import running
from agents.network import Soft
from agents.paying import ExpectedRewards
from agents.ppo import PartialPPO, PPOSettings, build_ppo
from envs.vector import PushVectorEnv
from mdp.errors import BadSetting
from simulator.description import Simulator

SHARDS = 8
"""Shards of the users, and the most processes that can share the work."""


@dataclass(frozen=True)
class Slope:
    """What a shard says of its rows of a batch."""

    gradient: np.ndarray
    """Of the mean loss (P,) float32."""
    divergence: float
    """From the policy that collected the rows."""
    losses: dict[str, float]
    """The loss's parts and the share of clipped rows, by the names that SB3's curves have."""


class Shard:
    """Some of the users: their days, and the gradients on these."""

    def __init__(
        self,
        simulator: Simulator,
        network: Soft,
        settings: PPOSettings,
        unit: float,
        number: int,
    ) -> None:
        """settings: with the users and the rows of a batch that are the shard's own."""
        pays = ExpectedRewards(
            PushVectorEnv(simulator, settings.users, settings.days), unit, settings.pessimism
        )
        self._pays, self._number, self._settings = pays, number, settings
        self._model: PartialPPO = build_ppo(pays, network, settings, 0)

    def begin(self, part: int, seed: int, prices: Prices) -> None:
        """Begin a part's episodes."""
        self._key, self._rollouts, self._pays.prices = (seed, part, self._number), 0, prices
        self._pays.seed(self._drawn())
        self._model._last_obs = None
        _, self._told = self._model._setup_learn(0, ConvertCallback(None), False)

    def collect(self, parameters: np.ndarray) -> float:
        """Live a rollout's days under the policy that parameters (P,) make; returns which share
        of the returns' variance the critic explains."""
        model = self._model
        self._take(parameters)
        self._rollouts += 1
        set_random_seed(self._drawn())
        model.collect_rollouts(self._pays, self._told, model.rollout_buffer, model.n_steps)
        self._rows: Any = next(model.rollout_buffer.get())
        buffer = model.rollout_buffer
        return float(explained_variance(buffer.values.flatten(), buffer.returns.flatten()))

    def slopes(self, parameters: np.ndarray, epoch: int, batch: int, batches: int) -> Slope:
        """PPO's clipped loss on the shard's rows of a batch, as Stable-Baselines3 has it."""
        self._take(parameters)
        model, rows = self._model, self._rows
        order = np.random.default_rng([*self._key, self._rollouts, epoch])
        mine = torch.as_tensor(
            np.array_split(order.permutation(len(rows.advantages)), batches)[batch]
        )
        seen = {name: array[mine] for name, array in rows.observations.items()}
        values, likely, entropy = model.policy.evaluate_actions(
            seen, rows.actions[mine].long().flatten()
        )
        gain = rows.advantages[mine]
        gain = (gain - gain.mean()) / (gain.std() + 1e-8)
        change = likely - rows.old_log_prob[mine]
        ratio, clip = change.exp(), self._settings.clip
        better = torch.min(gain * ratio, gain * ratio.clamp(1 - clip, 1 + clip)).mean()
        missed = F.mse_loss(rows.returns[mine], values.flatten())
        spread = -likely if entropy is None else entropy
        loss = model.vf_coef * missed - better - model.ent_coef * spread.mean()
        model.policy.zero_grad(set_to_none=False)
        loss.backward()
        gradient = [
            torch.zeros_like(each) if each.grad is None else each.grad
            for each in model.policy.parameters()
        ]
        with torch.no_grad():
            divergence = float((ratio - 1 - change).mean())
        losses = {
            "policy_gradient_loss": -better,
            "value_loss": missed,
            "entropy_loss": -spread.mean(),
            "clip_fraction": ((ratio - 1).abs() > clip).float().mean(),
            "loss": loss,
        }
        return Slope(
            parameters_to_vector(gradient).numpy(),
            divergence,
            {name: float(value.detach()) for name, value in losses.items()},
        )

    def _take(self, parameters: np.ndarray) -> None:
        vector_to_parameters(torch.from_numpy(parameters.copy()), self._model.policy.parameters())

    def _drawn(self) -> int:
        key = np.random.SeedSequence([*self._key, self._rollouts])
        return int(key.generate_state(1)[0] >> 1)


class Process:
    """The shards that one process holds."""

    def __init__(
        self, place: tuple[Simulator, Soft], settings: PPOSettings, unit: float, numbers: list[int]
    ) -> None:
        torch.set_num_threads(1)
        simulator, network = place
        self._shards = [Shard(simulator, deepcopy(network), settings, unit, n) for n in numbers]

    def call(self, method: str, *args: Any) -> list[Any]:
        """What each shard's method gives, in their order."""
        return [getattr(shard, method)(*args) for shard in self._shards]


class ParallelPPO(PartialPPO):
    """PPO whose days and gradients come from Ray actors."""

    actors: list[Any]

    def learn_part(self, number: int, steps: int, seed: int, callback: BaseCallback) -> None:
        """As `InParts.learn_part`, the shards' episodes beginning too."""
        assert isinstance(self.env, ExpectedRewards)
        self._all("begin", number, seed, self.env.prices)
        super().learn_part(number, steps, seed, callback)

    def collect_rollouts(  # type: ignore[override]  # what SB3 passes beside is not needed
        self, env: ExpectedRewards, callback: BaseCallback, *args: Any, **kwargs: Any
    ) -> bool:
        """Let all shards live a rollout's days."""
        callback.on_rollout_start()
        self._explained = float(np.mean(self._all("collect", self._parameters())))
        self.num_timesteps += env.num_envs * self.n_steps
        callback.on_rollout_end()
        return True

    def train(self) -> None:
        """Steps along the mean of the shards' gradients; stops at the divergence as PPO does."""
        optimizer = self.policy.optimizer
        self._update_learning_rate(optimizer)
        losses: list[dict[str, float]] = []
        for epoch in range(self.n_epochs):
            if not self._pass(epoch, losses):
                break
            self._n_updates += 1
        for name in losses[0]:
            mean = float(np.mean([each[name] for each in losses]))
            self.logger.record(f"train/{name}", mean)
        self.logger.record("train/explained_variance", self._explained)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _pass(self, epoch: int, losses: list[dict[str, float]]) -> bool:
        """A step for each batch, whose losses are added to the list; whether the policy is near
        enough to the one that collected the rows to go on."""
        batches = -(-self.n_envs * self.n_steps // self.batch_size)
        for batch in range(batches):
            found = self._all("slopes", self._parameters(), epoch, batch, batches)
            losses += [each.losses for each in found]
            divergence = float(np.mean([each.divergence for each in found]))
            self.logger.record("train/approx_kl", divergence)
            if self.target_kl is not None and divergence > 1.5 * self.target_kl:
                return False
            self._step(np.mean([each.gradient for each in found], 0))
        return True

    def _step(self, gradient: np.ndarray) -> None:
        parameters = list(self.policy.parameters())
        parts = torch.from_numpy(gradient).split([each.numel() for each in parameters])
        for each, part in zip(parameters, parts, strict=True):
            each.grad = part.view_as(each).clone()
        torch.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
        self.policy.optimizer.step()

    def _parameters(self) -> np.ndarray:
        with torch.no_grad():
            return parameters_to_vector(self.policy.parameters()).numpy()

    def _all(self, method: str, *args: Any) -> list[Any]:
        """What every shard's method gives, in the shards' order."""
        found = ray.get([actor.call.remote(method, *args) for actor in self.actors])
        return [each for part in found for each in part]


def need_shards(settings: PPOSettings, workers: int) -> None:
    """Raises `BadSetting` for users or a batch that can't be divided into the shards, and for
    processes that they can't be shared out to."""
    if not 1 <= workers <= SHARDS:
        raise BadSetting(f"--workers is {workers}; it can be 1 to {SHARDS}")
    for name in ("users", "batch_size"):
        if getattr(settings, name) % SHARDS:
            raise BadSetting(
                f"{name} is {getattr(settings, name)}; with --workers it must be a multiple of "
                f"{SHARDS}, the shards that it is divided into"
            )


@contextmanager
def parallel_ppo(
    env: ExpectedRewards, network: Soft, settings: PPOSettings, seed: int, workers: int
) -> Iterator[ParallelPPO]:
    """PPO over as many processes, on this machine or on the cluster that RAY_ADDRESS names.

    Raises `BadSetting` for what `need_shards` refuses, and where Ray does not start.
    """
    need_shards(settings, workers)
    model = build_ppo(env, network, settings, seed, ParallelPPO)
    assert isinstance(env.env, PushVectorEnv)
    own = replace(
        settings, users=settings.users // SHARDS, batch_size=settings.batch_size // SHARDS
    )
    with running():
        place = ray.put((env.env.simulator, network))
        make = ray.remote(num_cpus=1)(Process)
        parts = np.array_split(np.arange(SHARDS), workers)
        model.actors = [make.remote(place, own, env.unit, part.tolist()) for part in parts]
        try:
            yield model
        finally:
            for actor in model.actors:
                ray.kill(actor)
