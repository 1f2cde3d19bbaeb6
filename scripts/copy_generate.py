"""Write draft copy for a log's items: a table of variants and a page of samples to read.

Every text is checked against what the log holds of its item (price, discount, stock, deadline,
rating, buyers, reviews, attributes); a style that the facts do not carry is left out. Drafts can't
be sent before they are approved. OUT gets variants.parquet and samples.html.

Example:

    pushwise copy generate shop --out drafts
    pushwise copy generate shop --out drafts --styles discount urgent --locales zh --each 3
    pushwise copy generate shop --out drafts --styles personal --readers cart likes
    pushwise copy generate shop --out drafts --items 0 --ray
    pushwise copy generate shop --out drafts --writer runs/writer
    pushwise copy generate shop --out drafts --writer http://localhost:8000/v1 --model NAME
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from mdp.errors import BadSetting

if TYPE_CHECKING:
    from generation.copy.facts import Facts


@dataclass(frozen=True)
class Args:
    """What to write about."""

    logs: Positional[Path]
    """directory of the log's tables"""
    out: Path
    """directory for the drafts; what was generated there before is replaced"""
    items: int = 100
    """how many items, those with the most buyers in the last 30 days first; 0: all"""
    styles: tuple[str, ...] = ("plain", "urgent", "warm", "discount", "social proof")
    """plain, urgent, warm, discount, "social proof", personal"""
    locales: tuple[str, ...] = ("en", "zh")
    """languages: en, zh"""
    readers: tuple[str, ...] = ("any",)
    """for whom: any, and for the style personal: view, cart, purchase, likes; also the segment"""
    each: int = 1
    """texts of each style, language and reader"""
    attributes: tuple[str, ...] | None = None
    """attributes that descriptions must name (default: all that the items have)"""
    at: str | None = None
    """what was known at this instant, ISO 8601 with offset (default: the end of the log)"""
    writer: str = "templates"
    """who writes: templates, a directory that `pushwise copy train` wrote, or the address of a
    language model that speaks OpenAI's chat completions, such as http://localhost:8000/v1; where
    its texts are refused, the templates write"""
    model: str = ""
    """the model's name at that address"""
    key_file: Path | None = None
    """file that holds the key of that address"""
    temperature: float = 0.8
    """how freely a network or a language model chooses its words; 0: always the likeliest"""
    seed: int = 0
    """seed of all that is drawn"""
    ray: bool = False
    """write on Ray, 50 items at a time: all cores of this machine, or the cluster that RAY_ADDRESS
    names; a model's endpoint must be within reach of each machine"""
    json: bool = False
    """print the counts as JSON"""


def run(args: Args) -> None:
    """Gathers facts, writes, checks, saves."""
    import json
    from contextlib import nullcontext

    import pandas as pd
    from rich.console import Console
    from rich.progress import Progress

    from generation.copy.gather import facts_of, verifier_for
    from generation.copy.generate import Order, generate
    from generation.copy.samples import page
    from generation.copy.writers import writer_of
    from generation.copy.writing import Checked
    from ingestion.read import load_checked
    from ingestion.spread import in_turn
    from mdp.errors import NotEnoughData
    from scripts.instants import instant
    from scripts.on_ray import on_ray

    _check(args)
    copywriter = writer_of(args.writer, args.model, args.key_file, args.temperature)
    at = None if args.at is None else pd.Timestamp(instant("--at", args.at), unit="us", tz="UTC")
    console = Console(stderr=True)
    with console.status("reading the log"):
        facts = facts_of(load_checked(args.logs), at)
    if not facts:
        raise NotEnoughData(f"{args.logs} has no items: there is nothing to write about")
    known = list(facts.values())
    _check_attributes(args.attributes, known)
    some = sorted(known, key=lambda one: -(one.buyers or 0))[: args.items or None]
    order = Order(args.styles, args.locales, args.readers, args.each, args.attributes, args.seed)
    parts = on_ray() if args.ray else nullcontext(in_turn)
    with Progress(console=console) as progress, parts as spread:
        task = progress.add_task("writing", total=len(some))
        writer = Checked(copywriter, verifier_for(known))
        made = generate(
            some, writer, order, lambda done: progress.update(task, completed=done), spread
        )
    args.out.mkdir(parents=True, exist_ok=True)
    made.variants.to_parquet(args.out / "variants.parquet", index=False)
    (args.out / "samples.html").write_text(page(made.variants, facts, args.seed), "utf-8")
    writers = made.variants["copywriter"].value_counts()
    counts = {
        "items": len(some),
        "copywriters": writers.to_dict(),
        "drafts": len(made.variants),
        "asked": made.asked,
        "not_carried_or_twice": made.not_carried,
        "refused_drafts": dict(made.refused),
        "nothing_may_be_said": made.nothing,
        "out": str(args.out),
    }
    if args.json:
        print(json.dumps(counts, indent=1, ensure_ascii=False))
        return
    print(
        f"{args.out}: {len(made.variants)} drafts of {len(some)} items, of {made.asked} asked for; "
        f"{made.not_carried} are in a style that the facts do not carry, or were there already"
    )
    if args.writer != "templates":
        print("written by " + ", ".join(f"{name}: {count}" for name, count in writers.items()))
    for rule, count in sorted(made.refused.items()):
        print(f"drafts that the verifier refused for {rule}, others took their place: {count}")
    if made.nothing:
        print(f"{made.nothing} texts could not be written: not even the title may be said")
    print(f"read {args.out / 'samples.html'} before approving any")


def _check_attributes(asked: tuple[str, ...] | None, known: Sequence[Facts]) -> None:
    there = sorted({name for one in known for name in one.attributes})
    for name in asked or ():
        if name not in there:
            raise BadSetting(
                f"--attributes has {name!r}; the log's items have {', '.join(there) or 'none'}"
            )


def _check(args: Args) -> None:
    from generation.copy.copywriter import STYLES
    from generation.copy.formatting import LOCALES
    from generation.copy.generate import READERS

    for option, given, known in (
        ("--styles", args.styles, STYLES),
        ("--locales", args.locales, LOCALES),
        ("--readers", args.readers, READERS),
    ):
        for name in given:
            if name not in known:
                raise BadSetting(f"{option} has {name!r}; it can be {', '.join(known)}")
    if "personal" in args.styles and set(args.readers) == {"any"}:
        raise BadSetting(
            "--styles has 'personal', which needs --readers view, cart, purchase or likes"
        )
    if set(args.readers) != {"any"} and "personal" not in args.styles:
        raise BadSetting("--readers other than any are for --styles personal")
    if args.out.exists() and not args.out.is_dir():
        raise BadSetting(f"--out {args.out} is a file; give a directory for the drafts")
    if args.out.resolve() == args.logs.resolve():
        raise BadSetting(f"--out {args.out} is the log itself, whose variants drafts would replace")
    for option, number, least in (("--each", args.each, 1), ("--items", args.items, 0)):
        if number < least:
            raise BadSetting(f"{option} is {number}; it must be at least {least}")
