"""What agents earn in truth: known-truth worlds × shops × all policies, beside the planner that
knows the truth.

For each shop: a demo, a fit to its log, every agent trained in the fit, and all policies living 28
days with the shop's true users and with the fitted ones. Every finished shop leaves a JSON file and
is not run again; more `--training-seeds` add to it. Prints Markdown; docs/results.md holds what it
printed.

    python -m benchmarks.agents
    python -m benchmarks.agents --worlds logit --shops 1 --training-seeds 5
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from agents.algorithms import ALGORITHMS
from agents.comparing import NORMAL, ORACLE, REFERENCE, Entry, entries, sample
from agents.rollouts import Outcome, rollout
from benchmarks.fidelity import promised
from benchmarks.proof import STUDENT, pushwise
from ingestion.read import load_checked
from policies.saved import load_policy
from simulator.saved import load_simulator
from simulator.worlds import WORLDS


@dataclass(frozen=True)
class Args:
    """What to run."""

    out: Path = Path("runs/agents")
    """where everything goes"""
    worlds: tuple[str, ...] = tuple(WORLDS)
    """names of known-truth worlds"""
    shop: Path | None = None
    """a shop's log to lay the worlds over"""
    shops: int = 5
    """shops of each world, each with a seed of its own (1 to 10)"""
    first: int = 0
    """seed of the first shop"""
    algos: tuple[str, ...] = ("dqn", "ppo", "price", "cql", "bcq", "clone")
    """agents to train, in the fit or from the log"""
    training_seeds: int = 1
    """training seeds of each agent on each shop"""
    users: int = 3000
    """users of each shop"""
    days: int = 53
    """days of each shop's log, of which the fit sees the first four fifths: 42"""
    live: int = 28
    """days that policies live"""
    sample: int = 1000
    """users who live under each policy"""
    lives: int = 2
    """lives of each of them"""


SAME = ("shop", "users", "days", "live", "sample", "lives")
"""Arguments that all results of one directory share."""


def main(args: Args) -> None:
    """Every shop that is not done, then the tables."""
    check(args)
    begin(args)
    size = ["--users", str(args.users), "--days", str(args.days)]
    if args.shop is not None:
        size += ["--shop", str(args.shop)]
    found = []
    for seed in range(args.first, args.first + args.shops):
        for world in args.worlds:
            found.append(cell(args, world, seed, size))
    print("\n" + "\n\n".join([by_world(found), in_detail(found), promises(found)]))


def check(args: Args) -> None:
    """Ends with a sentence where an argument is of no use, before anything runs."""
    if unknown := [world for world in args.worlds if world not in WORLDS]:
        sys.exit(f"there is no world {unknown[0]!r}; choose among {', '.join(WORLDS)}")
    if unknown := [algo for algo in args.algos if algo not in ALGORITHMS]:
        sys.exit(f"there is no agent {unknown[0]!r}; choose among {', '.join(ALGORITHMS)}")
    if args.shops not in (1, *STUDENT):
        sys.exit(f"--shops is {args.shops}; it can be 1 to {max(STUDENT)}")
    for name, least in (("training_seeds", 1), ("live", 1), ("lives", 1), ("sample", 2)):
        if getattr(args, name) < least:
            sys.exit(
                f"--{name.replace('_', '-')} is {getattr(args, name)}; it must be {least} or more"
            )


def begin(args: Args) -> None:
    """Writes down what the directory's results are made with, or ends with a sentence where it
    holds those of something else; a directory that does not say was made with the defaults."""
    wanted = {name: str(value) for name, value in asdict(args).items() if name in SAME}
    file, found = args.out / "arguments.json", wanted
    if file.exists():
        found = json.loads(file.read_text())
    elif args.out.exists() and any(args.out.iterdir()):
        found = {name: str(getattr(Args, name)) for name in SAME}
    for name in SAME:
        if found[name] != wanted[name]:
            sys.exit(
                f"{args.out} holds results of --{name} {found[name]}, and now it is "
                f"{wanted[name]}: choose another directory as --out"
            )
    args.out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(wanted, indent=1) + "\n")


def cell(args: Args, world: str, seed: int, size: Sequence[str]) -> dict[str, Any]:
    """One shop's result, from its file where that holds all that is asked."""
    place = args.out / f"{world}-{seed}"
    names = [f"{algo}-{n}" for algo in args.algos for n in range(args.training_seeds)]
    result = place / "result.json"
    known: dict[str, Any] = {}
    if result.exists():
        known = json.loads(result.read_text())["policies"]
    if known and set(names) <= set(known):
        return {"world": world, "seed": seed, "policies": known}
    logs, sim = place / "logs", place / "sim"
    if not (logs / "truth" / "manifest.json").exists():
        pushwise("demo", logs, "--world", world, *size, "--seed", str(seed))
    if not (sim / "card" / "card.json").exists():
        pushwise("fit", logs, "--out", sim)
    for name in names:
        if not (place / name / "finished").exists():
            algo, number = name.split("-")
            more: list[str | Path] = ["--logs", logs] if ALGORITHMS[algo].from_logs else []
            pushwise("train", sim, "--algo", algo, "--out", place / name, "--seed", number, *more)
            (place / name / "finished").touch()
    done = {"world": world, "seed": seed, "policies": worth(place, names, args, known)}
    result.write_text(json.dumps(done, indent=1) + "\n")
    print(by_world([done]), flush=True)
    return done


def worth(
    place: Path, names: Sequence[str], args: Args, known: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """What each policy is worth in the truth and in the fit; policies meet the same users.

    known: what was found before, which stays.
    """
    sim, truth = load_simulator(place / "sim"), load_simulator(place / "logs" / "truth")
    bundles = {name: load_policy(place / name) for name in names}
    log = load_checked(place / "logs")
    again = set(known) - {REFERENCE, ORACLE}

    def lived(where: Any, known_truth: bool) -> dict[str, Outcome]:
        every = entries(where, bundles, known_truth, log=log)
        return lives({n: each for n, each in every.items() if n not in again}, where, args)

    simulated, true = lived(sim, False), lived(truth, True)
    reference, oracle = true[REFERENCE].value, float(true[ORACLE].value.mean())
    out = dict(known)
    for name, life in true.items():
        manifest = bundles[name].manifest if name in bundles else {}
        own = life.value.reshape(args.lives, -1).mean(0)
        gain = (life.value - reference).reshape(args.lives, -1).mean(0)
        out[name] = {
            "value": float(own.mean()),
            "share": float(own.mean()) / oracle,
            "share_half_width": half_width(own) / oracle,
            "gain": float(gain.mean()) / oracle,
            "gain_half_width": half_width(gain) / oracle,
            "simulated": float(simulated[name].value.mean()) if name in simulated else None,
            "sends_per_week": float(life.sends.mean()) / args.live * 7,
            "unsubscribes": 1000 * float(life.unsubscribed.mean()),
            "cpu_seconds": manifest.get("cpu_seconds"),
            "user_days": manifest.get("user_days"),
        }
    last = [name for name in out if name.startswith("oracle")]
    return {name: out[name] for name in [*(n for n in out if n not in last), *last]}


def lives(entries: Mapping[str, Entry], place: Any, args: Args) -> dict[str, Outcome]:
    """Every policy's lives with the same users and draws."""
    rows, seeds = sample(place, args.sample, 0), range(1, args.lives + 1)
    return {
        name: Outcome.joined(
            [rollout(entry.simulator, entry.policy, rows, seed, args.live) for seed in seeds]
        )
        for name, entry in entries.items()
    }


def half_width(values: np.ndarray) -> float:
    """Of the 95 % interval of a mean over users (n,)."""
    return float(NORMAL * values.std(ddof=1) / len(values) ** 0.5)


def over_shops(values: Sequence[float], within: Sequence[float]) -> tuple[float, float]:
    """Mean over shops and its 95 % half-width: Student's t over three shops or more, else that over
    their users."""
    if len(values) < 3:
        return float(np.mean(values)), float(np.sqrt(np.square(within).sum())) / len(values)
    spread = float(np.std(values, ddof=1)) / len(values) ** 0.5
    return float(np.mean(values)), STUDENT[len(values)] * spread


def merged(policies: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """An agent's training seeds together: means, and the largest share minus the smallest."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for name, values in policies.items():
        head, _, number = name.rpartition("-")
        grouped.setdefault(head if number.isdigit() else name, []).append(values)
    out = {}
    for name, rows in grouped.items():
        columns = {key: [row[key] for row in rows if row[key] is not None] for key in rows[0]}
        out[name] = {key: float(np.mean(some)) for key, some in columns.items() if some}
        shares = columns["share"]
        out[name] |= {"training_seeds": len(rows), "spread": max(shares) - min(shares)}
    return out


def by_world(found: Sequence[Mapping[str, Any]]) -> str:
    """Shares of the planner that knows the truth, and gains on the reference: a row a policy."""
    worlds = list(dict.fromkeys(one["world"] for one in found))
    shops = {
        world: [merged(one["policies"]) for one in found if one["world"] == world]
        for world in worlds
    }
    lines = [
        "| policy | " + " | ".join([*worlds, "mean", "minus greedy + threshold, points"]) + " |",
        "|---" * (len(worlds) + 3) + "|",
    ]
    for name in shops[worlds[0]][0]:
        shares = [column(shops[world], name, "share") for world in worlds]
        gains = [column(shops[world], name, "gain") for world in worlds]
        cells = [f"{share:.1%} ±{half:.1%}" for share, half in shares]
        mean = f"{np.mean([share for share, _ in shares]):.1%}"
        more = ", ".join(f"{100 * gain:+.1f} ±{100 * half:.1f}" for gain, half in gains)
        lines.append("| " + " | ".join([name, *cells, mean, more]) + " |")
    return "\n".join(lines)


def column(
    shops: Sequence[Mapping[str, Mapping[str, float]]], name: str, key: str
) -> tuple[float, float]:
    """Mean over a world's shops of one value of one policy, and its half-width."""
    rows = [shop[name] for shop in shops]
    return over_shops([row[key] for row in rows], [row[f"{key}_half_width"] for row in rows])


def in_detail(found: Sequence[Mapping[str, Any]]) -> str:
    """Means over all shops: a row a policy."""
    shops = [merged(one["policies"]) for one in found]
    lines = [
        "| policy | simulated / true value | sends a week | unsubscribes per 1,000 "
        "| training, seconds of one core | user-days | training seeds: largest difference |",
        "|---" * 7 + "|",
    ]
    for name in shops[0]:
        rows = [shop[name] for shop in shops]

        def mean(key: str, of: Sequence[Mapping[str, float]] = rows) -> float:
            return float(np.mean([row[key] for row in of if key in row] or [np.nan]))

        trained = "cpu_seconds" in rows[0]
        several = [row["spread"] for row in rows if row["training_seeds"] > 1]
        cells = [
            f"{mean('simulated'):.2f} / {mean('value'):.2f}"
            if "simulated" in rows[0]
            else f"– / {mean('value'):.2f}",
            f"{mean('sends_per_week'):.2f}",
            f"{mean('unsubscribes'):.0f}",
            f"{mean('cpu_seconds'):.0f}" if trained else "",
            f"{mean('user_days'):,.0f}" if trained else "",
            f"{max(several):.1%}" if several else "",
        ]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def promises(found: Sequence[Mapping[str, Any]]) -> str:
    """How far simulated values are from true ones, a row a world: means over its shops of the mean
    absolute error over policies, in shares of the best one's true value, and the worst."""
    lines = [
        "| world | shops | mean absolute error, of the best true value | worst shop "
        "| shops above a tenth | lowest rank correlation |",
        "|---" * 6 + "|",
    ]
    for world in dict.fromkeys(one["world"] for one in found):
        shops = []
        for one in (each for each in found if each["world"] == world):
            known = [p for p in merged(one["policies"]).values() if "simulated" in p]
            values = (np.array([p[name] for p in known]) for name in ("simulated", "value"))
            shops.append(promised(*values))
        errors = [shop["error"] for shop in shops]
        above = sum(error > 0.1 for error in errors)
        rank = min(shop["rank_correlation"] for shop in shops)
        lines.append(
            f"| {world} | {len(errors)} | {np.mean(errors):.1%} | {max(errors):.1%} | {above} "
            f"| {rank:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
