"""Trains the classifiers of `generation.copy.classifier` on texts that were written for it.

    python -m generation.learning.moderation

reads `moderation_texts/*_{en,zh}.tsv` beside this file (a kind of violation or `innocent`, a tab,
a text), writes `classifier_{en,zh}.safetensors` among the rule packs, and prints how texts are
judged by a classifier that was trained on the others. What rules and classifier find together is
measured by `benchmarks.moderation`, on texts of other writers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from generation.copy.classifier import KINDS, LIFTED, Classifier, features
from generation.copy.copywriter import STYLES, Brief, Reader
from generation.copy.facts import Aspect, Facts
from generation.copy.normalise import fold
from generation.copy.packs import PACKS
from generation.copy.templates import Templates

TEXTS = Path(__file__).parent / "moderation_texts"
LANGUAGES = ("en", "zh")
INNOCENT = "innocent"
C = 30.0
"""Inverse strength of the L2 penalty."""
LEAST = 2
"""Texts that a feature must be in."""
_ATTRIBUTES = {"size": "30 x 40 cm", "weight": "1.2 kg", "colour": "green", "pieces": "12"}
_ASPECTS = ("quality", "look", "size", "price", "packaging")
WRITTEN = 1000
"""Items that the templates write of."""
FOLDS = 5
"""Parts of the texts, of which one at a time is held out."""
THRESHOLD = 0.65
"""Probability of a violation from which on a text is suspect."""


@dataclass(frozen=True)
class Text:
    """A text, and what it is."""

    kind: str
    """one of `KINDS`, or innocent"""
    plain: str
    """folded"""


def read_texts(language: str, directory: Path = TEXTS) -> dict[str, list[Text]]:
    """File → its texts."""
    out: dict[str, list[Text]] = {}
    for file in sorted(directory.glob(f"*_{language}.tsv")):
        lines = (line.split("\t") for line in file.read_text("utf-8").splitlines())
        out[file.stem] = [Text(kind, fold(text)[0]) for kind, text in lines]
    return out


def written_texts(language: str, directory: Path = TEXTS) -> list[Text]:
    """What the templates write of the titles among the texts, with facts drawn by chance, where it
    makes no claim that needs evidence."""
    rng = np.random.default_rng(0)
    titles = (directory / f"titles_{language}.tsv").read_text("utf-8").splitlines()
    writer, out = Templates(), []
    for number in range(WRITTEN):
        facts = _facts(titles[number % len(titles)].split("\t")[1], rng)
        met = str(rng.choice(["", "view", "cart", "purchase"]))
        reader = Reader((facts.category,) if facts.category else (), met)
        brief = Brief(STYLES[number % len(STYLES)], language, reader)
        message = writer.write(facts, brief, rng)
        if not LIFTED.keys() & set(message.claims):
            parts = (f"{message.title}\n{message.body}", message.description)
            out += [Text(INNOCENT, fold(part)[0]) for part in parts]
    return out


def _facts(title: str, rng: np.random.Generator) -> Facts:
    price = round(float(np.exp(rng.normal(2.0, 1.0))) + 0.2, 2)
    there = rng.random(8) < 0.4
    return Facts(
        "i",
        title,
        brand="Larch" if there[0] else "",
        category=title.split()[-1].lower() if there[1] else "",
        price=price,
        list_price=round(price * 1.4, 2) if there[2] else None,
        currency="GBP",
        stock=int(rng.integers(1, 9)) if there[3] else None,
        rating=round(float(rng.uniform(3, 5)), 1) if there[4] else None,
        buyers=int(rng.integers(20, 99)) if there[5] else None,
        new=bool(there[6]),
        attributes={name: value for name, value in _ATTRIBUTES.items() if rng.random() < 0.3},
        aspects=(Aspect(str(rng.choice(_ASPECTS)), 3, 0, "good"),) if there[7] else (),
    )


def trained(texts: Sequence[Text], language: str, version: str) -> Classifier:
    """Multinomial logistic regression; a text's features share a length of one."""
    found = [set(features(text.plain, language)) for text in texts]
    counts = Counter(name for each in found for name in each)
    names = sorted(name for name, count in counts.items() if count >= LEAST)
    kinds = (*KINDS, INNOCENT)
    model = LogisticRegression(C=C, max_iter=2000)
    model.fit(_design(found, names), [kinds.index(text.kind) for text in texts])
    return Classifier(
        language, version, names, model.coef_.T, np.asarray(model.intercept_), THRESHOLD
    )


def _design(found: Sequence[Collection[str]], names: Sequence[str]) -> csr_matrix:
    """(texts, features)."""
    row = {name: number for number, name in enumerate(names)}
    known = [[row[name] for name in each if name in row] for each in found]
    ends = np.cumsum([0, *map(len, known)])
    values = np.concatenate(
        [np.full(len(rows), len(each) ** -0.5) for rows, each in zip(known, found, strict=True)]
    )
    columns = np.concatenate([np.array(each, np.int64) for each in known])
    return csr_matrix((values, columns, ends), (len(found), len(names)))


def held_out(
    texts: dict[str, list[Text]], written: Sequence[Text], language: str
) -> Iterator[tuple[str, str, int, int]]:
    """File, kind, texts that a classifier suspects that was trained on the others, a fifth held
    out at a time, and how many there are. written: what it learns from in any case."""
    places = [(file, text) for file, part in texts.items() for text in part]
    counts: dict[tuple[str, str], list[int]] = {}
    for part_of in range(FOLDS):
        rest = [text for n, (_, text) in enumerate(places) if n % FOLDS != part_of]
        classifier = trained([*rest, *written], language, "")
        for file, text in places[part_of::FOLDS]:
            count = counts.setdefault((file, text.kind), [0, 0])
            count[0] += classifier.suspicion(text.plain) is not None
            count[1] += 1
    for (file, kind), (suspected, size) in sorted(counts.items()):
        yield file, kind, suspected, size


def main() -> None:
    """Train, write, print."""
    print("| texts | kind | suspected | of |\n|---|---|---|---|")
    for language in LANGUAGES:
        texts, written = read_texts(language), written_texts(language)
        for held, kind, suspected, size in held_out(texts, written, language):
            print(f"| {held} | {kind} | {suspected} | {size} |")
        whole = [text for part in texts.values() for text in part]
        classifier = trained([*whole, *written], language, date.today().isoformat())
        classifier.saved(PACKS / f"classifier_{language}.safetensors")


if __name__ == "__main__":
    main()
