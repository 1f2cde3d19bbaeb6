"""Load a log, and a policy, into a server's store.

The store gets the catalogue, the users with their histories, and everything that happened, so the
server goes on where the log ends. Copy is judged (unless PUSHWISE_MODERATE_COPY=false): what the
rule packs block is loaded as a draft, and what is up for review is named. Example:

    pushwise load shop --store sqlite:///pushwise.sqlite --policy runs/quickstart/ppo
"""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Args:
    """What to load, and where to."""

    logs: Positional[Path]
    """directory of the log's tables"""
    store: str
    """the store, such as sqlite:///pushwise.sqlite"""
    policy: Path | None = None
    """directory of a saved policy, made the active one"""


def run(args: Args) -> None:
    """Loads and says what."""
    from rich.console import Console

    from ingestion.read import load_checked
    from policies.saved import load_policy
    from serving.approving import judged
    from serving.clocks import wall_clock
    from serving.load import load_log
    from serving.registry import add_policy, make_active
    from serving.settings import read_settings
    from serving.store import open_store, writing

    if args.policy is not None:
        load_policy(args.policy)
    console = Console(stderr=True)
    with console.status(f"checking {args.logs}"):
        log = load_checked(args.logs)
    blocked: list[str] = []
    review: list[str] = []
    if read_settings(store=args.store).moderate_copy:
        log, blocked, review = judged(log)
    engine = open_store(args.store)
    try:
        with console.status(f"replaying histories into {args.store}"):
            counts = load_log(engine, log)
        if args.policy is not None:
            with writing(engine) as connection:
                now = wall_clock()
                name = add_policy(connection, args.policy, now, "load")
                make_active(connection, name, now, "load")
    finally:
        engine.dispose()
    print(f"{args.store}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    left_out = {name: len(rows) - counts.get(name, 0) for name, rows in log.tables.items()}
    if any(left_out.values()):
        listed = ", ".join(f"{count} {name}" for name, count in left_out.items() if count)
        print(f"left out, as told twice or of no use to a server: {listed}")
    for what, ids in (
        ("copy that the rules block is loaded as a draft", blocked),
        ("copy approved in the log that a person should read", review),
    ):
        if ids:
            print(f"{what}, see `pushwise copy review {args.logs}`: {', '.join(ids)}")
    if args.policy is not None:
        print(f"active policy: {args.policy}")
