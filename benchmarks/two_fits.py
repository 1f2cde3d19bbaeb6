"""What one fit to a known-truth shop's log is worth beside another: the planner on each, in truth.

    python -m benchmarks.two_fits runs/agents/logit-0/logs OLD NEW

The same users live under both, with the same draws. Prints half-lives of fatigue, wear and
repetition, values, and the paired difference with its 95 % interval over users.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from agents.rollouts import population
from benchmarks.limits import DAYS, LIVING, ORACLE, Shop, difference
from benchmarks.turning import planning
from simulator.saved import load_simulator


@dataclass(frozen=True)
class Args:
    """Which fits."""

    logs: tyro.conf.Positional[Path]
    """a demo shop's log, with its truth"""
    old: tyro.conf.Positional[Path]
    """a fit to it"""
    new: tyro.conf.Positional[Path]
    """another fit to it"""


def main(args: Args) -> None:
    """Live under both, print."""
    truth = load_simulator(args.logs / "truth")
    rows = population(truth, LIVING, 0)
    worth = {}
    fits = {"old": load_simulator(args.old), "new": load_simulator(args.new), ORACLE: truth}
    for name, fitted in fits.items():
        shop = Shop(args.logs.parent, 0, truth, fitted, rows, DAYS)
        worth[name] = shop.worth(planning(shop, shop.fitted))
        lives = ", ".join(f"{days:.1f}" for days in shop.fitted.response.half_lives[:3])
        print(f"{name}: half-lives {lives} days; {worth[name].mean():.3f} a user")
    gain, half = difference(worth, "new", "old")
    print(f"new − old: {gain:+.1f} ±{half:.1f} points of the oracle's value")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
