"""What covariates of users are worth: fits with and without them, in shops where some of how users
differ follows from what a log shows of them, or none.

For each known-truth world: a demo shop, fitted twice, and greedy with its best threshold and the
planner on both fits, living with the same true users under the same draws. Also how near the fits'
effects of users come to the true ones. Prints Markdown; docs/results.md holds what it printed.

    python -m benchmarks.covariates
    python -m benchmarks.covariates --explained 0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from agents.comparing import NORMAL, sample
from agents.rollouts import rollout
from agents.search import best_threshold
from ingestion.log import Log
from ingestion.read import load_checked
from ingestion.splits import log_end
from ingestion.write import write_log
from policies.base import Policy
from policies.baselines import Greedy
from policies.planner import planner
from simulator import fit_covariates
from simulator.best_days import with_habits
from simulator.demo import demo
from simulator.description import Simulator
from simulator.fidelity_heads import against_baselines
from simulator.fidelity_judged import later_days
from simulator.fit import fit
from simulator.saved import load_simulator, save_simulator
from simulator.worlds.hazard import HazardShop
from simulator.worlds.logit import LogitShop

SHOPS = {shop.name: shop for shop in (LogitShop(), HazardShop())}
EFFECTS = ("openness", "styles", "tolerance", "price")


@dataclass(frozen=True)
class Args:
    """Which shops, and how policies are judged in them."""

    out: Path = Path("runs/covariates")
    """where logs and fits go; what is there already is taken"""
    worlds: tuple[str, ...] = tuple(SHOPS)
    """names of known-truth worlds: logit, hazard"""
    explained: float = 0.3
    """share of the variance of users' effects that follows from tastes, habits and places"""
    users: int = 3000
    """users of each shop"""
    days: int = 53
    """days of each shop's log, of which the fit sees the first four fifths: 42"""
    seed: int = 0
    """seed of the shops"""
    live: int = 28
    """days that policies live"""
    sample: int = 1000
    """users who live under each policy"""
    lives: int = 2
    """lives of each of them"""


def main(args: Args) -> None:
    """Every shop in turn."""
    for world in args.worlds:
        place = args.out / f"{world}-{args.explained:g}-{args.seed}"
        if not (place / "logs" / "truth" / "manifest.json").exists():
            shop = replace(SHOPS[world], explained=args.explained)
            made = demo(shop.simulator(args.users, args.seed), args.days, args.seed)
            write_log(place / "logs", made.tables, made.meta)
            save_simulator(place / "logs" / "truth", made.truth)
        log, truth = load_checked(place / "logs"), load_simulator(place / "logs" / "truth")
        fits = {name: fitted(log, place / name, name == "with") for name in ("without", "with")}
        print(f"\n{world}, seed {args.seed}, {args.explained:.0%} explained\n")
        print(worth(truth, fits, args))
        print(f"\n{nearness(truth, fits)}", flush=True)


def fitted(log: Log, place: Path, told: bool) -> Simulator:
    """A fit with covariates where they tell something, or without."""
    if not (place / "manifest.json").exists():
        least = fit_covariates.LEAST
        fit_covariates.LEAST = least if told else 1e9
        found = fit(log)
        fit_covariates.LEAST = least
        judged = against_baselines(later_days(log, found, log_end(log)))
        losses = {name: head["log_loss"] for name, head in judged.items()}
        notes = {**found.simulator.manifest, "covariates": found.told, "log_loss": losses}
        save_simulator(place, replace(found.simulator, manifest=notes))
    return load_simulator(place)


def worth(truth: Simulator, fits: Mapping[str, Simulator], args: Args) -> str:
    """Shares of the oracle planner's true value, and what covariates add, ± 95 % over users."""
    rows, lives = sample(truth, args.sample, 0), range(1, args.lives + 1)

    def value(seen: Simulator, policy: Policy) -> np.ndarray:
        bare = replace(policy, floor=0.0)
        return np.mean([rollout(seen, bare, rows, n, args.live).value for n in lives], 0)

    knowing = truth.believing(truth)
    knowing = with_habits(knowing, best_threshold(knowing))
    oracle = value(knowing, planner(truth.response, truth.reward)).mean()
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, sim in fits.items():
        threshold = best_threshold(sim)
        able = with_habits(sim, threshold)
        seen = replace(truth, model=able.model, beliefs=able.beliefs)
        policies = {
            "fitted greedy + threshold": Greedy(threshold=threshold),
            "fitted planner": planner(sim.response, sim.reward),
        }
        found[name] = {policy: value(seen, own) / oracle for policy, own in policies.items()}
    lines = ["| policy | without | with | difference, points |", "|---|---|---|---|"]
    for policy, before in found["without"].items():
        gain = 100 * (found["with"][policy] - before)
        half = NORMAL * gain.std(ddof=1) / len(gain) ** 0.5
        means = f"{before.mean():.1%} | {found['with'][policy].mean():.1%}"
        lines.append(f"| {policy} | {means} | {gain.mean():+.1f} ±{half:.1f} |")
    return "\n".join(lines)


def nearness(truth: Simulator, fits: Mapping[str, Simulator]) -> str:
    """Correlations of fitted and true effects, log-losses on later pushes, and what was told."""
    row_of = {user: row for row, user in enumerate(truth.users.ids)}
    lines = ["| fit | " + " | ".join([*EFFECTS, "log-loss of opens", "of clicks"]) + " |"]
    lines.append("|---" * (len(EFFECTS) + 3) + "|")
    for name, sim in fits.items():
        true = truth.traits[[row_of[user] for user in sim.users.ids]]
        seen = np.abs(sim.traits["styles"]).max(0) > 0
        cells = []
        for effect in EFFECTS:
            pair = [
                each[effect] if effect != "styles" else each[effect][:, seen]
                for each in (sim.traits, true)
            ]
            cells.append(f"{np.corrcoef(pair[0].ravel(), pair[1].ravel())[0, 1]:.2f}")
        cells += [f"{sim.manifest['log_loss'][head]:.4f}" for head in ("open", "click")]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", str(fits["with"].manifest["covariates"])])


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
