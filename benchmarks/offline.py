"""Agents from logs against the baselines, in known-truth shops: `python -m benchmarks.offline`.

    python -m benchmarks.offline --worlds hazard logit --users 2000 --seeds 3

For each world a demo of 42 days and a fit (seed 1), then every algorithm that learns from logs,
once for each training seed, all from the same log and the same fit. Values are true values of the
same users under the same draws; ± is a standard error over users, seeds' means taken first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from agents.algorithms import ALGORITHMS
from agents.comparing import ORACLE, REFERENCE, entries, run_entry, sample
from agents.greedy import greedy_bundle
from agents.learning import learn
from ingestion.read import load_checked
from scripts.cli import main as pushwise
from simulator.saved import load_simulator

SHOWN = ("hold", "logging", "best static rule", "fitted greedy", REFERENCE, "fitted planner")


@dataclass(frozen=True)
class Args:
    """What to measure."""

    worlds: tuple[str, ...] = ("hazard", "logit")
    """known-truth worlds"""
    users: int = 2000
    """users of each shop"""
    seeds: int = 3
    """training seeds"""
    compared: int = 400
    """users who live under each policy"""
    lives: int = 2
    """lives of each"""
    days: int = 42
    """days of each life"""
    out: Path = Path("runs/offline")
    """directory for shops and fits; those there already are used"""


def run(args: Args) -> None:
    """Prints a table for each world."""
    for world in args.worlds:
        shop, sim = args.out / world, args.out / f"sim-{world}"
        if not shop.exists():
            pushwise(["demo", str(shop), "--world", world, "--users", str(args.users), "--seed=1"])
        if not sim.exists():
            pushwise(["fit", str(shop), "--out", str(sim)])
        for line in _lines(args, world, shop, sim):
            print(line, flush=True)


def _lines(args: Args, world: str, shop: Path, sim: Path) -> list[str]:
    simulator, truth, log = load_simulator(sim), load_simulator(shop / "truth"), load_checked(shop)
    bundles = {"greedy": greedy_bundle(simulator)}
    for algo in (each.name for each in ALGORITHMS.values() if each.from_logs):
        for seed in range(args.seeds):
            bundles[f"{algo} {seed}"] = learn(simulator, algo, log, seed)
    chosen = entries(truth, bundles, known_truth=True)
    rows = sample(truth, args.compared, 0)
    seeds = range(1, 1 + args.lives)
    lives = {name: run_entry(entry, rows, list(seeds), args.days) for name, entry in chosen.items()}
    top = lives[ORACLE].value.mean()
    out = [
        f"\n{world}: value a user over {args.days} days",
        "| policy | true value | ± | of the oracle planner's | by training seed | sends a week "
        "| unsubscribes per 1,000 |",
        "|---|---|---|---|---|---|---|",
    ]
    names = [*SHOWN, *(each.name for each in ALGORITHMS.values() if each.from_logs), ORACLE]
    for name in names:
        own = [life for key, life in lives.items() if key.rsplit(" ", 1)[0] == name]
        own = own or [lives[name]]
        by_user = np.mean([life.value.reshape(-1, len(rows)).mean(0) for life in own], 0)
        each = " ".join(f"{life.value.mean():.2f}" for life in own) if len(own) > 1 else ""
        out.append(
            f"| {name} | {by_user.mean():.2f} | {by_user.std(ddof=1) / len(rows) ** 0.5:.2f} "
            f"| {by_user.mean() / top:.1%} | {each} "
            f"| {np.mean([life.sends.mean() for life in own]) / args.days * 7:.2f} "
            f"| {np.mean([life.unsubscribed.mean() for life in own]) * 1000:.0f} |"
        )
    return out


if __name__ == "__main__":
    run(tyro.cli(Args, description=__doc__))
