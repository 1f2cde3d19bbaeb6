"""Remove people, or what is too old, from a log, in place.

Removes users with their events, decisions, outcomes, reviews and changes. With --key-file the users
are named by their real ids and the log is a pseudonymised one. With --older-than, all that happened
that many days before now goes, and users of whom nothing is left. The record of a cleaning in the
directory goes too, for it holds rows. Simulators and policies fitted before are not touched.
Examples:

    pushwise erase shop u17 u18
    pushwise erase shared u17 --key-file key
    pushwise erase shop --older-than 730
"""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Args:
    """What to remove from which log."""

    logs: Positional[Path]
    """directory of the log's tables"""
    users: Positional[tuple[str, ...]] = ()
    """ids of the users"""
    key_file: Path | None = None
    """the key that the log was pseudonymised under"""
    older_than: float | None = None
    """days that rows are kept"""


def run(args: Args) -> None:
    """Removes, and says how many rows of each table."""
    import pandas as pd

    from ingestion.privacy import erased, pseudonym, read_key
    from ingestion.read import read_raw
    from ingestion.write import write_log
    from mdp.errors import BadInput

    if not args.users and args.older_than is None:
        raise BadInput("nothing to erase is named: give users' ids, --older-than DAYS or both")
    if args.older_than is not None and not args.older_than > 0:
        raise BadInput(f"--older-than is {args.older_than:g}; it must be above 0 days")
    users = args.users
    if args.key_file is not None:
        key = read_key(args.key_file)
        users = tuple(pseudonym(key, "user", user) for user in users)
    before = None
    if args.older_than is not None:
        before = pd.Timestamp.now("UTC") - pd.Timedelta(days=args.older_than)
    raw, meta = read_raw(args.logs)
    if "users" not in raw:
        raise BadInput(f"{args.logs} holds no table of users")
    unknown = [u for u, name in zip(args.users, users, strict=True) if name not in _named(raw)]
    tables, removed = erased(raw, users, before)
    write_log(args.logs, tables, meta)
    for name in ("cleaning.parquet", "cleaning.json"):
        (args.logs / name).unlink(missing_ok=True)
    for name, count in removed.items():
        print(f"{name}: {count:,} rows removed, {len(tables[name]):,} left")
    if unknown:
        raise BadInput(f"{', '.join(unknown)}: no such user in {args.logs}")


def _named(raw: dict) -> set[str]:
    return {
        str(user)
        for table in raw.values()
        if "user_id" in table
        for user in table["user_id"].dropna().unique()
    }
