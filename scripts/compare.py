"""Policies and baselines side by side in a simulator, or on the truth behind a demo.

All live with the same users and meet the same draws. Every policy decides without its exploration
floor, under its own guardrails; baselines and oracles under those of the first. On a truth policies
see what their own fitted model predicts, the value is the true one, and beside it is said how far
the same policy's value is off where users respond as that model says. In a fit, each policy also
lives under every member of the ensemble alone: where these differ by more than the interval, the
log leaves open what the policy is worth.

Example:
    pushwise compare shop/truth runs/ppo runs/dqn --out runs/comparison
    pushwise compare shop/truth runs/ppo --logs shop
    pushwise compare runs/sim runs/ppo --users 500 --days 28 --json
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Args:
    """Arguments of `pushwise compare`."""

    simulator: Positional[Path]
    """a fitted simulator, or the truth of a demo (DIR/truth)"""
    policies: Positional[tuple[Path, ...]] = ()
    """directories of saved policies"""
    logs: Path | None = None
    """log directory from which bandits learn, to be compared too"""
    seeds: int = 5
    """how often each user's life is simulated"""
    users: int = 1000
    """most users to simulate, drawn from those who may be pushed"""
    days: int = 42
    """days of each life"""
    newcomers: float = 0.0
    """share of the users who are new: unknown to policies and recommender, with nothing behind
    them"""
    out: Path | None = None
    """directory for comparison.json and comparison.png"""
    json: bool = False
    """print JSON"""
    seed: int = 0
    """seed of all that is drawn"""


def run(args: Args) -> int:
    """Compares, prints, and writes the table and its picture where asked for."""
    import json

    from rich.console import Console

    from agents.comparing import (
        as_believed,
        as_mapping,
        compare,
        entries,
        leading,
        run_entry,
        sample,
        under_members,
        under_other_rules,
    )
    from agents.progress import Shown
    from agents.table import WIDTH, picture, table
    from ingestion.read import load_checked
    from mdp.errors import BadInput
    from policies.saved import load_policy
    from simulator.newcomers import with_newcomers
    from simulator.saved import load_simulator

    for name, value in (("--seeds", args.seeds), ("--days", args.days)):
        if value < 1:
            raise BadInput(f"{name} is {value}; a comparison needs at least 1")
    if args.out is not None and args.out.exists() and not args.out.is_dir():
        raise BadInput(f"{args.out} is a file: choose a directory as --out")
    simulator = with_newcomers(load_simulator(args.simulator), args.newcomers)
    bundles = {_name(path, args.policies): load_policy(path) for path in args.policies}
    known_truth = simulator.world != "fitted"
    log = None if args.logs is None else load_checked(args.logs)
    rows = sample(simulator, args.users, args.seed)
    seeds = [args.seed + 1 + number for number in range(args.seeds)]
    lives, believed, members = {}, {}, {}
    with Shown() as progress:
        task = progress.add_task("comparing", total=None)
        chosen = entries(simulator, bundles, known_truth, args.seed, log)
        progress.update(task, total=len(chosen))
        for name, entry in chosen.items():
            progress.update(task, description=f"comparing: {name}", advance=1)
            lives[name] = run_entry(entry, rows, seeds, args.days)
            members[name] = under_members(entry, rows, seeds[0], args.days)
            if known_truth and (other := as_believed(entry)) is not None:
                believed[name] = run_entry(other, rows, seeds, args.days)
    lines = compare(lives, len(rows), known_truth, believed, members)
    others, unsure = under_other_rules(bundles), [line.policy for line in lines if line.unsure]
    title = (
        f"{'true' if known_truth else 'simulated'} value per user over {args.days} days, "
        f"{len(rows)} users × {args.seeds} seeds"
    )
    values = {
        "simulator": str(args.simulator),
        "known_truth": known_truth,
        "users": len(rows),
        "seeds": seeds,
        "days": args.days,
        "newcomers": args.newcomers,
        "exploration_floor": 0.0,
        "guardrails_of": leading(bundles),
        "under_other_guardrails": others,
        "policies": as_mapping(lines),
    }
    text = json.dumps(values, indent=1)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "comparison.json").write_text(text + "\n")
        (args.out / "comparison.png").write_bytes(picture(lines, list(bundles), title))
    if args.json:
        print(text)
        return 0
    console = Console()
    console.width = max(console.width if console.is_terminal else 0, WIDTH)
    caption = "exploration floor 0 for every policy; ± 95 %"
    if any(members.values()):
        caption += ", of members by the ensemble (Student's t)"
    if unsure:
        caption += f"\n! members differ by more than the interval: {', '.join(unsure)}"
    if others:
        caption += (
            f"\nunder guardrails of their own: {', '.join(others)}; "
            f"all else, oracles too, under those of {leading(bundles)}"
        )
    if believed:
        caption += (
            "\nsimulated - true: the value where users respond as the model that the policy sees "
            "with says, less the true one"
        )
    console.print(table(lines, title, caption))
    if args.out is not None:
        console.print(f"written: {args.out}/comparison.json, comparison.png", highlight=False)
    return 0


def _name(path: Path, paths: tuple[Path, ...]) -> str:
    """The directory's name where no other policy has it, else its path."""
    name = path.resolve().name
    return name if sum(other.resolve().name == name for other in paths) == 1 else str(path)
