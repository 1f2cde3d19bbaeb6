"""Show what a policy has learned: one page of pictures of what it would do with a log's decisions.

When it pushes, what, with which copy and for whom, how that falls with the pushes of late, what a
push must earn to be worth it, and a user's month. Beside it what the log did, and with --against
another policy. A segment is the users' column `segment`, or how often they visit.

Example:
    pushwise explain runs/ppo --logs shop --out runs/explained
    pushwise explain runs/ppo --logs shop --simulator runs/sim --against runs/greedy
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

if TYPE_CHECKING:
    from policies.saved import PolicyBundle


@dataclass(frozen=True)
class Args:
    """Arguments of `pushwise explain`."""

    policy: Positional[Path]
    """directory of a saved policy"""
    logs: Path
    """log directory"""
    against: Path | None = None
    """saved policy to show beside it"""
    simulator: Path | None = None
    """fitted simulator to live the user's month in; default: the log's own days"""
    out: Path = Path("explained")
    """directory for explanation.html and explanation.json"""
    json: bool = False
    """print JSON"""
    seed: int = 0
    """seed of which decisions are faced, where there are more than 20,000"""


def run(args: Args) -> int:
    """Faces the log's decisions, writes the page and says where it is."""
    from rich.console import Console

    from evaluation.explaining import explain
    from evaluation.explaining_page import write_explanation
    from evaluation.replayed import replayed
    from evaluation.report import dumps
    from ingestion.read import load_checked
    from mdp.errors import BadInput
    from policies.saved import load_policy

    if args.out.exists() and not args.out.is_dir():
        raise BadInput(f"{args.out} is a file: choose a directory as --out")
    paths = [args.policy] if args.against is None else [args.policy, args.against]
    names = [path.resolve().name for path in paths]
    if len({*names, "logged"}) <= len(names):
        names = [str(path) for path in paths]
    bundles = {name: load_policy(path) for name, path in zip(names, paths, strict=True)}
    with Console(stderr=True).status("facing the log's decisions"):
        values = explain(replayed(load_checked(args.logs)), bundles, args.seed)
        if args.simulator is not None:
            values["month"] |= _lived(args, bundles, values["month"]["user_id"])
        written = write_explanation(args.out, values, f"What {names[0]} has learned")
    if args.json:
        print(dumps(values))
    else:
        print(f"written: {', '.join(str(path) for path in written)}")
    return 0


def _lived(args: Args, bundles: dict[str, PolicyBundle], user: str) -> dict[str, Any]:
    """The user's month in a simulator, under the estimated logging policy and each policy."""
    from agents.comparing import believing
    from evaluation.explaining import MONTH
    from mdp.errors import BadInput
    from simulator.month import month_of
    from simulator.saved import load_simulator

    assert args.simulator is not None
    simulator = load_simulator(args.simulator)
    if user not in simulator.users.ids:
        raise BadInput(f"{args.simulator} does not know {user}: it was fitted to another log")
    row = simulator.users.ids.index(user)
    months = {"logged": month_of(simulator, simulator.logging, row, args.seed, MONTH)}
    for name, bundle in bundles.items():
        place = believing(simulator, bundle)
        months[name] = month_of(place, bundle.policy, row, args.seed, MONTH)
    return {
        "lived": True,
        "pushes": {
            name: [
                {"day": int(day), "hour": float(hour), "fate": fate}
                for day, hour, fate in month.pushes.itertuples(index=False)
            ]
            for name, month in months.items()
        },
    }
