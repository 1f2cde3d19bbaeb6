"""The one registry of what `pushwise train` can learn by. It imports nothing heavy, so that the
command line can list it; `agents.learning` runs what stands here.

To add an algorithm, give it a line in `ALGORITHMS`, a frozen dataclass of settings, and a branch
in `agents.learning`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from mdp.errors import BadSetting


@dataclass(frozen=True)
class Algorithm:
    """One algorithm."""

    name: str
    """What follows --algo."""
    settings: str
    """Its settings, a frozen dataclass, as `module:class`."""
    summary: str
    """What it is, in one line."""
    from_logs: bool = False
    """Whether it learns from logged decisions, and not in the simulator."""

    def default_settings(self) -> Any:
        """The settings with their defaults."""
        module, _, name = self.settings.partition(":")
        return getattr(import_module(module), name)()


ALGORITHMS = {
    name: Algorithm(name, settings, summary, from_logs)
    for name, settings, summary, from_logs in (
        ("ppo", "agents.ppo:PPOSettings", "proximal policy optimisation", False),
        ("dqn", "agents.dqn:DQNSettings", "deep Q-network", False),
        ("greedy", "agents.greedy:GreedySettings", "no learning, a threshold", False),
        ("linucb", "agents.bandits:LinUCBSettings", "linear bandit, upper bounds", True),
        ("thompson", "agents.bandits:ThompsonSettings", "linear bandit, posterior draws", True),
        ("recovering", "agents.bandits:RecoveringSettings", "copy that wears out", True),
        ("price", "agents.offline:PriceSettings", "offline Q-learning of a send's price", True),
        ("cql", "agents.offline:CQLSettings", "conservative Q-learning", True),
        ("bcq", "agents.offline:BCQSettings", "batch-constrained Q-learning", True),
        ("clone", "agents.offline:CloneSettings", "behaviour cloning", True),
    )
}
"""By name, in the order in which they are listed."""


def algorithm_of(name: str) -> Algorithm:
    """The algorithm of a name; raises `BadSetting`, which lists all, for an unknown one."""
    if name not in ALGORITHMS:
        known = "; ".join(f"{each.name} ({each.summary})" for each in ALGORITHMS.values())
        raise BadSetting(f"there is no algorithm {name!r}; choose among {known}")
    return ALGORITHMS[name]
