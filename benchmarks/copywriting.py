"""Copywriters side by side: slot templates, the network, the network after an adversarial phase.

    python -m benchmarks.copywriting ../shared/data/online_retail_ii_2009_2010.parquet --seed 0
    python -m benchmarks.copywriting world --seeds 3

The first trains on nine tenths of Online Retail II's distinct titles and writes about the rest;
brands, attributes, prices, discounts, stock and so on are drawn by the seed. The second asks in
made-up shops, whose truth is known, what it adds to know the reader's interest and what similar
users responded to.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import tyro
from tyro.conf import Positional

from benchmarks.copy_world import world
from generation.copy.copywriter import Brief, Copywriter, Message
from generation.copy.facts import Facts
from generation.copy.gather import verifier_for
from generation.copy.measured import Request, measured
from generation.copy.network_writer import NetworkWriter
from generation.copy.quality import phrasing, repeated_share, self_bleu, unique_share
from generation.copy.saved import SavedWriter, save_writer
from generation.copy.seq2seq import Seq2Seq
from generation.copy.templates import Templates
from generation.copy.verify import Verifier
from generation.copy.writing import Checked
from generation.learning.adversarial import Phase, adversarial
from generation.learning.copy_pairs import Pairs
from generation.learning.copy_training import loses, requests_on, split
from generation.learning.copywriting import Settings, train
from ingestion.online_retail import categories

BRANDS = ("Fern & Co", "Larch", "Green Acre", "Lumen Works", "Penfold", "Ondine", "Hearth", "")
ATTRIBUTES = {
    "colour": ("red", "dark blue", "ivory", "green", "amber"),
    "material": ("glass", "cotton", "oiled oak", "zinc"),
    "size": ("20 x 30 cm", "45 cm", "8 x 8 x 12 cm", "1.5 m"),
    "pieces": ("2", "4", "6", "12"),
}


@dataclass(frozen=True)
class Args:
    """What to measure."""

    data: Positional[str]
    """the Parquet file of Online Retail II, or `world`"""
    texts: int = 5000
    """pushes, each with a description, of each copywriter"""
    steps: int = 800
    """batches of the training"""
    rounds: int = 40
    """rounds of the adversarial phase; 0: none"""
    seed: int = 0
    seeds: int = 3
    """made-up shops of each kind"""
    users: int = 3000
    """users of a made-up shop"""
    out: Path | None = None
    """where to save the network"""
    samples: int = 0
    """texts to print"""


def items_of(path: Path, seed: int) -> list[Facts]:
    """Every distinct title that names a thing, as an item."""
    raw = pd.read_parquet(path, columns=["Description"])["Description"].dropna()
    text = raw.str.split().str.join(" ")
    fits = text.str.fullmatch(r"[A-Z0-9][A-Z0-9 ,./&'+\"()*-]{5,}") & (text.str.count(" ") < 9)
    titles = pd.Series(sorted(text[fits].unique())).str.capitalize()
    rng = np.random.default_rng([seed, 4])
    return [
        Facts(
            f"i{n}",
            title,
            str(rng.choice(BRANDS)),
            category,
            currency="GBP",
            attributes={
                name: str(rng.choice(values))
                for name, values in ATTRIBUTES.items()
                if rng.random() < 0.5
            },
        )
        for n, (title, category) in enumerate(zip(titles, categories(titles), strict=True))
    ]


def row(
    name: str, writer: Copywriter, requests: Sequence[Request], verifier: Verifier, seed: int
) -> dict[str, object]:
    """One line of the table: as written, and as it may leave."""
    rng = np.random.default_rng([seed, 5])
    begun = time.process_time()
    if isinstance(writer, NetworkWriter):
        drafts = writer.write_many(requests, rng)
    else:
        drafts = [writer.write(facts, brief, rng) for facts, brief in requests]
    seconds = time.process_time() - begun
    checked, final, refused = Checked(writer, verifier), [], 0
    for (facts, brief), draft in zip(requests, drafts, strict=True):
        sound = not verifier.check(draft, facts, brief.reader)
        refused += not sound
        message = draft if sound else checked.write(facts, brief, rng).message
        if message is not None:
            final.append((message, facts, brief))
    phrasings = [phrasing(message, facts) for message, facts, _ in final]
    figures: dict[str, object] = {"copywriter": name}
    if isinstance(writer, NetworkWriter):
        raw = measured(writer, requests[:2000], verifier, seed)
        figures["slots right"] = f"{raw.slots_right:.4f}"
    else:
        figures["slots right"] = "1.0000"
    return figures | {
        "refused": f"{refused / len(requests):.2%}",
        "wrong": sum(wrong(*each) for each in final),
        "unique": f"{unique_share(phrasings):.4f}",
        "self-BLEU-4": f"{_likeness(phrasings, seed):.4f}",
        "repeated 3-grams": f"{repeated_share(phrasings):.3%}",
        "CPU s per 1,000": f"{1000 * seconds / len(requests):.1f}",
    }


def _likeness(phrasings: Sequence[str], seed: int) -> float:
    """Mean self-BLEU-4 of six draws of 500 texts, of which one alone is off by 0.005."""
    draws = [np.random.default_rng([seed, 6, n]) for n in range(6)]
    return float(np.mean([self_bleu(phrasings, rng) for rng in draws]))


def wrong(message: Message, facts: Facts, brief: Brief) -> bool:
    """Whether a text has a number that neither a fact nor the title of what the reader met has, or
    lacks the title: a second reading, with no code of the verifier's."""
    text = f"{message.title}\n{message.body}\n{message.description}"
    if facts.title not in text:
        return True
    known = [
        *facts.slots("en").values(),
        *facts.attributes.values(),
        facts.title,
        brief.reader.similar,
        "5",
    ]
    pattern = "|".join(
        re.escape(value) for value in sorted(filter(None, known), key=len, reverse=True)
    )
    left = re.sub(rf"(?<![\d.])(?:{pattern})(?!\d)", " ", text)
    return bool(re.search(r"\d", left))


def main(args: Args) -> None:
    """Measures and prints."""
    if args.data == "world":
        world(args.seed, args.seeds, args.users)
        return
    items = items_of(Path(args.data), args.seed)
    known, aside = split(items, args.seed)
    pairs, verifier = Pairs(known), verifier_for(items)
    requests = requests_on(aside, args.texts, args.seed)
    print(f"{len(known)} titles to learn from, {len(aside)} kept aside, {len(requests)} requests")
    begun = time.process_time()
    vocabulary = pairs.vocabulary(np.random.default_rng([args.seed, 1]))
    settings = Settings(steps=args.steps, seed=args.seed)
    net = train(vocabulary, pairs.draw, settings, _told)
    print(f"{net.size:,} parameters, trained in {time.process_time() - begun:.0f} CPU seconds")
    network = net.arrays()
    if args.out is not None:
        save_writer(args.out, SavedWriter(network, {"seed": args.seed}))
    writers: dict[str, Copywriter] = {"slot templates": Templates(), **_two("seq2seq", network)}
    if args.rounds:
        begun = time.process_time()
        phase = Phase(rounds=args.rounds, seed=args.seed)
        after = adversarial(net, pairs.draw, phase, _told)
        print(f"adversarial phase: {time.process_time() - begun:.0f} CPU seconds")
        writers |= _two("after the adversarial phase", after.arrays())
        some = requests[:400]
        then, now = (
            (
                measured(NetworkWriter(each, 0.0), some, verifier, args.seed),
                measured(NetworkWriter(each), some, verifier, args.seed),
            )
            for each in (network, after.arrays())
        )
        print(f"the gate {'refuses' if loses(then, now) else 'keeps'} it")
    rows = [row(name, each, requests, verifier, args.seed) for name, each in writers.items()]
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for each in rows:
        print("| " + " | ".join(str(value) for value in each.values()) + " |")
    drafts = NetworkWriter(network).write_many(
        requests[: args.samples], np.random.default_rng([args.seed, 6])
    )
    for draft in drafts:
        print(f"{draft.style}: {draft.title} ⏎ {draft.body} ⏎ {draft.description}")


def _two(name: str, network: Seq2Seq) -> dict[str, Copywriter]:
    free = NetworkWriter(network)
    return {
        f"{name}, likeliest": replace(free, temperature=0.0),
        f"{name}, 0.7": replace(free, temperature=0.7),
        f"{name}, {free.temperature}": free,
    }


def _told(done: int, of: int, figure: float) -> None:
    if done % 25 == 0 or done == of:
        print(f"  {done}/{of}: {figure:.3f}", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
