"""Move what is old from a server's store into a log.

Decisions of before an instant leave with their outcomes and the events of their time, and are a
log in OUT, which everything here reads; users, catalogue and changes are copied. The server goes on
meanwhile. Users' states, caps and the ledger stay as they are. After a kill the same command goes
on where it stopped: each row is in the log or in the store. At least 30 days stay, and as long as
snapshots and answers to idempotency keys are kept. With --monthly every whole month (UTC) that may
leave becomes a log of its own, OUT/YYYY-MM, so that a timer can call it every day. `pushwise import
pushwise DIR… --out LOGS` makes one log of archives and what the server exports. Example:

    pushwise archive --store sqlite:///pushwise.sqlite --before 2026-01-01T00:00:00Z --out 2025
    pushwise archive --store sqlite:///pushwise.sqlite --monthly --out archive
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Args:
    """What to move, and where to."""

    out: Path
    """new directory for the log; with --monthly the one that holds the months' logs"""
    before: str | None = None
    """instant before which all leaves, ISO 8601 with offset"""
    monthly: bool = False
    """every whole month that may leave by now, into a log of its own"""
    store: str | None = None
    """the store (default: PUSHWISE_STORE, else sqlite:///pushwise.sqlite)"""


def run(args: Args) -> None:
    """Moves, and says how much."""
    from rich.console import Console
    from rich.progress import Progress

    from mdp.errors import BadInput
    from scripts.instants import instant
    from serving.archive import archive
    from serving.clocks import wall_clock
    from serving.log_lines import configure_logging
    from serving.monthly import archive_months
    from serving.settings import read_settings
    from serving.store import open_store

    if (args.before is None) != args.monthly:
        raise BadInput("give either --before TIME or --monthly")
    out, now = args.out.resolve(), wall_clock()
    before = None if args.before is None else instant("--before", args.before)
    settings = read_settings(store=args.store)
    configure_logging(settings.log_level)
    engine = open_store(settings.store, make=False)
    console = Console(stderr=True)
    try:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("archiving", total=None)

            def show(users: int, total: int) -> None:
                bar.update(task, completed=users, total=total)

            if before is None:
                done = list(archive_months(engine, settings, out, now, show))
            else:
                done = [archive(engine, settings, before, out, now, show)]
    finally:
        engine.dispose()
    for row in done:
        print(
            f"{row.out}: {row.decisions:,} decisions, {row.outcomes:,} outcomes, "
            f"{row.events:,} events"
        )
    if not done:
        print("no month may leave yet that has not")
