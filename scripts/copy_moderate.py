"""Judge copy by the rule packs: one text a line.

The packs hold absolute terms of China's Advertising Law, scarcity and discounts without evidence,
profanity, personal data, discrimination, and medical and financial promises, in English and
Chinese; spaces, look-alike letters, pinyin and other disguises hide nothing. What no rule names but
reads like a violation is found by a classifier, for review. Examples:

    pushwise copy moderate texts.txt
    pushwise copy moderate texts.txt --json --gate
    pushwise copy moderate texts.txt --evidence scarcity deadline
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

if TYPE_CHECKING:
    from generation.copy.moderation import Verdict

REFUSED = 3


@dataclass(frozen=True)
class Args:
    """What to judge."""

    file: Positional[Path]
    """the texts, UTF-8, one a line"""
    json: bool = False
    """print JSON"""
    gate: bool = False
    """exit 3 where a text is not approved"""
    evidence: tuple[str, ...] = ()
    """claims that are proven: scarcity, deadline, discount, superlative"""
    packs: Path | None = None
    """directory of the rule packs (default: those that come with pushwise)"""


def run(args: Args) -> int:
    """Judges and prints."""
    import json

    from generation.copy.moderation import CLAIMS, Moderator
    from mdp.errors import BadInput

    for claim in args.evidence:
        if claim not in CLAIMS:
            raise BadInput(f"--evidence is {claim!r}; use {', '.join(CLAIMS)}")
    if args.packs is not None and not args.packs.is_dir():
        raise BadInput(f"--packs {args.packs} is not a directory: give one of rule packs")
    if args.file.is_dir():
        raise BadInput(f"{args.file} is a directory: give a file with one text a line")
    lines = args.file.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    if not lines:
        raise BadInput(f"{args.file} is empty: write one text a line")
    moderator = Moderator.standard() if args.packs is None else Moderator.of(args.packs)
    verdicts = [moderator.moderate(line, args.evidence) for line in lines]
    if args.json:
        results = [verdict.to_mapping() for verdict in verdicts]
        print(json.dumps({"results": results}, indent=1, ensure_ascii=False))
    else:
        _show(verdicts)
    refused = any(not verdict.approved for verdict in verdicts)
    return REFUSED if args.gate and refused else 0


def _show(verdicts: Sequence[Verdict]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=140)
    table = Table()
    table.add_column("line", justify="right")
    table.add_column("text", overflow="fold", ratio=3)
    table.add_column("verdict", no_wrap=True)
    table.add_column("rule", no_wrap=True)
    table.add_column("found", overflow="fold", ratio=1)
    table.add_column("what is wrong", overflow="fold", ratio=2)
    for number, verdict in enumerate(verdicts, 1):
        whole = "approved" if verdict.approved else "blocked" if verdict.blocked else "for review"
        style = {"approved": "green", "blocked": "red", "for review": "yellow"}[whole]
        rows = [(each.rule, each.found, each.says) for each in verdict.findings] or [("", "", "")]
        for place, cells in enumerate(rows):
            first = ("", "", "") if place else (str(number), verdict.text, whole)
            table.add_row(*map(Text, first), *map(Text, cells), style=style)
    console.print(table)
    count = sum(verdict.approved for verdict in verdicts)
    console.print(f"{count:,} of {len(verdicts):,} texts approved", markup=False)
