"""Rollouts: what policies are worth in a simulator, on the same users with the same draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from envs.episodes import Episodes
from mdp.errors import BadSetting
from mdp.observation import Observation
from policies.base import Policy
from simulator.description import Simulator
from simulator.kernel import Kernel
from simulator.payment import Step


@dataclass(frozen=True)
class Outcome:
    """What a policy brought over an episode of N users; (N,) float64 each, totals."""

    value: np.ndarray
    """Expected reward of the executed decisions, under the simulator's own response model."""
    sends: np.ndarray
    opens: np.ndarray
    clicks: np.ndarray
    unsubscribed: np.ndarray
    risk: np.ndarray
    """Probabilities of an unsubscribe, summed: the same mean as `unsubscribed`, less noise."""
    revenue: np.ndarray
    """Amount paid, organic purchases included."""
    days: int
    """Days that were simulated."""

    @staticmethod
    def joined(parts: list[Outcome]) -> Outcome:
        """Several seeds' users one after another."""
        names = [f.name for f in fields(Outcome) if f.name != "days"]
        arrays = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
        return Outcome(**arrays, days=parts[0].days)


def population(simulator: Simulator, size: int, seed: int) -> np.ndarray:
    """Rows (N,) int64 of users who may be pushed: `size` drawn, or all where there are fewer."""
    eligible = Episodes.of(simulator, 1).eligible
    if size >= len(eligible):
        return eligible
    return np.sort(np.random.default_rng([seed, 11]).choice(eligible, size, replace=False))


def rollout(
    simulator: Simulator,
    policy: Policy,
    rows: np.ndarray,
    seed: int,
    days: int,
    watch: Callable[[Observation, Step], None] | None = None,
) -> Outcome:
    """Let a policy decide for users `rows` (N,) over `days` days.

    Users draw from counters keyed by seed, user and day, so with equal seeds all policies meet
    the same users on the same days; the policy's own draws come from a stream apart. watch: is
    shown each day, as it was seen and what it brought. Raises `BadSetting` for a reward that
    credits every purchase: what a push is expected to bring is not what such a reward pays.
    """
    if simulator.reward.credit != "attributed":
        raise BadSetting(
            "reward credit is 'all', but policies are judged by what their pushes are expected to "
            "bring: use credit='attributed', beside which revenue minus hold's is shown"
        )
    kernel = Kernel(simulator, rows, seed, days)
    draws = np.random.default_rng([seed, 12])
    names = ("value", "sends", "opens", "clicks", "risk", "revenue")
    total = {name: np.zeros(len(rows)) for name in names}
    while not kernel.done:
        observation = kernel.view().observation
        actions, _ = policy.act(observation, draws)
        step = kernel.step(actions)
        if watch is not None:
            watch(observation, step)
        for name, part in (
            ("value", step.expected),
            ("sends", step.sent),
            ("opens", step.opened),
            ("clicks", step.clicked),
            ("risk", step.risk),
            ("revenue", step.revenue),
        ):
            total[name] += part
    return Outcome(**total, unsubscribed=kernel.unsubscribed.astype(np.float64), days=days)
