"""Is a simulated gain a gain? Values in fitted simulators against values in the truth behind them.

For shops that `python -m benchmarks.agents` has left (a known-truth demo, a fit to its log, agents
trained in the fit): every policy's value per user in the fit and in the truth, from the same users
at the same time. Also how far the ensemble's members disagree about each value, which should say
how far it is off beside the luck of which users were asked, and what the fits' cards say. Prints
three tables; docs/results.md holds what it printed. `make bench-fidelity` does both.

    python -m benchmarks.fidelity runs/agents
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import tyro

from agents.comparing import Entry, entries, under_members
from agents.rollouts import population, rollout
from policies.saved import load_policy
from simulator.fidelity_goals import margin_of, spread_of
from simulator.saved import load_simulator
from simulator.worlds import WORLDS

AGENTS = ("dqn", "ppo")
SEED = 1
"""Of all lives."""


@dataclass(frozen=True)
class Args:
    """What to compare."""

    place: Annotated[Path, tyro.conf.Positional]
    """`--out` of `python -m benchmarks.agents`"""
    seeds: int = 2
    """shops of each world, from seed 0 on"""
    days: int = 28
    """days of each life"""
    users: int = 1000
    """users in a comparison"""


def main(args: Args) -> None:
    """Every shop, then the tables."""
    found = []
    for world in WORLDS:
        for seed in range(args.seeds):
            place = args.place / f"{world}-{seed}"
            if not place.exists():
                continue
            rows = values_of(place, args.users, args.days)
            card = json.loads((place / "sim" / "card" / "card.json").read_text())
            shop = {"world": world, "seed": seed, "card": said_by(card), "policies": rows}
            found.append(shop | judged(rows))
            print(f"{place.name}: {found[-1]['error']:.1%}", flush=True)
    if not found:
        raise SystemExit(f"{args.place} holds no shop: run python -m benchmarks.agents first")
    print(f"\n{markdown(found)}\n\n{by_policy(found)}\n\n{of_cards(found)}")


def values_of(place: Path, users: int, days: int) -> list[dict[str, Any]]:
    """Value per user of each policy of a shop, simulated and true, the members' spread and margin,
    and the standard error over users of how far the two are apart."""
    sim, truth = load_simulator(place / "sim"), load_simulator(place / "logs" / "truth")
    bundles = {algo: load_policy(place / f"{algo}-0") for algo in AGENTS}
    simulated, true = entries(sim, bundles, False), entries(truth, bundles, True)
    rows = population(sim, users, 0)
    # Users of a fit stand in another order than those of its world.
    row_of = {user: row for row, user in enumerate(truth.users.ids)}
    same = np.array([row_of[sim.users.ids[row]] for row in rows])
    out = []
    for name, entry in simulated.items():
        promise, truly = lived(entry, rows, days), lived(true[name], same, days)
        members = under_members(entry, rows, SEED, days)
        out.append(
            {
                "policy": name,
                "simulated": float(promise.mean()),
                "true": float(truly.mean()),
                "spread": spread_of(members),
                "margin": margin_of(members),
                "luck": float((promise - truly).std(ddof=1) / len(rows) ** 0.5),
            }
        )
    return out


def lived(entry: Entry, rows: np.ndarray, days: int) -> np.ndarray:
    """Expected reward (N,) of a life of each of the users `rows` (N,)."""
    return rollout(entry.simulator, entry.policy, rows, SEED, days).value


def promised(simulated: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """How far policies' simulated values (P,) are from their true ones (P,): mean and largest
    absolute error over the best true value, and Spearman's rank correlation."""
    values = pd.DataFrame({"simulated": simulated, "true": true})
    error = (values["simulated"] - values["true"]).abs()
    return {
        "error": float(error.mean() / values["true"].max()),
        "worst": float(error.max() / values["true"].max()),
        "rank_correlation": float(values.corr(method="spearman").to_numpy()[0, 1]),
    }


def judged(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """`promised`, the members' mean spread and margin over the best true value, and, hold's apart,
    the share of the values whose 95 % interval has the truth, by the members' margin and the luck
    of the users together."""
    simulated, true, spread, margin, luck = (
        np.array([row[name] for row in rows])
        for name in ("simulated", "true", "spread", "margin", "luck")
    )
    near = np.abs(simulated - true) <= np.hypot(margin, 1.96 * luck)
    return promised(simulated, true) | {
        "spread": float(spread.mean() / true.max()),
        "margin": float(margin.mean() / true.max()),
        "within": float(near[simulated != 0.0].mean()),
    }


def markdown(found: Sequence[dict[str, Any]]) -> str:
    """A row a shop."""
    lines = [
        "| world | seed | policies | mean absolute error, of the best true value | worst | rank "
        "correlation | members' spread | margin | within the interval |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one['world']} | {one['seed']} | {len(one['policies'])} | {one['error']:.1%} "
        f"| {one['worst']:.1%} | {one['rank_correlation']:.2f} | {one['spread']:.1%} "
        f"| {one['margin']:.1%} | {one['within']:.0%} |"
        for one in found
    ]
    return "\n".join(lines)


def said_by(card: dict[str, Any]) -> dict[str, Any]:
    """What a fidelity card says of a fit, in a few figures: log-losses over gradient boosting's,
    the classifier's area, values, and how many goals are passed."""
    heads = {
        f"{where}: {head}": figures["over_boosting"]
        for where, lines in card["heads"].items()
        for head, figures in lines.items()
        if figures["log_loss"] is not None
    }
    whole, passed = card["whole"], [goal["passed"] for goal in card["goals"]]
    value = whole["value_per_user_day"]
    return {
        "over_boosting": heads,
        "auc": whole["auc"],
        "goals": len(passed),
        "passed": sum(passed),
        "logged_mean": value["logged"]["mean"],
        "logged_standard_error": value["logged"]["standard_error"],
        "expected": value["expected"],
    }


def of_cards(found: Sequence[dict[str, Any]]) -> str:
    """A row a shop of what its card says."""
    lines = [
        "| world | seed | goals passed | log-loss over boosting's, mean of heads | worst head "
        "| classifier's AUC | logged value per user and day | expected |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in found:
        card, heads = one["card"], one["card"]["over_boosting"]
        worst = max(heads, key=lambda name: heads[name])
        logged = f"{card['logged_mean']:.4f} ±{2 * card['logged_standard_error']:.4f}"
        lines.append(
            f"| {one['world']} | {one['seed']} | {card['passed']} of {card['goals']} "
            f"| {np.mean(list(heads.values())):+.1%} "
            f"| {heads[worst]:+.1%} ({worst.replace('_', ' ')}) | {card['auc']:.2f} | {logged} "
            f"| {card['expected']:.4f} |"
        )
    return "\n".join(lines)


def by_policy(found: Sequence[dict[str, Any]]) -> str:
    """Simulated and true values by policy, a column a shop."""
    names = [row["policy"] for row in found[0]["policies"]]
    heads = [f"{one['world']} {one['seed']}" for one in found]
    lines = [f"| policy: simulated / true | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for name in names:
        cells = [
            f"{row['simulated']:.2f} / {row['true']:.2f}"
            for one in found
            for row in one["policies"]
            if row["policy"] == name
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
