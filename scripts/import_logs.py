"""Turn a shop's or a public export into the log format.

NAME says what the files are: segment, ga4 (its BigQuery export), braze (Currents), rees46-messages;
or the path of a mapping of your own, a TOML file (`--show NAME` prints one to start from, and
docs/data.md explains it). Files are CSV, Parquet, JSON, JSON lines or Avro, or directories of them.
Two public data sets have importers of their own: online-retail-ii, UCI's Online Retail II
(https://archive.ics.uci.edu/dataset/502/online+retail+ii, .xlsx, or its rows in .parquet or .csv);
open-bandit, a directory of the Open Bandit Dataset (one campaign, or several below it), whose
recommendations are read as pushes in one variant and at one hour.

With --add the log that OUT holds is kept and what is new is merged into it, so that several sources
make one log. Every row that is left out is counted by reason, on the screen and in OUT/import.json.
Examples:

    pushwise import segment events.jsonl --out shop
    pushwise import braze currents/ --out shop --add --identities ids.csv
    pushwise import our-shop.toml export.csv --out shop
    pushwise import online-retail-ii online_retail_II.xlsx --out shop
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

if TYPE_CHECKING:
    import pandas as pd

    from ingestion.imported import Imported
    from ingestion.log import LogMeta


@dataclass(frozen=True)
class Args:
    """What to import."""

    source: Positional[str]
    """what the files are: a name, or the path of a mapping"""
    files: Positional[tuple[Path, ...]] = ()
    """the files, or directories"""
    out: Path | None = None
    """directory for the log"""
    add: bool = False
    """merge into the log that OUT holds"""
    identities: Path | None = None
    """file with the columns id and user_id: which id is which user's"""
    show: bool = False
    """print the mapping and do nothing"""


def run(args: Args) -> None:
    """Imports and prints the account."""
    import json
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from ingestion.write import write_log
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
    names = ", ".join(file.name for file in args.files)
    with Console(stderr=True).status(f"reading {names}"):
        done = _imported(args)
    tables, meta = done.tables, done.meta
    met: dict[str, int] = {}
    if args.add:
        tables, meta, met = _added(args.out, done)
    write_log(args.out, tables, meta)
    account = asdict(done) | {"kept": len(_kept(done))}
    account = {name: account[name] for name in ("rows", "found", "kept", "dropped", "repaired")}
    account["merged"] = met
    (args.out / "import.json").write_text(json.dumps(account, indent=1) + "\n")
    table = Table(title=f"{names}: {done.rows:,} rows", title_justify="left")
    table.add_column("rows", justify="right")
    table.add_column("what became of them")
    for kind, count in done.found.items():
        table.add_row(f"{count:,}", f"found: {kind}")
    table.add_section()
    what = "kept as decisions" if "decisions" in done.tables else "kept as events"
    table.add_row(f"{account['kept']:,}", what, style="bold", end_section=True)
    for reason, count in done.dropped.items():
        table.add_row(f"{count:,}", f"dropped: {reason}")
    table.add_section()
    for reason, count in done.repaired.items():
        table.add_row(f"{count:,}", f"repaired: {reason}")
    table.add_section()
    for what, count in met.items():
        table.add_row(f"{count:,}", f"merged: {what}")
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"{args.out}: "
        + ", ".join(f"{len(frame):,} {name}" for name, frame in tables.items() if len(frame)),
        markup=False,
        soft_wrap=True,
    )


_WANTED = {"online-retail-ii": "UCI's online_retail_II.xlsx", "open-bandit": "a directory"}


def _imported(args: Args) -> Imported:
    if args.source == "open-bandit":
        return _open_bandit(args.files)
    if args.source == "online-retail-ii":
        return _retail(args.files)
    from ingestion.adapt import adapt
    from ingestion.mapping import mapping_text, read_mapping
    from ingestion.merge import read_identities
    from ingestion.records import read_records, record_files

    mapping = read_mapping(mapping_text(args.source), args.source)
    known, twice = ({}, 0) if args.identities is None else read_identities(args.identities)
    done = adapt([read_records(file) for file in record_files(args.files)], mapping, known)
    if twice:
        done.found["ids that the identities give to a second user, the first kept"] = twice
    return done


def _added(out: Path, done: Imported) -> tuple[dict[str, pd.DataFrame], LogMeta, dict[str, int]]:
    from ingestion.merge import merged
    from ingestion.parse import log_of
    from ingestion.read import load_checked

    return merged(load_checked(out), log_of(done.tables, done.meta))


def _kept(done: Imported) -> pd.DataFrame:
    return done.tables["decisions" if "decisions" in done.tables else "events"]


def _retail(files: tuple[Path, ...]) -> Imported:
    import pandas as pd

    from ingestion.online_retail import import_online_retail, read_online_retail
    from mdp.errors import BadInput

    for file in files:
        if not file.is_file():
            raise BadInput(f"{file} is not a file")
    raw = pd.concat([read_online_retail(file) for file in files], ignore_index=True)
    return import_online_retail(raw)


def _open_bandit(directories: tuple[Path, ...]) -> Imported:
    from ingestion.open_bandit import find_open_bandit, import_open_bandit

    found = [campaign for directory in directories for campaign in find_open_bandit(directory)]
    return import_open_bandit(found)
