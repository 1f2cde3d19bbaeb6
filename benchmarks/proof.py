"""The long version of the quickstart: what agents earn in truth, over worlds and training seeds.

For each of several demo shops: fit, train every agent with several seeds, and compare them on the
shop's truth. Prints one table and writes it as JSON. Run with `make proof`; takes about two hours
on one core.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro


@dataclass(frozen=True)
class Args:
    """What to prove."""

    out: Path = Path("runs/proof")
    """where everything goes"""
    shops: int = 5
    """demo shops, each with a seed of its own"""
    seeds: int = 2
    """training seeds for each shop and agent"""
    users: int = 1000
    """users of each shop"""
    days: int = 42
    """days of each shop's log"""


def pushwise(*words: str | Path) -> None:
    """Run one command; its failure is ours."""
    print("$ pushwise", *words, flush=True)
    subprocess.run([sys.executable, "-m", "scripts.cli", *map(str, words)], check=True)


def main(args: Args) -> None:
    """Every shop, then the table."""
    tables = []
    for shop in range(args.shops):
        place = args.out / f"shop-{shop}"
        logs, sim = place / "logs", place / "sim"
        size = ["--users", str(args.users), "--days", str(args.days)]
        pushwise("demo", logs, *size, "--seed", str(shop))
        pushwise("fit", logs, "--out", sim)
        policies = []
        for algo in ("dqn", "ppo"):
            for seed in range(args.seeds):
                policies.append(place / f"{algo}-{seed}")
                pushwise("train", sim, "--algo", algo, "--out", policies[-1], "--seed", str(seed))
        pushwise("compare", logs / "truth", *policies, "--out", place / "comparison")
        file = place / "comparison" / "comparison.json"
        tables.append(json.loads(file.read_text())["policies"])
    rows = summary(tables)
    (args.out / "proof.json").write_text(json.dumps(rows, indent=1) + "\n")
    print(f"share of the oracle planner's true value over {args.shops} shops, ± 95 % over shops")
    for row in rows:
        print(f"  {row['policy']:<28}{row['share']:7.1%} ±{row['half_width']:.1%}")


def summary(tables: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Mean share of the oracle by policy, training seeds of one agent together; the interval
    takes each shop as one draw."""
    shares: dict[str, list[float]] = {}
    for table in tables:
        own: dict[str, list[float]] = {}
        for line in table:
            name = line["policy"].rsplit("-", 1)[0] if "-" in line["policy"] else line["policy"]
            own.setdefault(name, []).append(line["share_of_oracle"])
        for name, values in own.items():
            shares.setdefault(name, []).append(float(np.mean(values)))
    return [
        {
            "policy": name,
            "share": float(np.mean(values)),
            "half_width": float(1.96 * np.std(values, ddof=1) / np.sqrt(len(values)))
            if len(values) > 1
            else float("nan"),
        }
        for name, values in shares.items()
    ]


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
