"""The review queue of a log's copy: list, approve, reject, and who did it when and why.

Only approved copy is sent. A text that changes after it was approved goes back to draft. What the
rule packs find may be approved with --override and --why, unless its severity is block. Every step
stays in copy_review.parquet beside the log's tables. Examples:

    pushwise copy review shop
    pushwise copy review shop approve v1 v2 --who ann
    pushwise copy review shop approve v3 --who ann --override --why "stock is 3, see ticket 12"
    pushwise copy review shop reject v4 --who ann --why "too pushy"
    pushwise copy review shop history --json
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from generation.copy.review import Step, Waiting


@dataclass(frozen=True)
class Args:
    """What to do in which log."""

    logs: Positional[Path]
    """directory of the log's tables"""
    action: Positional[Literal["list", "approve", "reject", "history"]] = "list"
    """list the copy; approve or reject some; or history, every step so far"""
    variants: Positional[tuple[str, ...]] = ()
    """ids of variants; of list and history: only these"""
    who: str | None = None
    """name of the person who approves or rejects"""
    why: str = ""
    """the reason"""
    override: bool = False
    """approve against what moderation finds, where its severity is review"""
    status: tuple[Literal["draft", "approved", "rejected"], ...] = ()
    """list only copy of this status"""
    json: bool = False
    """print JSON"""


def run(args: Args) -> None:
    """Does it and prints."""
    import json

    import pandas as pd

    from generation.copy.review import review_of, with_status
    from mdp.errors import BadInput

    acts = args.action in ("approve", "reject")
    if acts and not (args.who or "").strip():
        raise BadInput(f"who {args.action}s? give --who NAME")
    now = pd.Timestamp.now("UTC").floor("us")
    with review_of(args.logs) as review:
        changed = review.void(now)
        if args.action == "approve":
            review.approve(args.variants, str(args.who), args.why, args.override, now)
        elif args.action == "reject":
            review.reject(args.variants, str(args.who), args.why, now)
        review.save()
        waiting = with_status(review.waiting(), args.status)
        steps = review.history
    if args.variants:
        waiting = [each for each in waiting if each.variant_id in args.variants]
        steps = [step for step in steps if step.variant_id in args.variants]
    if args.action == "history":
        rows = [{**asdict(step), "at": step.at.isoformat()} for step in steps]
        if args.json:
            print(json.dumps({"history": rows}, indent=1, ensure_ascii=False))
        else:
            _tell(steps)
    elif args.json:
        print(json.dumps(_values(waiting, changed), indent=1, ensure_ascii=False))
    else:
        _show(waiting, changed)


def _values(waiting: Sequence[Waiting], changed: Sequence[str]) -> dict[str, object]:
    return {
        "back_to_draft": list(changed),
        "variants": [
            {
                "variant_id": each.variant_id,
                "status": each.status,
                "title": each.title,
                "body": each.body,
                "approved_by_moderation": each.verdict.approved,
                "rules": [finding.to_mapping() for finding in each.verdict.findings],
                "provenance": each.provenance,
                "who": None if each.last is None else each.last.who,
                "when": None if each.last is None else each.last.at.isoformat(),
                "why": None if each.last is None else each.last.why,
            }
            for each in waiting
        ],
    }


def _show(waiting: Sequence[Waiting], changed: Sequence[str]) -> None:
    from collections import Counter

    console, table = _table("variant", "status", "title", "body", "moderation", "last step")
    for each in waiting:
        found = ", ".join(finding.rule for finding in each.verdict.findings)
        last = "" if each.last is None else f"{each.last.action} by {each.last.who}"
        style = {"approved": "green", "rejected": "red"}.get(each.status, "yellow")
        _row(table, each.variant_id, each.status, each.title, each.body, found, last, style=style)
    console.print(table)
    counts = Counter(each.status for each in waiting)
    console.print(", ".join(f"{count:,} {status}" for status, count in sorted(counts.items())))
    if changed:
        console.print(
            f"back to draft, for they read otherwise by now: {', '.join(changed)}", markup=False
        )


def _tell(steps: Sequence[Step]) -> None:
    console, table = _table("when", "variant", "action", "who", "why", "title", "body")
    for step in steps:
        action = f"{step.action} (override)" if step.override else step.action
        when = step.at.strftime("%Y-%m-%d %H:%M")
        _row(table, when, step.variant_id, action, step.who, step.why, step.title, step.body)
    console.print(table)


def _table(*columns: str) -> tuple[Console, Table]:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=140)
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return console, table


def _row(table: Table, *cells: str, style: str = "") -> None:
    from rich.text import Text

    table.add_row(*map(Text, cells), style=style)
