"""What a policy loses that knows a shop's truth except for one thing about its users.

    python -m benchmarks.limits --users 1000 --seed 0

Takes a demo shop after 42 days under its own policy, hides one trait of every user at a time from
greedy and from the planner (the average user's takes its place), and prints the share of the oracle
planner's true value that is left. It says what would be gained by knowing users better, whatever
the fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import tyro

from agents.rollouts import population, rollout
from agents.search import best_threshold
from policies.base import Policy
from policies.baselines import Greedy
from policies.planner import planner
from simulator.best_days import with_habits
from simulator.description import Simulator, own_beliefs
from simulator.worlds import known_world
from simulator.worlds.base import lived

HIDDEN: tuple[tuple[str, ...], ...] = (
    (),
    ("taste",),
    ("hours",),
    ("styles",),
    ("openness",),
    ("tolerance",),
    ("price",),
    ("styles", "openness", "tolerance", "price"),
)
"""Traits that are hidden together."""


@dataclass(frozen=True)
class Args:
    """Of which shop."""

    users: int = 1000
    """users of the shop"""
    seed: int = 0
    """seed of the shop"""
    lives: int = 2
    """lives of each of 500 users in a comparison"""
    days: int = 42
    """days of a life"""


def main(args: Args) -> None:
    """Hide, live, print."""
    shop, _ = lived(known_world("logit").simulator(args.users, args.seed), 42, args.seed)
    rows = population(shop, 500, args.seed)

    def worth(seen: Simulator, policy: Policy) -> float:
        lives = range(1, args.lives + 1)
        bare = replace(policy, floor=0.0)
        return float(np.mean([rollout(seen, bare, rows, n, args.days).value for n in lives]))

    found = []
    for traits in HIDDEN:
        seen = believing_all_but(shop, traits)
        threshold = best_threshold(seen, args.seed)
        seen = with_habits(seen, threshold, args.seed)
        seen = replace(shop, model=seen.model, beliefs=seen.beliefs)
        plan = planner(shop.response, shop.reward)
        found.append((worth(seen, Greedy(threshold=threshold)), worth(seen, plan)))
    oracle = found[0][1]
    print("| hidden of every user | greedy + threshold | planner |\n|---|---|---|")
    for traits, values in zip(HIDDEN, found, strict=True):
        shares = " | ".join(f"{value / oracle:.0%}" for value in values)
        print(f"| {', '.join(traits) or 'nothing'} | {shares} |")


def believing_all_but(shop: Simulator, hidden: tuple[str, ...]) -> Simulator:
    """The shop as somebody imagines it who takes the average user's traits for those hidden:
    policies are searched in what they imagine, and live in the truth."""
    traits = shop.traits.copy()
    for name in hidden:
        traits[name] = traits[name].mean(0)
    imagined = replace(shop, traits=traits)
    return replace(imagined, model=shop.response, beliefs=own_beliefs(imagined))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
