"""Agents straight from logs: nothing is simulated.

A send is worth what the response model expects of it at once, which a log of some ten thousand
pushes with one purchase in fifty can't correct, pair by pair, without learning noise. What the
model says nothing of is learned: the price of a send, which stands for all that it costs later,

    Q(s, send a) = V(s) + expected reward of a        Q(s, hold) = V(s) + price(s)

price and V by the factor network's own layers, from the user's decisions in turn, holds as they
are. All maxima keep to the mask. The agents differ in what they make of the next decision:

    price     the best action's value: double Q-learning.
    cql       the same, and Q is pushed down for what was not done.
              A. Kumar et al., Conservative Q-Learning for Offline Reinforcement Learning, 2020
    bcq       the value of the best action among those that the log is likely enough to do.
              S. Fujimoto et al., Benchmarking Batch Deep Reinforcement Learning Algorithms, 2019
    clone     nothing: the likelihood of what was done (behaviour cloning)
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from agents.descent import Descent, DescentSettings
from agents.distribution import FactorisedDistribution
from agents.logged import Logged, Transitions, transitions
from agents.network import (
    MASKED,
    Advantages,
    FactorNetwork,
    Scaling,
    Soft,
    best_send,
    fit_scaling,
    tensors,
)
from agents.ranges import Count, Discount, NotNegative, Pace
from agents.runs import Run
from mdp.actions import HOLD
from mdp.errors import NotEnoughData

VALUE = 10.0
"""Typical best sends that a value is measured in."""
SCALED = 20_000
"""Decisions that features are scaled by at most."""
_TOGETHER = 4096
"""Decisions that the network sees at a time."""


@dataclass(frozen=True, kw_only=True)
class CloneSettings(DescentSettings):
    """Settings of behaviour cloning."""

    steps: Count = 500
    """gradient steps"""
    learning_rate: Pace = 2e-3
    """of Adam; falls linearly to a tenth"""


@dataclass(frozen=True, kw_only=True)
class PriceSettings(DescentSettings):
    """Settings of Q-learning of the price of a send."""

    gamma: Discount = 0.97
    """discount a day"""
    tau: Pace = 0.01
    """how far the target network moves towards the online one each step"""


@dataclass(frozen=True, kw_only=True)
class CQLSettings(PriceSettings):
    """Settings of conservative Q-learning."""

    alpha: NotNegative = 0.1
    """weight of pushing down what was not done"""


@dataclass(frozen=True, kw_only=True)
class BCQSettings(PriceSettings):
    """Settings of batch-constrained Q-learning."""

    threshold: Pace = 0.3
    """least probability under the cloned logging policy, relative to the likeliest, of hold or
    send, of a pair and of an hour"""
    clone_steps: Count = 500
    """gradient steps of the clone"""


class Supported(nn.Module):
    """Advantages of a network where a cloned policy is likely enough to go, `MASKED` elsewhere."""

    def __init__(self, network: FactorNetwork, clone: Soft, threshold: float) -> None:
        super().__init__()
        self.network, self.clone = network, clone.requires_grad_(False)
        self.least = float(np.log(threshold))

    def forward(self, observation: dict[str, Tensor]) -> tuple[Advantages, Tensor]:
        """As `FactorNetwork.forward`."""
        advantages, value = self.network(observation)
        hold, pair, hour, _ = self.clone(observation)
        odds = pair.flatten(1).logsumexp(1) + hour.logsumexp(1) - hold
        held = ~advantages.sendable | (odds <= -self.least)
        pairs = pair >= pair.amax((1, 2), keepdim=True) + self.least
        pairs = pairs & (odds >= self.least)[:, None, None]
        hours = hour >= hour.amax(1, keepdim=True) + self.least
        return (
            Advantages(
                torch.where(held, advantages.hold, 3 * MASKED),
                torch.where(pairs, advantages.pair, MASKED),
                torch.where(hours, advantages.hour, MASKED),
                advantages.sendable & (odds >= self.least),
            ),
            value,
        )


def clone(data: Logged, settings: CloneSettings, seed: int, run: Run | None = None) -> Soft:
    """The logging policy, by the likelihood of what it did under the masked softmax."""
    torch.manual_seed(seed)
    network = Soft(FactorNetwork(_scaling(data, seed), 0.0, 1.0, settings.hidden), 1.0, 1.0)
    seen, action = tensors(data.observation), torch.as_tensor(data.action)
    rows = np.flatnonzero(data.usable)

    def loss(chosen: Tensor) -> dict[str, Tensor]:
        hold, pair, hour, _ = network(_some(seen, chosen))
        parts = FactorisedDistribution()
        parts.proba_distribution(hold, pair, hour, seen["action_mask"][chosen])
        return {"negative_log_likelihood": -parts.log_prob(action[chosen]).mean()}

    Descent(network, network.parameters(), settings, seed, "clone", run).run(loss, rows)
    return network


def price(
    data: Logged, settings: PriceSettings, seed: int, run: Run | None = None
) -> FactorNetwork:
    """Q-learning of the price of a send."""
    network, moves = _start(data, settings, seed)
    _learn_price("price", network, network, data, moves, settings, seed, run)
    return network


def cql(data: Logged, settings: CQLSettings, seed: int, run: Run | None = None) -> FactorNetwork:
    """Conservative Q-learning."""
    network, moves = _start(data, settings, seed)
    _learn_price("cql", network, network, data, moves, settings, seed, run, settings.alpha)
    return network


def bcq(data: Logged, settings: BCQSettings, seed: int, run: Run | None = None) -> Supported:
    """Batch-constrained Q-learning around a clone of the logging policy, which a run that is gone
    on with learns again."""
    around = CloneSettings(steps=settings.clone_steps, hidden=settings.hidden)
    network, moves = _start(data, settings, seed)
    cloned = clone(data, around, seed)
    supported = Supported(network, cloned, settings.threshold)
    _learn_price("bcq", network, supported, data, moves, settings, seed, run)
    return supported


def _scaling(data: Logged, seed: int) -> Scaling:
    rows = np.flatnonzero(data.usable)
    if len(rows) > SCALED:
        rows = np.random.default_rng([seed, 16]).choice(rows, SCALED, replace=False)
    return fit_scaling([data.some(rows)])


def _start(data: Logged, settings: PriceSettings, seed: int) -> tuple[FactorNetwork, Transitions]:
    """A network that is fitted greedy without a threshold, and what it learns from."""
    moves = transitions(data, settings.gamma)
    if not len(moves.start):
        raise NotEnoughData(
            "no user of the log has a second decision after one whose outcomes are all in, and "
            "what a send costs later shows in nothing else: give a log of several decisions a user"
        )
    torch.manual_seed(seed)
    scaling = _scaling(data, seed)
    return FactorNetwork(scaling, 0.0, VALUE * scaling.unit, settings.hidden), moves


def _learn_price(
    name: str,
    network: FactorNetwork,
    choosing: FactorNetwork | Supported,
    data: Logged,
    moves: Transitions,
    settings: PriceSettings,
    seed: int,
    run: Run | None,
    alpha: float = 0.0,
) -> None:
    """Least squares on reward + discount · Q_target(s', a'), a' the online network's best action
    among those that are `choosing`'s; only `threshold`, the price's layers and the critic learn.

    alpha: weight of log Σ ρ exp Q - Q(what was done), where ρ is half a hold and half any allowed
    send: over all actions alike, hundreds of sends would drown the one hold.
    """
    scale = float(network.unit / network.value_unit)
    context, best, total, held = _facts(network, choosing, data, scale)
    done = torch.as_tensor(data.expected / float(network.unit), dtype=torch.float32)
    sent = torch.as_tensor(data.action != HOLD)
    start, after = torch.as_tensor(moves.start), torch.as_tensor(moves.after)
    reward = torch.as_tensor(moves.reward / float(network.value_unit), dtype=torch.float32)
    discount = torch.as_tensor(moves.discount, dtype=torch.float32)
    target = deepcopy(network).requires_grad_(False)

    def hold(of: FactorNetwork, rows: Tensor) -> Tensor:
        return of.threshold + of.weights(of.trunk(context[rows]))[:, -1]

    def value(of: FactorNetwork, rows: Tensor) -> Tensor:
        return of.value(of.critic(context[rows]))[:, 0]

    def loss(rows: Tensor) -> dict[str, Tensor]:
        now, then = start[rows], after[rows]
        with torch.no_grad():
            sends = (best[then] > hold(network, then)) | ~held[then]
            follows = torch.where(sends, best[then], hold(target, then))
            aim = reward[rows] + discount[rows] * (value(target, then) + scale * follows)
        held_at = hold(network, now)
        q = scale * torch.where(sent[now], done[now], held_at)
        error = (value(network, now) + q - aim).square().mean()
        if not alpha:
            return {"value_loss": error}
        pushed = (torch.logaddexp(scale * held_at, total[now]) - q).mean()
        return {"value_loss": error, "conservative_loss": alpha * pushed}

    def follow() -> None:
        with torch.no_grad():
            for own, other in zip(target.parameters(), network.parameters(), strict=True):
                own.lerp_(other, settings.tau)

    layers = (network.trunk, network.weights, network.critic, network.value)
    parameters = [network.threshold, *(each for layer in layers for each in layer.parameters())]
    descent = Descent(network, parameters, settings, seed, name, run, target)
    descent.run(loss, np.arange(len(start)), follow)


def _facts(
    network: FactorNetwork, choosing: FactorNetwork | Supported, data: Logged, scale: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What learning does not change of D decisions: the context, the best send's worth in units
    (very low where there is none), the log of the mean of exp (scale · worth) over all allowed
    sends, and whether a hold may be chosen."""
    out = []
    for start in range(0, len(data.action), _TOGETHER):
        seen = tensors(data.some(np.arange(start, min(start + _TOGETHER, len(data.action)))))
        with torch.no_grad():
            allowed, chosen = network(seen)[0], choosing(seen)[0]
            best = torch.where(chosen.sendable, best_send(chosen), MASKED)
            parts = (_mean_power(part, scale) for part in (allowed.pair.flatten(1), allowed.hour))
            total = torch.where(allowed.sendable, sum(parts), MASKED)
            out.append((network.context(seen), best, total, chosen.hold > MASKED))
    context, best, total, held = (torch.cat(parts) for parts in zip(*out, strict=True))
    return context, best, total, held


def _mean_power(part: Tensor, scale: float) -> Tensor:
    """Log of the mean of exp (scale · worth) (N,) over what is allowed of a part (N, M)."""
    count = (part > MASKED).sum(1).clamp(min=1)
    return (scale * part).logsumexp(1) - count.log()


def _some(seen: dict[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    return {name: array[rows] for name, array in seen.items()}
