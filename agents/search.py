"""Searches in a simulator for the best of simple policies: what a learned one has to beat."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from agents.rollouts import population, rollout
from mdp.observation import USER
from policies.base import Policy
from policies.baselines import Greedy, StaticRule
from simulator.description import Simulator
from simulator.kernel import Kernel

USERS, DAYS = 300, 42
FACTORS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
"""Thresholds tried, in units of the mean of a day's best predicted reward without one."""
_BEST = USER.index("best_value")


def best_threshold(simulator: Simulator, seed: int = 0) -> float:
    """The constant threshold with which fitted greedy does best, currency units.

    One that would lose to sending nothing is raised until it doesn't, at last by sending nothing.
    """
    rows = population(simulator, USERS, seed)
    unit = _typical_best(simulator, rows, seed)
    tried = [unit * factor for factor in FACTORS]
    worth = [_worth(simulator, Greedy(threshold=t), rows, seed) for t in tried]
    place = int(np.argmax(worth))
    low, high = tried[max(place - 1, 0)], tried[min(place + 1, len(tried) - 1)]
    finer = np.linspace(low, high, 7)[1:-1].tolist()
    worth += [_worth(simulator, Greedy(threshold=t), rows, seed) for t in finer]
    best = int(np.argmax(worth))
    threshold, value = [*tried, *finer][best], worth[best]
    while value < 0.0:
        threshold = max(2.0 * threshold, unit)
        value = _worth(simulator, Greedy(threshold=threshold), rows, seed)
    return float(threshold)


def best_static_rule(simulator: Simulator, seed: int = 0) -> StaticRule:
    """The best rule of one variant at one hour every n-th day, one part searched after another."""
    rows = population(simulator, USERS // 2, seed)
    _, V = simulator.lists
    rule = StaticRule()
    best = _worth(simulator, rule, rows, seed)
    options: dict[str, list[Any]] = {
        "every_days": [1.0, 2.0, 3.0, 5.0, 7.0, 14.0],
        "hour": [9, 11, 13, 15, 17, 19, 20, 21],
        "variant": list(range(V)),
    }
    for name, values in options.items():
        for value in values:
            other = replace(rule, **{name: value})
            worth = best if other == rule else _worth(simulator, other, rows, seed)
            if worth > best:
                best, rule = worth, other
    return rule


def baselines(threshold: float, rule: StaticRule) -> dict[str, Any]:
    """What was found, as a manifest holds it for comparisons."""
    found = {"variant": rule.variant, "hour": rule.hour, "every_days": rule.every_days}
    return {"threshold": threshold, "static_rule": found}


def _worth(simulator: Simulator, policy: Policy, rows: np.ndarray, seed: int) -> float:
    return float(rollout(simulator, policy, rows, seed, DAYS).value.mean())


def _typical_best(simulator: Simulator, rows: np.ndarray, seed: int) -> float:
    kernel = Kernel(simulator, rows, seed, 7)
    draws, best = np.random.default_rng(seed), []
    while not kernel.done:
        observation = kernel.view().observation
        best.append(observation["user"][:, _BEST].mean())
        kernel.step(Greedy().act(observation, draws)[0])
    return float(max(np.mean(best), 1e-3))
