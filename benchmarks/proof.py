"""The long version of the quickstart: what agents earn in truth, over shops and training seeds.

For each of several demo shops: fit, train every agent, and compare them with the baselines on the
shop's truth. Prints one table and writes it as JSON. Run with `make proof`; docs/results.md holds
what it printed.

    python -m benchmarks.proof
    python -m benchmarks.proof --shop online_retail_II.xlsx --seeds 1 --out runs/proof-real
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

REFERENCE = "fitted greedy + threshold"
AGENTS = ("dqn", "ppo")
STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
"""97.5 % quantiles of Student's t by the number of shops."""


@dataclass(frozen=True)
class Args:
    """What to prove."""

    out: Path = Path("runs/proof")
    """where everything goes"""
    shop: Path | None = None
    """Online Retail II (.xlsx, .parquet or .csv) to lay each demo shop's pushes over"""
    shops: int = 5
    """demo shops, each with a seed of its own (2 to 10)"""
    seeds: int = 2
    """training seeds for each shop and agent"""
    users: int = 1000
    """users of each shop"""
    days: int = 42
    """days of each shop's log"""
    steps: int | None = None
    """user-days that each agent is trained for (default: about a minute)"""


def pushwise(*words: str | Path) -> None:
    """Run one command; its failure is ours."""
    print("$ pushwise", *words, flush=True)
    subprocess.run([sys.executable, "-m", "scripts.cli", *map(str, words)], check=True)


def main(args: Args) -> None:
    """Every shop, then the table."""
    if args.shops not in STUDENT:
        sys.exit(f"--shops is {args.shops}; it can be 2 to 10")
    began = time.monotonic()
    size = ["--users", str(args.users), "--days", str(args.days)]
    length = [] if args.steps is None else ["--steps", str(args.steps)]
    if args.shop is not None:
        pushwise("import", "online-retail-ii", args.shop, "--out", args.out / "customers")
        size += ["--shop", str(args.out / "customers")]
    tables = []
    for shop in range(args.shops):
        place = args.out / f"shop-{shop}"
        logs, sim = place / "logs", place / "sim"
        pushwise("demo", logs, *size, "--seed", str(shop))
        pushwise("fit", logs, "--out", sim)
        policies = [place / f"{algo}-{seed}" for algo in AGENTS for seed in range(args.seeds)]
        for policy in policies:
            algo, seed = policy.name.split("-")
            pushwise("train", sim, "--algo", algo, "--out", policy, "--seed", seed, *length)
        found = place / "comparison"
        pushwise("compare", logs / "truth", *policies, "--users", "500", "--out", found)
        tables.append(json.loads((found / "comparison.json").read_text())["policies"])
    rows = summary(tables)
    (args.out / "proof.json").write_text(json.dumps(rows, indent=1) + "\n")
    minutes = (time.monotonic() - began) / 60
    print(
        f"\n{args.shops} shops of {args.users} users, {args.seeds} training seeds each; ± 95 % "
        f"over shops (Student's t); {minutes:.0f} minutes\n"
    )
    print(markdown(rows))


def summary(tables: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """A row a policy: means over shops, an agent's training seeds together within each shop.

    tables: one a shop, as `pushwise compare` writes them.
    """
    shops = [_by_policy(table) for table in tables]
    rows = []
    for name in shops[0]:
        share = np.array([shop[name]["share_of_oracle"] for shop in shops])
        gain = share - np.array([shop[REFERENCE]["share_of_oracle"] for shop in shops])
        plain = ("sends_per_week", "unsubscribes", "revenue_minus_hold")
        rows.append(
            {
                "policy": name,
                "share": float(share.mean()),
                "share_half_width": _half_width(share),
                "gain": float(gain.mean()),
                "gain_half_width": _half_width(gain),
                **{key: float(np.mean([shop[name][key] for shop in shops])) for key in plain},
            }
        )
    return rows


def _by_policy(table: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Means over training seeds by policy."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for line in table:
        agent = line["policy"].partition("-")[0]
        grouped.setdefault(agent if agent in AGENTS else line["policy"], []).append(line)
    keys = ("share_of_oracle", "sends_per_week", "unsubscribes", "revenue_minus_hold")
    return {
        name: {key: float(np.mean([line[key] for line in lines])) for key in keys}
        for name, lines in grouped.items()
    }


def _half_width(values: np.ndarray) -> float:
    """Of the 95 % interval of the mean of one value a shop (n,)."""
    return float(STUDENT[len(values)] * values.std(ddof=1) / len(values) ** 0.5)


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The summary as a table."""
    lines = [
        "| policy | share of the oracle planner's value | minus fitted greedy + threshold "
        "| sends a week | unsubscribes per 1,000 | revenue minus hold's |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['policy']} | {row['share']:.1%} ±{row['share_half_width']:.1%} "
        f"| {100 * row['gain']:+.1f} ±{100 * row['gain_half_width']:.1f} points "
        f"| {row['sends_per_week']:.2f} | {row['unsubscribes']:.0f} "
        f"| {row['revenue_minus_hold']:+.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
