"""Check a log: what is wrong in it, and what it is good for.

Exits 1 where there are errors. Rows are counted from 0. Example:

    pushwise check shop
    pushwise check shop --json
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

if TYPE_CHECKING:
    from rich.console import Console

    from ingestion.check import Finding
    from ingestion.quality import Quality


@dataclass(frozen=True)
class Args:
    """What to check."""

    logs: Positional[Path]
    """directory of the log's tables"""
    json: bool = False
    """print findings and quality as JSON"""


def run(args: Args) -> int:
    """Checks, prints, and returns 1 where there are errors."""
    import json

    from rich.console import Console

    from ingestion.check import findings
    from ingestion.quality import quality
    from ingestion.read import read_log
    from ingestion.rules import ERROR

    log = read_log(args.logs)
    found = findings(log)
    figures = quality(log, found)
    if args.json:
        said = [finding.to_mapping() for finding in found]
        print(json.dumps({"findings": said, "quality": figures.to_mapping()}, indent=1))
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=120)
        _show_findings(found, console)
        _show_quality(figures, console)
    return int(any(finding.severity == ERROR for finding in found))


def _show_findings(found: Sequence[Finding], console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    if not found:
        console.print("nothing wrong found")
        return
    table = Table()
    table.add_column("severity", no_wrap=True)
    table.add_column("where", overflow="fold")
    table.add_column("what is wrong")
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("first rows")
    table.add_column("what stands there", overflow="fold")
    for each in found:
        table.add_row(
            each.severity,
            each.table if each.column is None else f"{each.table}.{each.column}",
            each.says,
            f"{each.count:,}" if each.count else "",
            ", ".join(str(row) for row in each.rows),
            Text(", ".join(repr(value) for value in each.values)),
            style="red" if each.severity == "error" else "yellow",
        )
    console.print(table)


def _show_quality(figures: Quality, console: Console) -> None:
    sizes = ", ".join(f"{count:,} {name}" for name, count in figures.rows.items() if count)
    lines = [sizes or "no rows"]
    if figures.first is not None:
        lines.append(f"from {figures.first} to {figures.last}")
    if figures.send_share is not None:
        lines.append(
            f"{figures.sends:,} sends ({figures.send_share:.0%} of the decisions), "
            f"{figures.users:,} users with decisions"
        )
    if figures.rates:
        shares = ", ".join(f"{kind} {rate:.2%}" for kind, rate in figures.rates.items())
        lines.append(f"of the sends: {shares}")
    for command, says in (("fit", figures.fit), ("evaluate", figures.evaluate)):
        lines.append(f"good for `pushwise {command}`: {says if says == 'yes' else f'no, {says}'}")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
