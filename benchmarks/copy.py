"""What generated copy is worth: wrong facts, variety, and what the verifier finds.

    python -m benchmarks.copy --data ../shared/data --seed 0

Texts are written about the distinct titles of Online Retail II, which no template has seen, with
facts drawn by the seed. Whether a text is right is counted twice: by the verifier, and by comparing
strings alone. Then wrong facts are planted in right texts, one each, and counted as found or not.
False alarms are counted on the templates' own texts and on sentences that were written apart from
the rules (`benchmarks/copy_texts`), each true of an item that has every fact.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from benchmarks.copy_facts import AT, TEXTS, drawn_facts, mutations, strings_hold, titles
from generation.copy.copywriter import STYLES, Brief, Message, Reader
from generation.copy.facts import Aspect, Facts
from generation.copy.gather import verifier_for
from generation.copy.quality import phrasing, repeated_share, self_bleu, unique_share
from generation.copy.templates import Templates
from generation.copy.verify import Verifier
from generation.copy.writing import Checked

FILE = "online_retail_ii_2009_2010.parquet"


@dataclass(frozen=True)
class Args:
    """How much."""

    data: Path = Path("../shared/data")
    """directory of Online Retail II's Parquet file"""
    texts: int = 6000
    """texts, half in English and half in Chinese"""
    seed: int = 0
    """seed of facts, texts and planted errors"""
    planted: int = 300
    """errors of each kind to plant in each language, at most"""
    missed: int = 0
    """planted errors and false alarms to print"""


def main(args: Args) -> None:
    """Write, count, print."""
    names = titles(args.data / FILE)
    facts = drawn_facts(names, args.seed)
    verifier = verifier_for(facts)
    print(f"{len(names)} titles, {args.texts} texts, seed {args.seed}\n")
    kept = _written(facts, verifier, args)
    _planted(kept, names, verifier, args)
    _alarms(facts, verifier, args)


def _brief(facts: Facts, number: int, rng: np.random.Generator) -> Brief:
    """Every style and language in turn; readers by chance."""
    met = str(rng.choice(["", "view", "cart", "purchase"]))
    likes = (facts.category,) if rng.random() < 0.5 else ()
    return Brief(STYLES[number // 2 % len(STYLES)], ("en", "zh")[number % 2], Reader(likes, met))


def _written(
    facts: list[Facts], verifier: Verifier, args: Args
) -> list[tuple[Message, Facts, Reader]]:
    rng = np.random.default_rng(args.seed + 1)
    order = rng.permutation(args.texts) % len(facts)
    writer = Checked(Templates(), verifier)
    kept: list[tuple[Message, Facts, Reader]] = []
    counts: dict[str, dict[str, float]] = {"en": defaultdict(float), "zh": defaultdict(float)}
    bodies: dict[str, list[str]] = {"en": [], "zh": []}
    phrasings: dict[str, list[str]] = {"en": [], "zh": []}
    for number in range(args.texts):
        one = facts[order[number]]
        brief = _brief(one, number, rng)
        count = counts[brief.locale]
        written = writer.write(one, brief, rng)
        message = written.message
        count["texts"] += 1
        count["first drafts that the verifier passes"] += not written.refused
        draft = written.refused[0][0] if written.refused else message
        count["first drafts right by strings"] += draft is not None and strings_hold(draft, one)
        if message is None:
            count["no text"] += 1
            continue
        count["in the style asked for"] += message.style == brief.style
        wrong = not strings_hold(message, one)
        count["wrong by strings"] += wrong
        if wrong and args.missed:
            print(f"strings: {message.title} | {message.body} | {message.description}")
        bodies[brief.locale].append(f"{message.title}\n{message.body}")
        phrasings[brief.locale].append(phrasing(message, one))
        kept.append((message, one, brief.reader))
    _table(counts, bodies, phrasings, args)
    return kept


def _table(
    counts: dict[str, dict[str, float]],
    bodies: dict[str, list[str]],
    phrasings: dict[str, list[str]],
    args: Args,
) -> None:
    print("| after verifier and fallback | English | Chinese |\n|---|---|---|")
    shares = (
        "first drafts that the verifier passes",
        "first drafts right by strings",
        "in the style asked for",
    )
    for name in ("texts", *shares, "no text", "wrong by strings"):
        cells = [
            f"{counts[locale][name] / counts[locale]['texts']:.4f}"
            if name in shares
            else f"{counts[locale][name]:.0f}"
            for locale in ("en", "zh")
        ]
        print(f"| {name} | {cells[0]} | {cells[1]} |")
    for name, of in (
        ("unique phrasings", lambda where: unique_share(phrasings[where])),
        (
            "self-BLEU-4 of phrasings",
            lambda where: self_bleu(phrasings[where], np.random.default_rng(args.seed)),
        ),
        (
            "self-BLEU-4 of texts",
            lambda where: self_bleu(bodies[where], np.random.default_rng(args.seed)),
        ),
        ("repeated 3-grams", lambda where: repeated_share(bodies[where])),
    ):
        print(f"| {name} | {of('en'):.4f} | {of('zh'):.4f} |")


def _planted(
    kept: list[tuple[Message, Facts, Reader]],
    names: list[str],
    verifier: Verifier,
    args: Args,
) -> None:
    rng = np.random.default_rng(args.seed + 2)
    print("\n| planted | English | found | Chinese | found |\n|---|---|---|---|---|")
    total = [0, 0]
    for kind, mutate in mutations(names).items():
        cells = []
        for locale in ("en", "zh"):
            planted = found = 0
            for message, facts, reader in kept:
                if message.locale != locale or planted == args.planted:
                    continue
                wrong = mutate(message, facts, rng)
                if wrong is None or wrong == message:
                    continue
                planted += 1
                caught = bool(verifier.check(wrong, facts, reader))
                found += caught
                if not caught and args.missed and planted - found <= args.missed:
                    print(f"missed {kind}: {wrong.title} | {wrong.body} | {wrong.description}")
            total = [total[0] + planted, total[1] + found]
            cells += [str(planted), f"{found / planted:.4f}" if planted else "-"]
        print(f"| {kind} | {' | '.join(cells)} |")
    print(f"\n{total[1]} of {total[0]} planted errors found: {total[1] / total[0]:.4f}")


def _alarms(facts: list[Facts], verifier: Verifier, args: Args) -> None:
    """True sentences written apart from the rules, about items that have every fact."""
    from dataclasses import replace
    from datetime import timedelta

    print("\n| true sentences refused | sentences | items | refused |\n|---|---|---|---|")
    aspects = (Aspect("quality", 5, 0, "good quality", 0),)
    some = [
        replace(
            one,
            list_price=round((one.price or 1) * 1.4, 2),
            stock=4,
            available_until=AT + timedelta(9),
            rating=4.6,
            buyers=41,
            aspects=aspects,
        )
        for one in facts[:: max(len(facts) // 20, 1)]
    ]
    for locale in ("en", "zh"):
        lines = (TEXTS / f"true_{locale}.txt").read_text("utf-8").splitlines()
        refused: dict[str, set[str]] = defaultdict(set)
        count = 0
        for line in lines:
            for one in some:
                text = line.format(**one.slots(locale))
                found = list(verifier.check_text(text, one))
                count += bool(found)
                for finding in found:
                    refused[line].add(f"{finding.rule} {finding.words!r}")
        print(f"| {locale} | {len(lines)} | {len(some)} | {count / len(lines) / len(some):.4f} |")
        if args.missed:
            for line, why in refused.items():
                print(f"refused: {line}: {sorted(why)[:4]}")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
