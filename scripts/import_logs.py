"""Turn a public or foreign log into the log format.

Sources: online-retail-ii, UCI's Online Retail II: `online_retail_II.xlsx` in the archive at
https://archive.ics.uci.edu/dataset/502/online+retail+ii, or its rows in .parquet or .csv files,
which are read as one. Every row that is left out is counted by reason, on the screen and in
OUT/import.json. Example:

    pushwise import online-retail-ii online_retail_II.xlsx --out shop
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional


@dataclass(frozen=True)
class Args:
    """What to import."""

    source: Positional[Literal["online-retail-ii"]]
    """what the file is"""
    files: Positional[tuple[Path, ...]]
    """the files"""
    out: Path
    """directory for the log"""


def run(args: Args) -> None:
    """Imports and prints the account."""
    import json
    from dataclasses import asdict

    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from ingestion.online_retail import import_online_retail, read_online_retail
    from ingestion.write import write_log
    from mdp.errors import BadInput

    if not args.files:
        raise BadInput("no file is given: give UCI's online_retail_II.xlsx")
    for file in args.files:
        if not file.is_file():
            raise BadInput(f"{file} is not a file")
    names = ", ".join(file.name for file in args.files)
    with Console(stderr=True).status(f"reading {names}"):
        raw = pd.concat([read_online_retail(file) for file in args.files], ignore_index=True)
        done = import_online_retail(raw)
    write_log(args.out, done.tables, done.meta)
    account = asdict(done) | {"kept": len(done.tables["events"])}
    account = {name: account[name] for name in ("rows", "kept", "dropped", "repaired")}
    (args.out / "import.json").write_text(json.dumps(account, indent=1) + "\n")
    table = Table(title=f"{names}: {done.rows:,} rows", title_justify="left")
    table.add_column("rows", justify="right")
    table.add_column("what became of them")
    table.add_row(f"{account['kept']:,}", "kept as purchases", style="bold", end_section=True)
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
