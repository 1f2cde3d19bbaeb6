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
    from collections import Counter
    from collections.abc import Iterator

    from rich.console import Console

    from ingestion.log import Log
    from ingestion.parted import parted
    from policies.standing import doubt
    from scripts.parts import parts_of
    from serving.activation import make_active
    from serving.approving import judged
    from serving.clocks import wall_clock
    from serving.known import add_policy, saved_policy
    from serving.load import load_log
    from serving.registry import Registry
    from serving.settings import read_settings
    from serving.store import open_store, writing

    saved = None if args.policy is None else saved_policy(args.policy)
    console = Console(stderr=True)
    blocked: list[str] = []
    review: list[str] = []
    told: Counter[str] = Counter()
    with (
        console.status(f"checking {args.logs}") as status,
        parted(args.logs, parts_of(args.logs, loaded=True)) as log,
    ):
        shared = dict(log.raw.shared)
        told.update({name: len(table) for name, table in shared.items()})
        if read_settings(store=args.store).moderate_copy:
            shared["variants"], blocked, review = judged(shared["variants"])

        def parts() -> Iterator[Log]:
            for part, place in log.parts():
                told.update({name: len(rows) for name, rows in place.items()})
                yield part.replace_tables(**shared)

        engine = open_store(args.store)
        try:
            status.update(f"replaying histories into {args.store}")
            counts = load_log(engine, parts(), saved)
            if saved is not None:
                with writing(engine) as connection:
                    now = wall_clock()
                    name = add_policy(connection, saved, now, "load")
                    make_active(connection, Registry(), name, now, "load")
        finally:
            engine.dispose()
    print(f"{args.store}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    left_out = {name: rows - counts.get(name, 0) for name, rows in told.items()}
    if any(left_out.values()):
        listed = ", ".join(f"{count} {name}" for name, count in left_out.items() if count)
        print(f"left out, as told twice or of no use to a server: {listed}")
    for what, ids in (
        ("copy that the rules block is loaded as a draft", blocked),
        ("copy approved in the log that a person should read", review),
    ):
        if ids:
            print(f"{what}, see `pushwise copy review {args.logs}`: {', '.join(ids)}")
    if saved is not None:
        print(f"active policy: {args.policy}")
        if (minded := doubt(saved.bundle.manifest)) is not None:
            print(f"warning: {minded}")
