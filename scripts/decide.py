"""Decide for every user at once, into a file.

On a log nothing but the file is written; on a store the decisions are committed by the server's
own transaction, caps included, and the policy that it serves stays active. Whether its servers
then send, or the shop does, is as the store has it, and printed. Example:

    pushwise decide runs/quickstart/ppo --logs runs/quickstart/shop --out decisions.csv
    pushwise decide runs/quickstart/ppo --store sqlite:///pushwise.sqlite --out decisions.parquet
    pushwise decide ppo --store postgresql://shop:secret@db/pushwise --out all.parquet --ray
"""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

CHUNK = 1000


@dataclass(frozen=True)
class Args:
    """Whom to decide for."""

    policy: Positional[Path]
    """directory of a saved policy"""
    out: Path
    """file for the decisions, .csv or .parquet"""
    logs: Path | None = None
    """log whose users to decide for, at its end"""
    store: str | None = None
    """server's store whose users to decide for"""
    at: str | None = None
    """instant to decide at, ISO 8601 with offset (default: the log's end; on a store, now)"""
    seed: int | None = None
    """seed of the draws (default: other draws each time, as in a server)"""
    ray: bool = False
    """decide for a thousand users at a time in Ray's processes: all cores, or the cluster that
    RAY_ADDRESS names; the same decisions"""


def run(args: Args) -> None:
    """Decides and writes."""
    import tempfile

    from mdp.errors import BadInput

    if (args.logs is None) == (args.store is None):
        raise BadInput("give either --logs LOGS or --store URL")
    if args.out.suffix not in (".csv", ".parquet"):
        raise BadInput(f"--out is {args.out}; end it with .csv or .parquet")
    if not args.out.parent.is_dir():
        raise BadInput(f"--out is {args.out}, and there is no directory {args.out.parent}")
    if args.store is not None:
        _decide(args, args.store, None)
        return
    with tempfile.TemporaryDirectory() as directory:
        from ingestion.read import load_checked
        from serving.load import last_instant, load_log
        from serving.store import open_store

        assert args.logs is not None
        log = load_checked(args.logs)
        store = f"sqlite:///{directory}/store.sqlite"
        engine = open_store(store)
        load_log(engine, log)
        engine.dispose()
        _decide(args, store, last_instant(log))


def _decide(args: Args, store: str, end: int | None) -> None:
    """Decide for all users of a store, at `end` or now."""
    import secrets
    import sys
    from contextlib import nullcontext

    import pandas as pd
    from rich.console import Console
    from rich.progress import Progress

    from ingestion.spread import in_turn
    from scripts.instants import instant
    from scripts.on_ray import on_ray
    from serving.batch import Night, decide_all, delivery_in
    from serving.settings import read_settings

    at = instant("--at", args.at) if args.at is not None else end
    settings = read_settings(store=store, trust_request_time=at is not None or None)
    delivered = "" if args.store is None else f", delivered by {delivery_in(settings)}"
    console = Console(stderr=True)
    seed = secrets.randbits(63) if args.seed is None else args.seed
    night = Night(settings, args.policy.resolve(), at, seed)
    parts = on_ray() if args.ray else nullcontext(in_turn)
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    with bar, parts as spread:
        task = bar.add_task("deciding", total=None)
        rows = decide_all(
            night,
            CHUNK,
            lambda done, total: bar.update(task, completed=done, total=total),
            spread,
        )
    good = [row for row in rows if "error" not in row]
    frame = pd.DataFrame(good)
    if args.out.suffix == ".csv":
        frame.to_csv(args.out, index=False)
    else:
        frame.to_parquet(args.out, index=False)
    for row in [row for row in rows if "error" in row][:3]:
        print(f"warning: {row['user_id']}: {row['error']}", file=sys.stderr)
    sends = sum(row["action"] == "send" for row in good)
    refused = len(rows) - len(good)
    print(f"{args.out}: {len(good)} users, {sends} sends{delivered}, {refused} refused")
