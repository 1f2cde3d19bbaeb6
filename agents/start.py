"""Where training starts: fitted greedy with its best threshold, and a critic of its value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from agents.network import FactorNetwork, fit_scaling, tensors
from agents.rollouts import population
from mdp.observation import Observation
from policies.baselines import Greedy
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


def starting_network(
    simulator: Simulator, threshold: float, gamma: float, hidden: int, seed: int
) -> FactorNetwork:
    """The network that training improves on, deterministic for a seed."""
    past = _live(simulator, threshold, gamma, seed)
    torch.manual_seed(seed)
    spread = float(past.returns.std())
    network = FactorNetwork(
        fit_scaling(past.observations), threshold, spread if spread > 1e-6 else 1.0, hidden
    )
    _fit_critic(network, past, seed)
    return network


def _live(simulator: Simulator, threshold: float, gamma: float, seed: int) -> _Past:
    rows = population(simulator, USERS, seed)
    kernel = Kernel(simulator, rows, seed + 1, DAYS)
    draws, greedy = np.random.default_rng([seed, 13]), Greedy(threshold=threshold)
    kept, rewards, alive = [], [], []
    while not kernel.done:
        observation = kernel.view().observation
        if kernel.day[0] % EVERY == 0:
            kept.append(observation)
        alive.append(~kernel.unsubscribed)
        rewards.append(kernel.step(greedy.act(observation, draws)[0]).expected)
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


def _fit_critic(network: FactorNetwork, past: _Past, seed: int) -> None:
    """Regress the value on the returns; the rest of the network stays as it is."""
    joined = {
        name: np.concatenate([seen[name] for seen in past.observations])
        for name in past.observations[0]
    }
    with torch.no_grad():
        context = network.context(tensors(joined))
        target = torch.as_tensor(past.returns) / network.value_unit
        network.value.bias.fill_(float(target.mean()))
    optimizer = torch.optim.Adam([*network.critic.parameters(), *network.value.parameters()], 1e-3)
    order = np.random.default_rng([seed, 14])
    for _ in range(EPOCHS):
        for batch in np.array_split(order.permutation(len(target)), len(target) // BATCH + 1):
            rows = torch.as_tensor(batch)
            value = network.value(network.critic(context[rows]))[:, 0]
            loss = (value - target[rows]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
