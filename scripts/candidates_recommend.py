"""Write the items that every user of a log would be offered, best first.

The hybrid recommender learns from the log first, as `pushwise fit` lets it, which takes a few
seconds for a small shop and minutes for a large one; then it ranks the catalogue for a thousand
users at a time, here or, with --ray, on all cores or a cluster (RAY_ADDRESS). Nothing sold out,
over or pushed in the last three days is offered. The table has user_id, rank and item_id.

Example:

    pushwise candidates recommend shop --out lists.parquet
    pushwise candidates recommend shop --out lists.csv --size 20 --until 2026-03-01T00:00:00Z
    pushwise candidates recommend shop --out lists.parquet --ray
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Args:
    """For whose users."""

    logs: Positional[Path]
    """directory of the log's tables"""
    out: Path
    """file to write to, .csv or .parquet"""
    until: str | None = None
    """what was known at this instant, ISO 8601 with offset (default: the end of the log)"""
    size: int = 10
    """most items for a user"""
    seed: int = 0
    """seed of everything that is drawn"""
    ray: bool = False
    """rank on Ray: all cores of this machine, or the cluster that RAY_ADDRESS names"""


def run(args: Args) -> None:
    """Learns, ranks, writes."""
    from contextlib import nullcontext

    from rich.console import Console

    from generation.candidates.recommend import recommended
    from ingestion.read import load_checked
    from ingestion.spread import in_turn
    from mdp.errors import BadInput, BadSetting
    from scripts.instants import instant
    from scripts.on_ray import on_ray

    if args.size < 1:
        raise BadSetting(f"--size is {args.size}; it must be at least 1")
    if args.out.suffix not in (".csv", ".parquet"):
        raise BadInput(f"--out is {args.out}; end it with .csv or .parquet")
    if not args.out.parent.is_dir():
        raise BadInput(f"--out is {args.out}, and there is no directory {args.out.parent}")
    until = None if args.until is None else instant("--until", args.until)
    log = load_checked(args.logs)
    parts = on_ray() if args.ray else nullcontext(in_turn)
    with Console(stderr=True).status("learning from the log, ranking"), parts as spread:
        lists = recommended(log, until, args.size, args.seed, spread)
    if args.out.suffix == ".csv":
        lists.to_csv(args.out, index=False)
    else:
        lists.to_parquet(args.out, index=False)
    items, users = lists["item_id"].nunique(), lists["user_id"].nunique()
    print(f"{args.out}: {len(lists)} offers of {items} items to {users} users")
