"""Where training starts: fitted greedy with its best threshold, or the planner if that is better.

The network is fitted greedy with a threshold by itself. Where the planner on the fitted model is
worth more, the network first learns the planner's price of a send. The critic learns what the
start is worth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from agents.network import FactorNetwork, fit_scaling, tensors
from agents.rollouts import population, rollout
from mdp.observation import Observation
from mdp.prediction import PARTS
from policies.base import Policy
from policies.baselines import Greedy
from policies.composition import split_mask
from policies.planner import Planner
from simulator.description import Simulator
from simulator.kernel import Kernel

USERS, DAYS, EVERY = 384, 48, 3
EPOCHS, BATCH = 40, 1024


@dataclass(frozen=True)
class _Past:
    """Days of users under the starting policy, every third kept."""

    observations: list[Observation]
    returns: np.ndarray
    """Discounted, (M,) float32, in the order of the observations' rows."""

    @property
    def spread(self) -> float:
        """Standard deviation of the returns; 1 where they don't differ."""
        spread = float(self.returns.std())
        return spread if spread > 1e-6 else 1.0

    @property
    def joined(self) -> Observation:
        """All rows' observations."""
        names = self.observations[0]
        return {name: np.concatenate([seen[name] for seen in self.observations]) for name in names}


def starting_network(
    simulator: Simulator, threshold: float, plan: Planner, hidden: int, seed: int
) -> tuple[FactorNetwork, str]:
    """The network that training improves on, and what policy it was made after;
    deterministic for a seed. plan: with the discount that training has, and the prices of budgets,
    which only the planner knows to pay."""
    rows = population(simulator, USERS, seed)
    greedy = Greedy(threshold=threshold, name="greedy + threshold")
    worth = [rollout(simulator, each, rows, seed, DAYS).value.mean() for each in (greedy, plan)]
    chosen = plan if worth[1] > worth[0] or any(plan.prices) else greedy
    past = _live(simulator, chosen, rows, plan, seed)
    torch.manual_seed(seed)
    network = FactorNetwork(fit_scaling(past.observations), threshold, past.spread, hidden)
    joined = past.joined
    with torch.no_grad():
        context = network.context(tensors(joined))
    if chosen is plan:
        _fit_price(network, context, _charged(network, plan, joined), seed)
    _fit_critic(network, context, past.returns, seed)
    return network, f"fitted {chosen.name}"


def teach_critic(
    simulator: Simulator, network: FactorNetwork, policy: Policy, plan: Planner, seed: int
) -> None:
    """Let a network's critic learn what a policy is worth here; nothing else of it changes.
    plan: says the discount and the prices that are charged."""
    past = _live(simulator, policy, population(simulator, USERS, seed), plan, seed)
    with torch.no_grad():
        network.value_unit.fill_(past.spread)
        context = network.context(tensors(past.joined))
    _fit_critic(network, context, past.returns, seed)


def _live(
    simulator: Simulator, policy: Policy, rows: np.ndarray, plan: Planner, seed: int
) -> _Past:
    kernel = Kernel(simulator, rows, seed + 1, DAYS)
    draws = np.random.default_rng([seed, 13])
    kept, rewards, alive, gamma = [], [], [], plan.gamma
    while not kernel.done:
        observation = kernel.view().observation
        if kernel.day[0] % EVERY == 0:
            kept.append(observation)
        alive.append(~kernel.unsubscribed)
        step = kernel.step(policy.act(observation, draws)[0])
        of_send, of_unsubscribe = plan.prices
        rewards.append(step.expected - of_send * step.sent - of_unsubscribe * step.risk)
    worth = np.stack(rewards)
    # After the last day the mean goes on for those who are still subscribed.
    following = ~kernel.unsubscribed * worth[DAYS // 2 :].mean() / (1.0 - gamma)
    returns = np.empty_like(worth)
    for day in range(DAYS - 1, -1, -1):
        returns[day] = following = worth[day] + gamma * following
    chosen = [alive[day] for day in range(0, DAYS, EVERY)]
    return _Past(
        [
            {name: array[who] for name, array in seen.items()}
            for seen, who in zip(kept, chosen, strict=True)
        ],
        np.concatenate(
            [row[who] for row, who in zip(returns[::EVERY], chosen, strict=True)]
        ).astype(np.float32),
    )


def _charged(network: FactorNetwork, plan: Planner, observation: Observation) -> np.ndarray:
    """The planner's price of a send (M,), currency, once the price of an unsubscribe is put on
    each pair's own probability of one."""
    column, price = PARTS.index("unsubscribe"), plan.prices[1]
    center = float(network.pairs_center[column])  # type: ignore[index]
    scale = float(network.pairs_scale[column])  # type: ignore[index]
    with torch.no_grad():
        network.weights.bias[column] = -price * scale / network.unit
    best = observation["pairs"].reshape(len(observation["pairs"]), -1, len(PARTS))
    allowed = split_mask(observation["action_mask"], observation["pairs"].shape[1])
    pairs = (allowed[0][:, :, None] & allowed[1][:, None, :]).reshape(len(best), -1)
    place = np.where(pairs, best[..., PARTS.index("value")], -np.inf).argmax(1)
    risk = best[np.arange(len(best)), place, column]
    return plan.price(observation) - price * (risk - center)


def _fit_price(network: FactorNetwork, context: Tensor, price: np.ndarray, seed: int) -> None:
    """Teach the network's hold the price of a send (M,), currency units."""
    target = torch.as_tensor(price / float(network.unit), dtype=torch.float32)
    with torch.no_grad():
        network.threshold.fill_(float(target.mean()))

    def worth(rows: Tensor) -> Tensor:
        return network.threshold + network.weights(network.trunk(context[rows]))[:, -1]

    parameters = [network.threshold, *network.trunk.parameters(), *network.weights.parameters()]
    _regress(worth, parameters, target, seed)


def _fit_critic(network: FactorNetwork, context: Tensor, returns: np.ndarray, seed: int) -> None:
    """Regress the value on discounted returns (M,); the rest of the network stays as it is."""
    target = torch.as_tensor(returns) / network.value_unit
    with torch.no_grad():
        network.value.bias.fill_(float(target.mean()))

    def worth(rows: Tensor) -> Tensor:
        return network.value(network.critic(context[rows]))[:, 0]

    parameters = [*network.critic.parameters(), *network.value.parameters()]
    _regress(worth, parameters, target, seed)


def _regress(
    predict: Callable[[Tensor], Tensor], parameters: list[nn.Parameter], target: Tensor, seed: int
) -> None:
    """Least squares by Adam over `EPOCHS` passes; the rate falls to nothing."""
    optimizer = torch.optim.Adam(parameters, 2e-3)
    order = np.random.default_rng([seed, 14])
    batches = len(target) // BATCH + 1
    decline = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, EPOCHS * batches)
    for _ in range(EPOCHS):
        for batch in np.array_split(order.permutation(len(target)), batches):
            rows = torch.as_tensor(batch)
            loss = (predict(rows) - target[rows]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            decline.step()
