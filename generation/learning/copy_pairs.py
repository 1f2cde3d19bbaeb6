"""What the copywriting network learns from: texts of the shop and of the templates, on its items.

The templates write about a stand-in item whose every fact is a word of its own, so each slot is
found for certain; then a real item with the same kinds of facts takes its place. What it costs,
how many are left and so on is drawn anew each time, so that no number can be learned by heart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from generation.copy.aspects import lexicon
from generation.copy.conditions import DESCRIPTION, PUSH, sayable, values_of
from generation.copy.copywriter import STYLES, Brief, Reader
from generation.copy.facts import Aspect, Facts
from generation.copy.source import BREAK, Source, draft_of, placed, skeleton_of
from generation.copy.templates import Templates, carried_style
from generation.copy.verify import Verifier
from generation.learning.copywriting import Pair, vocabulary_of
from mdp.errors import NotEnoughData

ASPECTS = tuple(name for name in lexicon("en").labels if sayable(name))
MISSING = 0.3
"""Share of the pairs in which the reader's interest, or what people alike responded to, is left
out."""
_VARIANT_SLOTS = {name: f"{{{name}}}" for name in ("item", "price", "brand", "category")}
_DAYS = datetime(2030, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Example:
    """One of the shop's own texts."""

    skeleton: tuple[str, ...]
    """title, break, body, with `{slot}`s"""
    style: str
    """as the shop calls it"""
    reader: Reader = field(default_factory=Reader)
    """what was known of somebody who responded to it"""


def example_of(title: str, body: str, style: str, reader: Reader | None = None) -> Example | None:
    """A variant of the log as an example; None where it holds a number or an unknown slot."""
    skeleton = skeleton_of(f"{title}{BREAK}{body}", _VARIANT_SLOTS)
    if skeleton is None or "{" in skeleton:
        return None
    return Example(tuple(skeleton), style, reader or Reader())


@dataclass(frozen=True)
class Pairs:
    """Draws pairs of source and text."""

    items: Sequence[Facts]
    """the shop's items"""
    own: Sequence[Example] = ()
    """the shop's own texts"""
    share: float = 0.15
    """of the shop's own texts among all, where there are any"""
    descriptions: float = 0.25
    """share of descriptions among the templates' texts"""
    templates: Templates = field(default_factory=Templates)

    def __post_init__(self) -> None:
        if not any(item.title.strip() for item in self.items):
            raise NotEnoughData("there is no item with a title to write about")

    def draw(self, rng: np.random.Generator, size: int) -> list[Pair]:
        """That many pairs."""
        pairs: list[Pair] = []
        while len(pairs) < size:
            own = bool(self.own) and rng.random() < self.share
            pair = self._of_own(rng) if own else self._of_templates(rng)
            if pair is not None:
                pairs.append(pair)
        return pairs

    def vocabulary(self, rng: np.random.Generator, size: int = 4000) -> tuple[str, ...]:
        """All words of that many of the templates' texts, and of all the shop's own."""
        texts = [example.skeleton for example in self.own]
        for _ in range(size):
            item = augmented(self._item(rng), rng)
            skeleton = self._skeleton(item, *self._asked(rng), rng)
            texts.append(tuple(skeleton or ()))
        return vocabulary_of(texts)

    def _item(self, rng: np.random.Generator) -> Facts:
        return self.items[int(rng.integers(len(self.items)))]

    def _asked(self, rng: np.random.Generator) -> tuple[str, str]:
        part = DESCRIPTION if rng.random() < self.descriptions else PUSH
        return STYLES[int(rng.integers(len(STYLES)))], part

    def _of_own(self, rng: np.random.Generator) -> Pair | None:
        example = self.own[int(rng.integers(len(self.own)))]
        item = augmented(self._item(rng), rng)
        # Each condition is missing at times, so that a text can be written without it.
        reader = example.reader
        if rng.random() < MISSING:
            reader = replace(reader, likes=())
        if rng.random() < MISSING:
            reader = replace(reader, responds=())
        source = Source.of(values_of(item, Brief(example.style, reader=reader), PUSH, rng))
        try:
            pieces = placed(example.skeleton, source)
        except KeyError:
            return None
        # A shop's text that says "only a few left" teaches nothing on an item with plenty.
        text = draft_of(pieces, source).text
        sound = not any(_VERIFIER.check_text(text, item, reader))
        return (source, pieces) if sound else None

    def _of_templates(self, rng: np.random.Generator) -> Pair | None:
        item = augmented(self._item(rng), rng)
        style, part = self._asked(rng)
        reader = some_reader(item, self.items, rng)
        # One attribute and one aspect, so that what the templates choose is what is told.
        told = Brief(style, reader=reader)
        told = replace(told, style=carried_style(item, told))
        values = values_of(item, told, part, rng)
        skeleton = self._skeleton(item, style, part, rng, reader, values)
        source = Source.of(values)
        try:
            return None if skeleton is None else (source, placed(skeleton, source))
        except KeyError:
            return None

    def _skeleton(
        self,
        item: Facts,
        style: str,
        part: str,
        rng: np.random.Generator,
        reader: Reader | None = None,
        values: Mapping[str, str] | None = None,
    ) -> list[str] | None:
        reader = some_reader(item, self.items, rng) if reader is None else reader
        values = values_of(item, Brief(style, reader=reader), part) if values is None else values
        stand_in = _stand_in(item, values)
        about = Reader(
            (stand_in.category,) if item.category in reader.likes else (),
            reader.met,
            "Zqsimilar" if reader.similar else "",
        )
        told = Brief(style, reader=about)
        message = self.templates.write(stand_in, told, rng)
        text = message.description if part == DESCRIPTION else message.title + BREAK + message.body
        return skeleton_of(text, values_of(stand_in, told, part))


def some_reader(item: Facts, items: Sequence[Facts], rng: np.random.Generator) -> Reader:
    """Somebody of whom something may be known."""
    if rng.random() < 0.4:
        return Reader()
    other = items[int(rng.integers(len(items)))].title
    return Reader(
        (item.category,) if item.category and rng.random() < 0.5 else (),
        str(rng.choice(["", "view", "cart", "purchase"])),
        other if rng.random() < 0.25 and other != item.title else "",
    )


def augmented(item: Facts, rng: np.random.Generator) -> Facts:
    """The item with numbers and evidence drawn anew; a fact may be missing."""
    price = round(float(np.exp(rng.normal(1.8, 1.1))) + 0.05, 2)
    has = rng.random(8)
    liked = str(rng.choice(ASPECTS))
    at = _DAYS + timedelta(int(rng.integers(365)))
    attributes = dict(list(item.attributes.items())[: int(rng.integers(0, 7))])
    return replace(
        item,
        brand=item.brand if has[0] < 0.8 else "",
        price=price if has[1] < 0.95 else None,
        list_price=round(price * float(rng.uniform(1.05, 2.5)), 2) if has[2] < 0.5 else None,
        stock=int(rng.integers(1, 11)) if has[3] < 0.35 else None,
        at=at,
        available_until=at + timedelta(int(rng.integers(1, 9))) if has[4] < 0.35 else None,
        rating=round(float(rng.uniform(3, 5)), 1) if has[5] < 0.5 else None,
        reviews=int(rng.integers(1, 500)) if has[5] < 0.5 else 0,
        buyers=int(rng.integers(20, 3000)) if has[6] < 0.5 else None,
        leads=bool(rng.random() < 0.5),
        new=bool(rng.random() < 0.2),
        attributes=attributes,
        aspects=(Aspect(liked, 5, 0),) if has[7] < 0.5 else (),
    )


def _stand_in(item: Facts, values: Mapping[str, str]) -> Facts:
    """An item with the same kinds of facts, each of which is a word of its own."""
    numbers = [name[5:] for name in values if name.startswith("value")]
    return replace(
        item,
        title="Zqitem",
        brand="Zqbrand" if "brand" in values else "",
        category="Zqcategory" if "category" in values else "",
        price=None if item.price is None else 4321.09,
        list_price=8765.43 if "was" in values else None,
        stock=7 if "stock" in values else None,
        available_until=_DAYS + timedelta(2) if "until" in values else None,
        at=_DAYS,
        rating=4.3 if "rating" in values else None,
        reviews=291 if "reviews" in values else 0,
        buyers=832 if "buyers" in values else None,
        description="",
        attributes={f"Zqlabel{_LETTERS[int(n)]}": f"Zqvalue{_LETTERS[int(n)]}" for n in numbers},
    )


_LETTERS = "abcdefgh"
_VERIFIER = Verifier()
