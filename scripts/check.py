"""Check a log: what is wrong in it, and what it is good for.

The first sentence says whether the log is fit for fitting, evaluating, both or neither; then come
what is wrong, and scores. --report writes an HTML page with pictures; --against compares the scores
with another log's. A log of more than a million rows is worked on in parts by user, so that it need
not fit into memory; the pictures are then of one part. Exits 1 where there are errors. Rows are
counted from 0. Examples:

    pushwise check shop
    pushwise check shop --report quality --against last-months-shop
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

    from ingestion.by_parts import Checked
    from ingestion.check import Finding
    from ingestion.quality import Quality


@dataclass(frozen=True)
class Args:
    """What to check."""

    logs: Positional[Path]
    """directory of the log's tables"""
    json: bool = False
    """print findings, quality and scores as JSON"""
    report: Path | None = None
    """directory for report.html, report.json and pictures"""
    against: Path | None = None
    """another log, whose scores are the ones before"""
    ray: bool = False
    """work on parts of the log on the Ray cluster that RAY_ADDRESS names, or on all cores of this
    machine"""


def run(args: Args) -> int:
    """Checks, prints, and returns 1 where there are errors."""
    import json

    from rich.console import Console

    from ingestion.report import report_values, write_report
    from ingestion.rules import ERROR
    from ingestion.scores import overall, verdict

    checked = _checked(args.logs, args.ray)
    found, figures, scored, before = checked.findings, checked.quality, checked.scores, None
    if args.against is not None:
        before = overall(_checked(args.against, args.ray).scores)
    if args.report is not None:
        write_report(args.report, checked.sample, found, figures, scored, before)
    if args.json:
        print(json.dumps(report_values(found, figures, scored, before), indent=1))
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=120)
        console.print(verdict(figures), markup=False, soft_wrap=True, style="bold")
        _show_findings(found, console)
        _show_quality(figures, console)
        _show_scores(overall(scored), before, console)
        if args.report is not None:
            console.print(f"report: {args.report / 'report.html'}", markup=False, soft_wrap=True)
    return int(any(finding.severity == ERROR for finding in found))


def _checked(logs: Path, ray: bool) -> Checked:
    from contextlib import nullcontext

    from ingestion.by_parts import check_log
    from ingestion.parts import log_batches
    from ingestion.read import read_meta
    from ingestion.spread import in_turn
    from scripts.on_ray import on_ray
    from scripts.parts import parts_of, progress

    parts = parts_of(logs)
    bar, report = progress(parts)
    place = on_ray() if ray else nullcontext(in_turn)
    with bar, place as spread:
        return check_log(log_batches(logs), read_meta(logs), parts, spread, report)


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
    lines = [figures.sizes or "no rows"]
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
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _show_scores(
    scored: dict[str, float], before: dict[str, float] | None, console: Console
) -> None:
    said = []
    for name, share in scored.items():
        # Rounded down: 100 % only where nothing is wrong.
        text = f"{name} {int(share * 10_000) / 100:g} %"
        if before is not None and name in before:
            text += f" ({100 * (share - before[name]):+.2f} points)"
        said.append(text)
    if said:
        console.print(", ".join(said), markup=False, soft_wrap=True)
