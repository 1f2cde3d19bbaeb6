"""Turn a public or foreign log into the log format.

Sources: online-retail-ii, UCI's Online Retail II: `online_retail_II.xlsx` in the archive at
https://archive.ics.uci.edu/dataset/502/online+retail+ii, or its rows in .parquet or .csv files,
which are read as one; open-bandit, a directory of the Open Bandit Dataset (one campaign, or
several below it), whose recommendations are read as pushes in one variant and at one hour. Every
row that is left out is counted by reason, on the screen and in OUT/import.json. Example:

    pushwise import online-retail-ii online_retail_II.xlsx --out shop
    pushwise import open-bandit open_bandit_dataset/random/men --out zozo
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

if TYPE_CHECKING:
    import pandas as pd

    from ingestion.online_retail import Imported


@dataclass(frozen=True)
class Args:
    """What to import."""

    source: Positional[Literal["online-retail-ii", "open-bandit"]]
    """what the file is"""
    files: Positional[tuple[Path, ...]]
    """the files, or a directory"""
    out: Path
    """directory for the log"""


def run(args: Args) -> None:
    """Imports and prints the account."""
    import json
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from ingestion.write import write_log
    from mdp.errors import BadInput

    if not args.files:
        what = "UCI's online_retail_II.xlsx" if args.source == "online-retail-ii" else "a directory"
        raise BadInput(f"no file is given: give {what}")
    names = ", ".join(file.name for file in args.files)
    with Console(stderr=True).status(f"reading {names}"):
        done = _open_bandit(args.files) if args.source == "open-bandit" else _retail(args.files)
    write_log(args.out, done.tables, done.meta)
    account = asdict(done) | {"kept": len(_kept(done))}
    account = {name: account[name] for name in ("rows", "found", "kept", "dropped", "repaired")}
    (args.out / "import.json").write_text(json.dumps(account, indent=1) + "\n")
    table = Table(title=f"{names}: {done.rows:,} rows", title_justify="left")
    table.add_column("rows", justify="right")
    table.add_column("what became of them")
    for kind, count in done.found.items():
        table.add_row(f"{count:,}", f"found: {kind}")
    table.add_section()
    what = "kept as decisions" if args.source == "open-bandit" else "kept as purchases"
    table.add_row(f"{account['kept']:,}", what, style="bold", end_section=True)
    for reason, count in done.dropped.items():
        table.add_row(f"{count:,}", f"dropped: {reason}")
    table.add_section()
    for reason, count in done.repaired.items():
        table.add_row(f"{count:,}", f"repaired: {reason}")
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"{args.out}: {len(done.tables['users']):,} users, {len(done.tables['items']):,} items in "
        f"{done.tables['items']['category'].nunique()} categories",
        markup=False,
        soft_wrap=True,
    )


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
