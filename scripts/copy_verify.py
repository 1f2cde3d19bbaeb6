"""Check copy against a log: is every price, discount, name, stock, deadline and claim so?

FILE is a table of variants, .csv or .parquet, with the columns title and body, and where known
item_id, locale, segment and description, such as `pushwise copy generate` writes or a log's own.
A variant of no item is checked for every item of the log, with {item}, {price}, {brand} and
{category} filled in. Exits 1 where a text is refused. Facts change: verify again before a campaign.

Example:

    pushwise copy verify drafts/variants.parquet --logs shop
    pushwise copy verify shop/variants.csv --logs shop --json
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Args:
    """What to check."""

    file: Positional[Path]
    """table of variants, .csv or .parquet"""
    logs: Path
    """directory of the log's tables, whose items the texts are about"""
    at: str | None = None
    """what was known at this instant, ISO 8601 with offset (default: the end of the log)"""
    json: bool = False
    """print JSON"""


def run(args: Args) -> int:
    """Checks, prints, says by its status whether all may leave."""
    import json

    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from generation.copy.checking import checked, read_variants
    from generation.copy.gather import facts_of
    from ingestion.read import load_checked
    from scripts.instants import instant

    at = None if args.at is None else pd.Timestamp(instant("--at", args.at), unit="us", tz="UTC")
    variants = read_variants(args.file)
    with Console(stderr=True).status("checking"):
        results = checked(variants, facts_of(load_checked(args.logs), at))
    refused = [result for result in results if not result["held"]]
    if args.json:
        print(json.dumps({"results": results}, indent=1, ensure_ascii=False))
        return 1 if refused else 0
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=120)
    table = Table()
    for column in ("variant", "rule", "in", "words", "why"):
        table.add_column(column, overflow="fold")
    for result in refused:
        for n, finding in enumerate(result["findings"]):
            words = (finding["rule"], finding["field"], finding["words"], finding["why"])
            table.add_row("" if n else result["variant_id"], *words)
    if refused:
        console.print(table, markup=False)
    print(f"{len(results) - len(refused)} of {len(results)} texts are held by the log's facts")
    return 1 if refused else 0
