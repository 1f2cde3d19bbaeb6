"""Agents that learn from a real log, judged off-policy on days that they have not seen: the Open
Bandit Dataset.

    python -m benchmarks.open_bandit ../shared/data/open_bandit/random --out runs/open-bandit

Every step is a command, save one: a recommendation is worth its click and costs nothing, so the
fit's reward becomes 1 a click. Each row of the data set is a user of its own, shown at once:
guardrails are without quiet hours, who learns from what follows a decision finds nothing to learn
from in the log, and who learns in the simulator meets nobody whom sends tire. Prints Markdown.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro
from tyro.conf import Positional

from agents.algorithms import ALGORITHMS
from benchmarks.proof import pushwise
from mdp.reward import Reward
from simulator.saved import load_simulator, save_simulator

RULES = '[quiet_hours]\nstart = "00:00"\nend = "00:00"\n'


@dataclass(frozen=True)
class Args:
    """Of which data."""

    data: Positional[Path]
    """a campaign of the Open Bandit Dataset, or a directory above several"""
    out: Path = Path("runs/open-bandit")
    """where everything goes"""
    seed: int = 0
    """training seed"""


def main(args: Args) -> None:
    """Import, fit, learn, evaluate; then the table."""
    logs, fitted, clicks = (args.out / name for name in ("logs", "sim", "clicks"))
    rules = args.out / "rules.toml"
    pushwise("import", "open-bandit", args.data, "--out", logs)
    rules.write_text(RULES)
    pushwise("fit", logs, "--out", fitted)
    save_simulator(clicks, replace(load_simulator(fitted), reward=Reward(click=1.0, send=0.0)))
    made = []
    for algo in ALGORITHMS:
        words = ["train", clicks, "--algo", algo, "--out", args.out / algo, "--seed", args.seed]
        words += ["--guardrails", rules, *(["--logs", logs] if ALGORITHMS[algo].from_logs else [])]
        if not (said := _failed(*words)):
            made.append(args.out / algo)
        else:
            print(f"{algo}: {said}", flush=True)
    pushwise("evaluate", *made, "--logs", logs, "--out", args.out / "report")
    found = json.loads((args.out / "report" / "report.json").read_text())["policies"]
    print("\n" + markdown(found))


def _failed(*words: Any) -> str:
    """What a command says where it fails; nothing where it works."""
    command = [sys.executable, "-m", "scripts.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stderr.strip() or "failed" if done.returncode else ""


def markdown(found: list[dict[str, Any]]) -> str:
    """Evaluated policies, as `pushwise evaluate` reports them: a row each."""
    lines = [
        "| policy | clicks per decision, dr | snips | minus logged, dr | mean weight "
        "| effective sample size | verdict |",
        "|---" * 7 + "|",
    ]
    for one in found:
        told = one["diagnostics"]
        cells = [
            Path(one["name"]).name,
            _interval(one["estimators"]["dr"]),
            _interval(one["estimators"]["snips"]),
            _interval(one["differences"]["dr"], "+"),
            f"{told['mean_weight']['value']:.2f}",
            f"{told['effective_sample_size']:.0f} of {told['rows']:,}",
            one["verdict"],
        ]
        lines.append("| " + " | ".join(cells) + " |")
    logged = found[0]["logged"]
    return "\n".join([f"logged: {_interval(logged)} clicks per decision\n", *lines])


def _interval(value: dict[str, float], sign: str = "") -> str:
    """A value with its 95 % interval, in per cent."""
    low, high = (f"{100 * value[end]:{sign}.2f}" for end in ("low", "high"))
    return f"{100 * value['value']:{sign}.2f} % [{low}, {high}]"


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
