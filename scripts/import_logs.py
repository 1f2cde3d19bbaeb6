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

    from ingestion.online_retail import import_online_retail, read_online_retail
    from ingestion.write import write_log
    from mdp.errors import BadInput

    if not args.file.is_file():
        raise BadInput(f"{args.file} is not a file")
    done = import_online_retail(read_online_retail(args.file))
    write_log(args.out, done.tables, done.meta)
    account = asdict(done) | {"kept": len(done.tables["events"])}
    account = {name: account[name] for name in ("rows", "kept", "dropped", "repaired")}
    (args.out / "import.json").write_text(json.dumps(account, indent=1) + "\n")
    print(f"{done.rows:>9,} rows read")
    for reason, count in done.dropped.items():
        print(f"{-count:>9,} {reason}")
    print(f"{account['kept']:>9,} purchases kept")
    for reason, count in done.repaired.items():
        print(f"{count:>9,} repaired: {reason}")
    print(
        f"{args.out}: {len(done.tables['users']):,} users, {len(done.tables['items']):,} items in "
        f"{done.tables['items']['category'].nunique()} categories"
    )
