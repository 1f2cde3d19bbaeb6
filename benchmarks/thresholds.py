"""Is what agents earn above greedy with its threshold more than a better threshold would earn?

For every shop that `python -m benchmarks.agents` has left: fitted greedy with the threshold that
was searched in the fit, and with shares and multiples of it, living in the truth with the users and
draws of that benchmark, beside the planner on the fit and the agents. *In hindsight* is whichever
threshold earned most in the truth with these very users, which nobody can know beforehand. Prints
Markdown; docs/results.md holds what it printed.

    python -m benchmarks.thresholds runs/agents
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from agents.comparing import ORACLE, REFERENCE, Entry, entries
from benchmarks.agents import Args as Run
from benchmarks.agents import half_width, lives, over_shops
from policies.baselines import Greedy
from policies.saved import load_policy
from simulator.saved import load_simulator
from simulator.worlds import WORLDS

FACTORS = (0.0, 0.4, 0.55, 0.7, 0.85, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5)
"""Of the threshold that was searched in the fit."""
PLANNER, HINDSIGHT = "fitted planner", "the best threshold in hindsight"


@dataclass(frozen=True)
class Args:
    """What to look at."""

    place: Annotated[Path, tyro.conf.Positional]
    """`--out` of `python -m benchmarks.agents`"""
    agents: tuple[str, ...] = ("ppo-0", "dqn-0")
    """trained policies"""
    sample: int = 1000
    """users who live under each policy"""
    live: int = 28
    """days that policies live"""
    lives: int = 2
    """lives of each of them"""


@dataclass(frozen=True)
class Shop:
    """What policies earned in one shop, in shares of the planner that knows the truth."""

    world: str
    values: Mapping[str, np.ndarray]
    """By policy, of each user (U,)."""
    factor: float
    """Of the threshold that earned most."""

    def beyond(self, policy: str, other: str) -> tuple[float, float]:
        """By how much a policy earned more than another, and the half-width of its 95 % interval
        over users."""
        gain = self.values[policy] - self.values[other]
        return float(gain.mean()), half_width(gain)


def main(args: Args) -> None:
    """Every shop, then a table."""
    places = [
        place
        for world in WORLDS
        for place in sorted(args.place.glob(f"{world}-*"))
        if all((place / name / "finished").exists() for name in args.agents)
    ]
    if not places:
        raise SystemExit(f"{args.place} has no shop with {' and '.join(args.agents)}")
    shops = []
    for place in places:
        shops.append(lived(place, args))
        print(f"{place.name}: best at {shops[-1].factor:g} times its threshold", flush=True)
    print("\n" + table(shops, args.agents))


def lived(place: Path, args: Args) -> Shop:
    """All policies in one shop's truth."""
    truth = load_simulator(place / "logs" / "truth")
    bundles = {name: load_policy(place / name) for name in args.agents}
    every = entries(truth, bundles, True)
    reference = every[REFERENCE]
    assert isinstance(reference.policy, Greedy)
    tried = {
        f"{factor:g}": Entry(
            replace(reference.policy, threshold=factor * reference.policy.threshold),
            reference.simulator,
        )
        for factor in FACTORS
    }
    asked = {name: every[name] for name in (REFERENCE, PLANNER, *args.agents, ORACLE)} | tried
    run = Run(sample=args.sample, live=args.live, lives=args.lives)
    own = {
        name: life.value.reshape(args.lives, -1).mean(0)
        for name, life in lives(asked, truth, run).items()
    }
    oracle = own[ORACLE].mean()
    best = max(tried, key=lambda name: float(own[name].mean()))
    values = {name: own[name] / oracle for name in (REFERENCE, PLANNER, *args.agents)}
    world = place.name.rpartition("-")[0]
    return Shop(world, values | {HINDSIGHT: own[best] / oracle}, float(best))


def table(shops: Sequence[Shop], agents: Sequence[str]) -> str:
    """Means over a world's shops, in points of the oracle's value."""
    worlds = list(dict.fromkeys(shop.world for shop in shops))
    rows = [(PLANNER, HINDSIGHT), *((name, HINDSIGHT) for name in agents)]
    rows += [(HINDSIGHT, REFERENCE), *((name, PLANNER) for name in agents)]
    lines = [
        "| points of the oracle's value | " + " | ".join(worlds) + " |",
        "|---" * (len(worlds) + 1) + "|",
    ]
    for policy, other in rows:
        cells = []
        for world in worlds:
            own = [shop.beyond(policy, other) for shop in shops if shop.world == world]
            mean, half = over_shops([gain for gain, _ in own], [within for _, within in own])
            cells.append(f"{100 * mean:+.1f} ±{100 * half:.1f}")
        lines.append("| " + " | ".join([f"{policy} − {other}", *cells]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
