"""Move what is old from a server's store into a log.

Decisions of before an instant leave with their outcomes and the events of their time, and are a
log in OUT, which everything here reads; users, catalogue and changes are copied. The server goes on
meanwhile. Users' states, caps and the ledger stay as they are. After a kill the same command goes
on where it stopped: each row is in the log or in the store. At least 30 days stay, and as long as
snapshots and answers to idempotency keys are kept. `pushwise import pushwise DIR… --out LOGS` makes
one log of archives and what the server exports. Example:

    pushwise archive --store sqlite:///pushwise.sqlite --before 2026-01-01T00:00:00Z --out 2025
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Args:
    """What to move, and where to."""

    store: str
    """the store, such as sqlite:///pushwise.sqlite"""
    before: str
    """instant before which all leaves, ISO 8601 with offset"""
    out: Path
    """new directory for the log"""


def run(args: Args) -> None:
    """Moves, and says how much."""
    from rich.console import Console
    from rich.progress import Progress

    from scripts.instants import instant
    from serving.archive import archive
    from serving.clocks import wall_clock
    from serving.log_lines import configure_logging
    from serving.settings import read_settings
    from serving.store import open_store

    before, out = instant("--before", args.before), args.out.resolve()
    settings = read_settings(store=args.store)
    configure_logging(settings.log_level)
    engine = open_store(settings.store, make=False)
    console = Console(stderr=True)
    try:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("archiving", total=None)
            done = archive(
                engine, settings, before, out, wall_clock(),
                lambda users, total: bar.update(task, completed=users, total=total),
            )  # fmt: skip
    finally:
        engine.dispose()
    print(
        f"{out}: {done.decisions:,} decisions, {done.outcomes:,} outcomes, {done.events:,} events"
    )
