"""Turn a shop's or a public export into the log format.

NAME says what the files are: segment, ga4 (its BigQuery export), braze (Currents), rees46-messages;
or the path of a mapping of your own, a TOML file (`--show NAME` prints one to start from, and
docs/data.md explains it). Files are CSV, Parquet, JSON, JSON lines or Avro, or directories of them,
or a database's URL, which the mapping's queries are sent to.
Two public data sets have importers of their own: online-retail-ii, UCI's Online Retail II
(https://archive.ics.uci.edu/dataset/502/online+retail+ii, .xlsx, or its rows in .parquet or .csv);
open-bandit, a directory of the Open Bandit Dataset (one campaign, or several below it), whose
recommendations are read as pushes in one variant and at one hour.
pushwise makes one log of several in the format: a server's archives and what it exports. Each
decision counts once, and the values of the newest log stay.

With --add the log that OUT holds is kept and what is new is merged into it, so that several sources
make one log. With --follow new files of the directories are merged as they land, each exactly once,
whatever kills the process in between. Every row that is left out is counted by reason, on the
screen and in OUT/import.json.
Examples:

    pushwise import segment events.jsonl --out shop
    pushwise import braze currents/ --out shop --add --identities ids.csv
    pushwise import segment landing/ --out shop --follow
    pushwise import our-shop.toml export.csv --out shop
    pushwise import our-shop.toml postgresql://reader@db/shop --out shop
    pushwise import online-retail-ii online_retail_II.xlsx --out shop
    pushwise import pushwise archive/2025 archive/2026 export --out all
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

if TYPE_CHECKING:
    import pandas as pd

    from ingestion.imported import Account, Imported
    from ingestion.mapping import SourceMapping


@dataclass(frozen=True)
class Args:
    """What to import."""

    source: Positional[str]
    """what the files are: a name, or the path of a mapping"""
    files: Positional[tuple[str, ...]] = ()
    """the files, or directories, or a database's URL"""
    out: Path | None = None
    """directory for the log"""
    add: bool = False
    """merge into the log that OUT holds"""
    follow: bool = False
    """go on merging new files of the directories as they land"""
    every: float = 5.0
    """seconds between two looks for new files"""
    idle: float | None = None
    """seconds without a new file after which --follow ends (default: never)"""
    identities: Path | None = None
    """file with the columns id and user_id: which id is which user's"""
    show: bool = False
    """print the mapping and do nothing"""


def run(args: Args) -> None:
    """Imports and prints the account."""
    import json

    from rich.console import Console

    from ingestion.imported import LEDGER
    from mdp.errors import BadInput

    if args.show:
        from ingestion.mapping import mapping_text

        print(mapping_text(args.source), end="")
        return
    if not args.files:
        raise BadInput(f"no file is given: give {_WANTED.get(args.source, 'files or directories')}")
    if args.out is None:
        raise BadInput("--out is not given: say in which directory the log goes")
    if args.identities is not None and args.source in _WANTED:
        raise BadInput(f"--identities means nothing to {args.source}")
    if args.follow:
        _follow(args, args.out)
        return
    names = ", ".join(_name(file) for file in args.files)
    with Console(stderr=True).status(f"reading {names}"):
        done, met = _made(args, args.out)
    if not args.add:
        (args.out / LEDGER).unlink(missing_ok=True)
    account = done.to_mapping() | {"merged": met}
    (args.out / "import.json").write_text(json.dumps(account, indent=1) + "\n")
    _show(done, met, names)
    print(f"{args.out}: {', '.join(f'{n:,} {name}' for name, n in done.sizes.items() if n)}")


def _made(args: Args, out: Path) -> tuple[Account, dict[str, int]]:
    """Write the log; the account, and what met where it is merged into the one that is there."""
    import dataclasses

    from ingestion.imported import sizes_of
    from ingestion.importing import adapt, import_records
    from ingestion.write import replacing, write_log

    notes: dict[str, int] = {}
    if args.source == "pushwise":
        return _together(args, out)
    if args.source in _WANTED:
        files = [Path(file) for file in args.files]
        done = _open_bandit(files) if args.source == "open-bandit" else _retail(files)
    else:
        mapping, known, notes = _mapped(args)
        if not args.add:
            with replacing(out) as place:
                account = import_records(_records(args, mapping), mapping, place, known)
            account.found.update(notes)
            return account, {}
        done = adapt(_records(args, mapping), mapping, known)
        done.found.update(notes)
    tables, meta, met = done.tables, done.meta, dict[str, int]()
    if args.add:
        from ingestion.merge import merged
        from ingestion.parse import log_of
        from ingestion.read import load_checked

        tables, meta, met = merged(load_checked(out), log_of(tables, meta))
    write_log(out, tables, meta)
    return dataclasses.replace(done, sizes=sizes_of(tables)), met


_WANTED = {
    "online-retail-ii": "UCI's online_retail_II.xlsx",
    "open-bandit": "a directory",
    "pushwise": "directories of logs",
}


def _name(file: str) -> str:
    return "the database" if "://" in file else Path(file).name


def _show(done: Account, met: dict[str, int], names: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{names}: {done.rows:,} rows", title_justify="left")
    table.add_column("rows", justify="right")
    table.add_column("what became of them")
    for kind, count in done.found.items():
        table.add_row(f"{count:,}", f"found: {kind}")
    table.add_section()
    what = "kept as decisions" if "decisions" in done.sizes else "kept as events"
    table.add_row(f"{done.kept():,}", what, style="bold", end_section=True)
    for word, counts in (("dropped", done.dropped), ("repaired", done.repaired), ("merged", met)):
        for reason, count in counts.items():
            table.add_row(f"{count:,}", f"{word}: {reason}")
        table.add_section()
    Console(highlight=False).print(table)


def _mapped(args: Args) -> tuple[SourceMapping, dict[str, str], dict[str, int]]:
    """The mapping, which ids are which user's, and what is to be said of those."""
    from ingestion.mapping import mapping_text, read_mapping
    from ingestion.merge import read_identities

    mapping = read_mapping(mapping_text(args.source), args.source)
    if args.identities is None:
        return mapping, {}, {}
    known, twice = read_identities(args.identities)
    what = "ids that the identities give to a second user, the first kept"
    return mapping, known, {what: twice} if twice else {}


def _records(args: Args, mapping: SourceMapping) -> Iterator[pd.DataFrame]:
    from ingestion.database import is_database, read_queries
    from ingestion.records import record_batches, record_files

    paths = [Path(file) for file in args.files if not is_database(file)]
    files = record_files(paths) if paths else []
    for url in filter(is_database, args.files):
        yield from read_queries(url, mapping.queries)
    for file in files:
        yield from record_batches(file)


def _follow(args: Args, out: Path) -> None:
    import time

    from ingestion.database import is_database
    from ingestion.follow import following
    from ingestion.importing import adapt
    from mdp.errors import BadInput, BadSetting

    if args.source in _WANTED or any(is_database(file) for file in args.files):
        raise BadInput(f"--follow looks for files that a mapping reads, not for {args.files[0]}")
    if not args.every > 0 or (args.idle is not None and not args.idle > 0):
        raise BadSetting("--every and --idle are seconds above 0")
    mapping, known, _ = _mapped(args)

    def importing(frames: Sequence[pd.DataFrame]) -> Imported:
        return adapt(frames, mapping, known)

    with following([Path(file) for file in args.files], out, importing) as follower:
        last = time.monotonic()
        while args.idle is None or time.monotonic() - last < args.idle:
            batch = follower.look()
            if batch is None:
                time.sleep(args.every)
                continue
            for name, count in batch.taken.items():
                print(f"{name}: {count:,} records", flush=True)
            for name, same in batch.again.items():
                print(f"{name}: taken before as {same}", flush=True)
            for name, why in batch.refused.items():
                print(f"{name}: left out: {why}", flush=True)
            last = time.monotonic()


def _retail(files: Sequence[Path]) -> Imported:
    import pandas as pd

    from ingestion.online_retail import import_online_retail, read_online_retail
    from mdp.errors import BadInput

    for file in files:
        if not file.is_file():
            raise BadInput(f"{file} is not a file")
    raw = pd.concat([read_online_retail(file) for file in files], ignore_index=True)
    return import_online_retail(raw)


def _together(args: Args, out: Path) -> tuple[Account, dict[str, int]]:
    """Write one log of several in the format; the account, and what met."""
    from ingestion.imported import Account, sizes_of
    from ingestion.merge import together
    from ingestion.read import load_checked
    from ingestion.write import write_log

    logs = [load_checked(place) for place in [*([out] if args.add else []), *map(Path, args.files)]]
    tables, meta, met = together(logs)
    write_log(out, tables, meta)
    rows = sum(len(table) for log in logs for table in log.tables.values())
    return Account(rows, sizes_of(tables), {}, {}), met


def _open_bandit(directories: Sequence[Path]) -> Imported:
    from ingestion.open_bandit import find_open_bandit, import_open_bandit

    found = [campaign for directory in directories for campaign in find_open_bandit(directory)]
    return import_open_bandit(found)
