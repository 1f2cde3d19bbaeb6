"""Train a network that writes push copy and item descriptions from a log's facts.

It learns from the shop's own approved variants and from the slot templates, put on the shop's
items; numbers and names it can only copy from an item's facts. Where the log has pushes that were
responded to, it also learns what people with which interests, and those like them, responded to.
A tenth of the items is kept aside to measure it. Example:

    pushwise copy train shop --out runs/writer
    pushwise copy train shop --out runs/writer --adversarial
    pushwise copy generate shop --out drafts --writer runs/writer
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional


@dataclass(frozen=True)
class Args:
    """Arguments of `pushwise copy train`."""

    logs: Positional[Path]
    """directory of the log's tables"""
    out: Path
    """directory for the network; one that is there is replaced"""
    steps: int = 800
    """batches of 48 texts to learn from"""
    adversarial: bool = False
    """add an adversarial phase, whose result is kept only where it is neither less right nor less
    varied"""
    seed: int = 0
    """seed of everything that is drawn"""
    json: bool = False
    """print the figures as JSON"""


def run(args: Args) -> None:
    """Trains, measures, saves, and says how good it is."""
    import json
    import sys

    from rich.console import Console
    from rich.progress import Progress

    from generation.copy.saved import WRITER, save_writer
    from generation.learning.adversarial import Phase
    from generation.learning.copy_log import pairs_of
    from generation.learning.copy_training import train_writer
    from generation.learning.copywriting import Settings
    from ingestion.read import load_checked
    from mdp.errors import BadSetting

    if args.steps < 1:
        raise BadSetting(f"--steps is {args.steps}; training needs at least 1 batch")
    WRITER.need_place(args.out)
    pairs, counts = pairs_of(load_checked(args.logs))
    phase = Phase(seed=args.seed) if args.adversarial else None
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bars = {name: progress.add_task(name, total=None) for name in ("learning", "adversarial")}
        trained = train_writer(
            pairs,
            Settings(steps=args.steps, seed=args.seed),
            phase,
            lambda name, done, of: progress.update(bars[name], completed=done, total=of),
            {"learned_from": counts, "command": " ".join(["pushwise", *sys.argv[1:]])},
        )
    save_writer(args.out, trained.saved)
    if args.json:
        print(json.dumps({"out": str(args.out), **_figures(trained.saved.manifest)}, indent=1))
    else:
        _say(args.out, trained.saved.manifest)


def _figures(manifest: Mapping[str, Any]) -> dict[str, Any]:
    names = ("learned_from", "parameters", "figures", "adversarial")
    return {name: manifest[name] for name in names if name in manifest}


def _say(out: Path, manifest: Mapping[str, Any]) -> None:
    counts = manifest["learned_from"]
    print(
        f"{out}: {manifest['parameters']:,} parameters; learned from {counts['items']:,} items, "
        f"{counts['variants']} of the shop's variants, the templates and "
        f"{counts['responses']:,} responses"
    )
    if counts["variants_left_out"]:
        print(
            f"  {counts['variants_left_out']} variants left out: not in English, or with numbers "
            "in their words"
        )
    for name, figures in manifest["figures"].items():
        print(
            f"  {'likeliest text' if name == 'likeliest' else f'temperature {name}'}: "
            f"{figures['slots_right']:.2%} of slots right on items kept aside, "
            f"{figures['refused']} of {figures['texts']} texts to refuse, "
            f"{figures['unique_phrasings']:.1%} unique phrasings"
        )
    if "adversarial" in manifest:
        tried = manifest["adversarial"]
        print(
            f"  adversarial phase {'kept' if tried['kept'] else 'not kept'}: slots right "
            f"{tried['before']['slots_right']:.2%} before, {tried['after']['slots_right']:.2%} "
            f"after; unique phrasings {tried['before']['unique_phrasings']:.1%} before, "
            f"{tried['after']['unique_phrasings']:.1%} after"
        )
