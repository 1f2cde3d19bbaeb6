"""A leaderboard of recommenders: who finds what users will buy.

Full ranking of the whole catalogue. The last --days days of the log are the test, read once; each
method's configuration is the one that does best on as many days before them. "new" asks for items
that the user had not met, "all" for those met before too. Example:

    pushwise candidates evaluate shop
    pushwise candidates evaluate shop --methods popularity ease hybrid --json
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

if TYPE_CHECKING:
    from generation.candidates.leaderboard import Entry, Score


@dataclass(frozen=True)
class Args:
    """What to judge by."""

    logs: Positional[Path]
    """directory of the log's tables"""
    methods: tuple[str, ...] = ()
    """methods, such as popularity, als, ease, hybrid, gru (default: all)"""
    days: int = 30
    """days of the test, and of the validation before it"""
    split: str = "time"
    """time; or leaky-random or leaky-leave-one-out, which let methods see the days asked about"""
    seed: int = 0
    """seed of everything that is drawn"""
    json: bool = False
    """print the leaderboard as JSON"""


def run(args: Args) -> None:
    """Judges and prints."""
    import json

    from rich.console import Console

    from generation.candidates.interactions import interactions_of
    from generation.candidates.leaderboard import leaderboard
    from generation.candidates.methods import METHODS, configurations
    from generation.candidates.splits import splits_of
    from ingestion.read import load_checked

    chosen = {
        name: configurations(name, args.days, args.seed)
        for name in dict.fromkeys(args.methods or METHODS)
    }
    console = Console(stderr=True)
    with console.status("reading") as status:
        log = interactions_of(load_checked(args.logs))
        validation, test = splits_of(log, args.days, args.split, args.seed)
        entries = leaderboard(validation, test, chosen, args.seed, status.update)
    about = {
        "logs": str(args.logs),
        "split": args.split,
        "days": args.days,
        "seed": args.seed,
        "users": test.known.shape[0],
        "items": test.known.shape[1],
        "validation": _span(validation.known.until, args.days),
        "test": _span(test.known.until, args.days),
    }
    if args.split != "time":
        about["warning"] = "this split is leaky: methods learned from the days asked about"
        del about["validation"], about["test"]
    if args.json:
        print(json.dumps({**about, "methods": [each.to_mapping() for each in entries]}, indent=1))
    else:
        _show(about, entries)


def _span(begin: int, days: int) -> list[str]:
    import numpy as np

    first = np.datetime64(begin, "us").astype("datetime64[D]")
    return [str(first), str(first + np.timedelta64(days - 1, "D"))]


def _show(about: dict[str, object], entries: Sequence[Entry]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=140)
    span = about.get("test")
    asked = f"{entries[0].all.users} users, {entries[0].new.users} of them for new items"
    table = Table(
        title=f"{about['logs']}: {asked}"
        + (f", who bought from {span[0]} to {span[1]}" if isinstance(span, list) else ""),
        title_justify="left",
    )
    table.add_column("method")
    for which in ("new", "all"):
        table.add_column(f"{which}: NDCG@20", justify="right")
        table.add_column("recall@20", justify="right")
    table.add_column("coverage", justify="right")
    table.add_column("seconds", justify="right")
    table.add_column("chosen on the validation days")
    for each in entries:
        settings = {name: value for name, value in each.settings.items() if name != "seed"}
        table.add_row(
            each.method,
            *_cells(each.new),
            *_cells(each.all),
            f"{each.all.coverage:.0%}",
            f"{each.seconds:.1f}",
            ", ".join(f"{name} {value}" for name, value in settings.items()),
        )
    console.print(table)
    if "warning" in about:
        console.print(f"note: {about['warning']}", style="yellow")
    else:
        console.print("best first by the validation days; 95 % intervals over users", markup=False)


def _cells(score: Score) -> tuple[str, str]:
    half = (score.ndcg_high - score.ndcg_low) / 2
    return f"{score.ndcg:.4f} ±{half:.4f}", f"{score.recall:.4f}"
