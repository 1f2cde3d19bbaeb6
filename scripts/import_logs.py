"""Turn a public or foreign log into the log format.

Sources: online-retail-ii, UCI's Online Retail II: `online_retail_II.xlsx` in the archive at
https://archive.ics.uci.edu/dataset/502/online+retail+ii. Every row that is left out is counted by
reason, on the screen and in OUT/import.json. Example:

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
    file: Positional[Path]
    """the file"""
    out: Path
    """directory for the log"""


def run(args: Args) -> None:
    """Imports and prints the account."""
    import json
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from ingestion.online_retail import import_online_retail, read_online_retail
    from ingestion.write import write_log
    from mdp.errors import BadInput

    if not args.file.is_file():
        raise BadInput(f"{args.file} is not a file")
    with Console(stderr=True).status(f"reading {args.file}"):
        done = import_online_retail(read_online_retail(args.file))
    write_log(args.out, done.tables, done.meta)
    account = asdict(done) | {"kept": len(done.tables["events"])}
    account = {name: account[name] for name in ("rows", "kept", "dropped", "repaired")}
    (args.out / "import.json").write_text(json.dumps(account, indent=1) + "\n")
    table = Table(title=f"{args.file.name}: {done.rows:,} rows", title_justify="left")
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
