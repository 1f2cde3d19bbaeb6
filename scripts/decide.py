"""Decide for every user at once, into a file.

On a log nothing but the file is written; on a store the decisions are committed by the server's
own transaction, caps included. The policy decides in place of the one that the server has active,
which stays so, beside the store's challenger, shadow, holdout and kill switches. A policy that the
store does not know is added to it, as rows of its log will name it. Whether its servers then send,
or the shop does, is as the store has it, and printed.

The file gets its name when it is whole. A run on a store that was interrupted loses nothing: the
same command, within 12 hours, goes on, and the file holds what was decided before and the rest (a
send that was called off since has the action `cancelled` or `failed`). So name a file a night.
Example:

    pushwise decide runs/quickstart/ppo --logs runs/quickstart/shop --out decisions.csv
    pushwise decide runs/quickstart/ppo --store sqlite:///pushwise.sqlite --out 2026-11-29.parquet
    pushwise decide ppo --store postgresql://shop:secret@db/pushwise --out 2026-11-29.csv --ray
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

if TYPE_CHECKING:
    from serving.batch import Decided, Opening

CHUNK = 1000


@dataclass(frozen=True)
class Args:
    """Whom to decide for."""

    policy: Positional[Path]
    """directory of a saved policy; on a store also the name of one that it knows"""
    out: Path
    """file for the decisions, .csv or .parquet; on a store the same file within 12 hours is the
    same night: whoever was decided for gets the same decision again"""
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


@dataclass
class Tally:
    """What the last line says."""

    users: int = 0
    sends: int = 0
    before: int = 0
    passed: int = 0
    """Sends of an earlier run whose hour has passed."""
    called_off: int = 0
    """Sends of an earlier run that were cancelled, or failed, since."""
    refused: int = 0
    told: list[tuple[str, str]] = field(default_factory=list)
    """The first users who were refused, and why."""

    def add(self, part: "Decided", now: str) -> None:
        """Count a part."""
        due = [row["send_at"] for row in part.answers if row["action"] == "send"]
        self.users += len(part.answers)
        self.sends += len(due)
        self.before += part.before
        self.called_off += sum(row["action"] in ("cancelled", "failed") for row in part.answers)
        self.passed += sum(at < now for at in due) if part.before else 0
        self.refused += len(part.refused)
        self.told = [*self.told, *part.refused][:3]


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
        from ingestion.parted import parted
        from scripts.parts import parts_of
        from serving.known import saved_policy
        from serving.load import last_instant, load_log
        from serving.store import open_store

        assert args.logs is not None
        saved, store = saved_policy(args.policy), f"sqlite:///{directory}/store.sqlite"
        with parted(args.logs, parts_of(args.logs, loaded=True)) as log:
            engine = open_store(store)
            load_log(engine, (part for part, _ in log.parts()), saved)
            engine.dispose()
            end = last_instant(log.span)
        _decide(args, store, end)


def _decide(args: Args, store: str, end: int | None) -> None:
    """Decide for all users of a store, at `end` or now."""
    import secrets
    import sys
    from contextlib import nullcontext

    from sqlalchemy.exc import DBAPIError

    from ingestion.spread import in_turn
    from mdp.errors import PushwiseError
    from scripts.instants import instant
    from scripts.on_ray import on_ray
    from serving.batch import close_night, decided, open_night
    from serving.clocks import wall_clock
    from serving.log_lines import configure_logging
    from serving.settings import read_settings

    at = instant("--at", args.at) if args.at is not None else end
    settings = read_settings(store=store, trust_request_time=at is not None or None)
    configure_logging(settings.log_level)
    seed = secrets.randbits(63) if args.seed is None else args.seed
    try:
        opening = open_night(settings, args.policy, args.out.resolve(), at, seed, wall_clock())
        for line in _told(opening):
            print(line, file=sys.stderr)
        with on_ray() if args.ray else nullcontext(in_turn) as spread:
            tally = _written(args.out, decided(opening.night, CHUNK, spread), opening.users)
        close_night(opening.night, wall_clock())
    except DBAPIError as error:
        raise PushwiseError(
            f"the store failed ({error.orig}): what was decided is in it, and the same command "
            "goes on with it"
        ) from error
    for user, why in tally.told:
        print(f"warning: {user}: {why}", file=sys.stderr)
    delivered = "" if args.store is None else f", delivered by {opening.delivered}"
    before = f", {tally.before} decided before" if tally.before else ""
    passed = f", {tally.passed} sends of an hour that has passed" if tally.passed else ""
    called_off = f", {tally.called_off} called off since" if tally.called_off else ""
    print(
        f"{args.out}: {tally.users} users, {tally.sends} sends{delivered}, {tally.refused} refused"
        f"{before}{passed}{called_off}"
    )


def _told(opening: "Opening") -> list[str]:
    """What there is to say before anything is decided."""
    from serving.nights import LASTS
    from serving.schemas import iso

    lines = [
        f"warning: {night.out}, begun at {iso(night.began_at)}, is not whole: what was decided for "
        f"it is in the store alone, unless its command is given again before "
        f"{iso(night.began_at + LASTS)}"
        for night in opening.unfinished
    ]
    if opening.since is not None:
        lines.append(f"the night that began at {iso(opening.since)} goes on")
    return lines


def _written(out: Path, parts: Iterable["Decided"], users: int) -> Tally:
    """Write what is decided as it comes, and count it."""
    from rich.console import Console
    from rich.progress import Progress

    from serving.clocks import wall_clock
    from serving.decisions_file import decisions_file
    from serving.schemas import iso

    console, tally, now = Console(stderr=True), Tally(), iso(wall_clock())
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    with bar, decisions_file(out) as add:
        task = bar.add_task("deciding", total=users)
        for part in parts:
            add(part.answers)
            tally.add(part, now)
            bar.update(task, completed=tally.users + tally.refused)
    return tally
