"""How much moderation finds, in what disguise, what it refuses wrongly, and how fast it is.

    python -m benchmarks.moderation --titles online_retail_ii.parquet

Sentences are in `benchmarks/moderation_texts`: `held_out_*` were written before any word list,
`later_*`, `last_*` and `fresh_*` once there were lists, to see what they lacked, and `unseen_*` to
see what they lack now. `{…}` marks what a sentence breaks a rule with; an evasion changes that and
nothing else. `strangers_*` were written, evasions included, without sight of the rules,
and `author_*` by the rules' own author against them. From `first_sight_*`, by four others, nothing
was learned but some exemptions: how well they are found is how well texts of others are. The
classifier learned from none of these files. A violation counts as found where the text is
not approved.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import tyro

from benchmarks.evasions import Evasion, evasions
from generation.copy.moderation import Moderator
from generation.copy.packs import Rule, read_packs

TEXTS = Path(__file__).parent / "moderation_texts"
_MARKED = re.compile(r"\{([^}]*)\}")
BATCHES = ("held_out", "later", "last", "fresh", "unseen")
AS_WRITTEN = ("strangers", "author", "first_sight")
"""Batches whose evasions are the writers' own: kind, evasion (- for none) and text."""
LANGUAGES = ("zh", "en")


@dataclass(frozen=True)
class Args:
    """What to measure on."""

    titles: Path | None = None
    """a Parquet file with the column Description: innocent titles"""
    seed: int = 0
    """seed of the evasions"""
    terms: int = 5_000
    """terms of the matcher whose speed is measured"""
    missed: bool = False
    """print every violation that was not found"""


@dataclass(frozen=True)
class Planted:
    """A violation, perhaps in disguise."""

    language: str
    batch: str
    kind: str
    evasion: str
    text: str


def planted(seed: int) -> list[Planted]:
    """Every sentence as it is, and once in every evasion that changes it."""
    rng = np.random.default_rng(seed)
    out = []
    for language in LANGUAGES:
        for batch in BATCHES:
            lines = (TEXTS / f"{batch}_{language}.tsv").read_text("utf-8").splitlines()
            for kind, text in (line.split("\t") for line in lines):
                plain = _MARKED.sub(r"\1", text)
                out.append(Planted(language, batch, kind, "none", plain))
                for name, evade in evasions(kind, language).items():
                    hidden = _MARKED.sub(partial(_evaded, evade, rng), text)
                    if hidden != plain:
                        out.append(Planted(language, batch, kind, name, hidden))
        for batch in AS_WRITTEN:
            for line in (TEXTS / f"{batch}_{language}.tsv").read_text("utf-8").splitlines():
                kind, evasion, text = line.split("\t")
                name = "none" if evasion == "-" else f"by hand: {evasion}"
                out.append(Planted(language, batch, kind, name, text))
    return out


def _evaded(evade: Evasion, rng: np.random.Generator, marked: re.Match[str]) -> str:
    return evade(marked[1], rng)


def innocent() -> dict[tuple[str, str], list[str]]:
    """Batch and language → sentences that break no rule."""
    return {
        (batch, language): (TEXTS / f"{batch}_innocent_{language}.txt")
        .read_text("utf-8")
        .splitlines()
        for batch in (*BATCHES, *AS_WRITTEN)
        for language in LANGUAGES
    }


def main(args: Args) -> None:
    """Measure and print."""
    moderator = Moderator.standard()
    texts = planted(args.seed)
    found = [not moderator.moderate(each.text).approved for each in texts]
    _show_recall(texts, found)
    if args.missed:
        for each, hit in zip(texts, found, strict=True):
            if not hit:
                print(f"missed {each.language} {each.kind} ({each.evasion}): {each.text}")
    _show_false_alarms(moderator, args.titles)
    _show_speed([each.text for each in texts], args.terms, args.seed)


def _show_recall(texts: Sequence[Planted], found: Sequence[bool]) -> None:
    for title, key in (
        (
            "sentences",
            lambda each: (each.batch, "as written" if each.evasion == "none" else "evaded"),
        ),
        ("kind", lambda each: (each.kind,)),
        ("evasion", lambda each: (each.evasion,)),
        ("all", lambda each: ("all",)),
    ):
        counts: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0])
        for each, hit in zip(texts, found, strict=True):
            counts[each.language, *key(each)][0] += hit
            counts[each.language, *key(each)][1] += 1
        print(f"\n| language | {title} | found | of | recall |\n|---|---|---|---|---|")
        for (language, *names), (hits, size) in sorted(counts.items()):
            print(f"| {language} | {', '.join(names)} | {hits} | {size} | {hits / size:.3f} |")


def _show_false_alarms(moderator: Moderator, titles: Path | None) -> None:
    sets = {
        f"{batch} sentences, {language}": lines for (batch, language), lines in innocent().items()
    }
    if titles is not None:
        import pandas as pd

        column = pd.read_parquet(titles, columns=["Description"])["Description"].dropna()
        sets["titles of Online Retail II"] = sorted(set(column.str.strip()))
    print("\n| innocent | refused | of |\n|---|---|---|")
    wrong = {name: [moderator.moderate(text) for text in lines] for name, lines in sets.items()}
    for name, verdicts in wrong.items():
        print(f"| {name} | {sum(not each.approved for each in verdicts)} | {len(verdicts)} |")
    for verdicts in wrong.values():
        for verdict in verdicts:
            for finding in verdict.findings[:1]:
                print(f"refused: {verdict.text} ({finding.rule}: {finding.found})")


def _show_speed(texts: Sequence[str], terms: int, seed: int) -> None:
    """Texts a second of processor time, made-up terms beside the packs'."""
    rng = np.random.default_rng(seed)
    packs = read_packs()
    have = sum(len(rule.terms) for rule in packs.rules)
    made = {
        "".join(chr(c) for c in rng.integers(0x4E00, 0x9FA5, 4)) for _ in range((terms - have) // 2)
    } | {
        "".join(chr(c) for c in rng.integers(97, 123, 8)) for _ in range(max(terms - have, 0) // 2)
    }
    rule = Rule("made.up", "zh", "review", "", "", "", tuple(sorted(made)))
    began = time.process_time()
    moderator = Moderator(replace(packs, rules=(*packs.rules, rule)))
    moderator.moderate("compiled at the first text")
    built = time.process_time() - began
    clean = [line for lines in innocent().values() for line in lines]
    print(
        "\n| texts | letters each | terms | texts a second of processor time |\n|---|---|---|---|"
    )
    for name, lines in (("innocent", clean), ("planted", list(texts))):
        best = np.inf
        for _ in range(3):
            began = time.process_time()
            for line in lines:
                moderator.moderate(line)
            best = min(best, time.process_time() - began)
        letters = np.mean([len(line) for line in lines])
        print(f"| {name} | {letters:.0f} | {have + len(made):,} | {len(lines) / best:,.0f} |")
    print(f"\nbuilt in {built:.2f} s")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
