"""Real titles with facts drawn by a seed, and wrong facts planted in texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from generation.copy.copywriter import Message
from generation.copy.facts import Aspect, Facts
from generation.copy.formatting import day, money
from ingestion.online_retail import categories

TEXTS = Path(__file__).parent / "copy_texts"
AT = datetime(2026, 11, 28, tzinfo=UTC)
_BRANDS = ("", "Larch", "Ondine", "Harbour Press", "Green Acre", "Penfold")
_ATTRIBUTES = {
    "colour": ("red", "blue", "green", "ivory", "pink"),
    "material": ("cotton", "ceramic", "glass", "tin"),
    "size": ("small", "large", "30 x 40 cm"),
    "pieces": ("2", "4", "6", "12"),
    "weight": ("120 g", "1.2 kg"),
}
_ASPECTS = ("quality", "look", "size", "price", "packaging")


def titles(file: Path) -> list[str]:
    """The distinct titles of Online Retail II, in the writing that our import gives them."""
    raw = pd.read_parquet(file, columns=["Description"])["Description"].dropna()
    text = raw.str.strip().str.replace(r"\s+", " ", regex=True)
    return list(text[text != ""].drop_duplicates().str.capitalize())


def drawn_facts(names: list[str], seed: int) -> list[Facts]:
    """Facts for each title: every fact is there or not by chance, and so are its evidence."""
    rng = np.random.default_rng(seed)
    of = categories(pd.Series(names))
    return [_facts(n, name, of[n], rng) for n, name in enumerate(names)]


def _facts(n: int, title: str, category: str, rng: np.random.Generator) -> Facts:
    price = round(float(np.exp(rng.normal(1.2, 1.0))) + 0.2, 2)
    there = rng.random(8)
    names = [name for name in _ATTRIBUTES if rng.random() < 0.5]
    aspects = [name for name in _ASPECTS if rng.random() < 0.4]
    return Facts(
        str(n),
        title,
        brand=str(rng.choice(_BRANDS)),
        category=category,
        price=price,
        list_price=round(price * rng.uniform(1.05, 2), 2) if there[0] < 0.5 else None,
        currency="GBP",
        stock=int(rng.integers(1, 31)) if there[1] < 0.7 else None,
        available_until=AT + timedelta(int(rng.integers(1, 40))) if there[2] < 0.4 else None,
        at=AT,
        rating=round(float(rng.uniform(3, 5)), 1) if there[3] < 0.5 else None,
        reviews=int(rng.integers(0, 40)),
        buyers=int(rng.integers(0, 120)) if there[4] < 0.8 else None,
        leads=bool(there[5] < 0.1),
        new=bool(there[6] < 0.2),
        attributes={name: str(rng.choice(_ATTRIBUTES[name])) for name in names},
        aspects=tuple(
            Aspect(name, int(rng.integers(0, 6)), int(rng.integers(0, 2)), f"good {name}", 0)
            for name in aspects
        ),
    )


def strings_hold(message: Message, facts: Facts) -> bool:
    """Whether every number of a text is a fact's, by nothing but comparing strings: an account of
    what is right that owes nothing to the verifier."""
    known = [facts.title, facts.named_brand, facts.category, *facts.attributes.values()]
    known += list(facts.slots(message.locale).values())
    text = f"{message.title}\n{message.body}\n{message.description}"
    for value in sorted(filter(None, known), key=len, reverse=True):
        text = re.sub(rf"(?<![\d.,]){re.escape(value)}(?![\d])", " ", text)
    text = text.replace("out of 5", "")
    wrong = re.search(
        r"\d|%|[£$€¥]|\b(?:two|three|four|five|six|dozen|half|hundred)\b|[二三五六七八]", text
    )
    return wrong is None and facts.title in message.title + message.body


Mutation = Callable[[Message, Facts, np.random.Generator], Message | None]


def _swap(old: str, new: str) -> Mutation:
    def mutate(message: Message, facts: Facts, rng: np.random.Generator) -> Message | None:
        known = facts.slots(message.locale)
        value = {
            "price": lambda: money((facts.price or 0) * rng.uniform(1.05, 1.4), "GBP", "en"),
            "was": lambda: money((facts.list_price or 0) * rng.uniform(1.05, 1.4), "GBP", "en"),
            "saving": lambda: money((facts.price or 0) * 0.9 + 0.37, "GBP", "en"),
            "percent": lambda: f"{int(known['percent'][:-1]) + int(rng.integers(1, 30))}%",
            "tenths": lambda: f"{max(float(known['tenths'][:-1]) - 1.3, 0.5):.1f}折",
            "stock": lambda: str(int(known["stock"]) + int(rng.integers(1, 9))),
            "until": lambda: day(
                (facts.available_until or AT) + timedelta(int(rng.integers(1, 300))),
                message.locale,
            ),
            "rating": lambda: f"{(float(known['rating']) + 0.3) % 5:.1f}",
            "buyers": lambda: str(int(known["buyers"]) + int(rng.integers(1, 900))),
        }
        if old not in known:
            return None
        made = value[new]()
        pattern = re.compile(rf"(?<![\d.,A-Za-z£]){re.escape(known[old])}(?![\dA-Za-z%])")
        title, body = pattern.sub(made, message.title), pattern.sub(made, message.body)
        if (title, body) == (message.title, message.body) or made == known[old]:
            return None
        return replace(message, title=title, body=body)

    return mutate


def _in_words(message: Message, facts: Facts, rng: np.random.Generator) -> Message | None:
    """A wrong stock count in words, full width or Chinese numerals."""
    known = facts.slots(message.locale)
    if "stock" not in known:
        return None
    en = ("eleven", "a dozen", "fifteen", "１３", "twenty-one")
    zh = ("十一", "十二", "两百", "１５", "二十")
    made = str(rng.choice(zh if message.locale == "zh" else en))
    pattern = re.compile(rf"(?<![\d.,£]){known['stock']}(?=件| left| pieces)")
    title, body = pattern.sub(made, message.title), pattern.sub(made, message.body)
    return (
        None
        if (title, body) == (message.title, message.body)
        else replace(message, title=title, body=body)
    )


def _claimed(name: str) -> Mutation:
    """Adds a claim that the facts do not hold, from one of the lists in `copy_texts`."""

    def claim(message: Message, facts: Facts, rng: np.random.Generator) -> Message | None:
        lines = (TEXTS / f"{name}_{message.locale}.txt").read_text("utf-8").splitlines()
        kind, said = str(rng.choice(lines)).split("|")
        space = "" if message.locale == "zh" else " "
        # Who the reader is is known beside the facts, so nothing of it is planted; and with two
        # in stock "only two remaining" is true.
        if kind in facts.evidence or kind == "reader" or facts.stock == 2:
            return None
        return replace(message, body=f"{message.body}{space}{said}")

    return claim


def mutations(names: list[str]) -> dict[str, Mutation]:
    """Kind of wrong fact → how to plant it; None where a text gives no occasion."""

    def other_title(message: Message, facts: Facts, rng: np.random.Generator) -> Message | None:
        """One word of the title is another title's."""
        words = facts.title.split()
        spot = int(rng.integers(len(words)))
        new = str(rng.choice(str(rng.choice(names)).split()))
        if new.lower() == words[spot].lower():
            return None
        made = " ".join([*words[:spot], new, *words[spot + 1 :]])
        return replace(
            message,
            title=message.title.replace(facts.title, made),
            body=message.body.replace(facts.title, made),
        )

    def named_beside(message: Message, facts: Facts, rng: np.random.Generator) -> Message | None:
        """Another item's name is added."""
        other = str(rng.choice(names))
        if other.lower() in facts.title.lower() or not re.search("[a-z]", other):
            return None
        said = f"配{other}。" if message.locale == "zh" else f" Goes with {other}."
        return replace(message, body=message.body + said)

    def other_brand(message: Message, facts: Facts, rng: np.random.Generator) -> Message | None:
        other = str(rng.choice([b for b in (*_BRANDS[1:], "Kestrel") if b != facts.brand]))
        said = f"来自{other}。" if message.locale == "zh" else f" From {other}."
        return replace(message, body=message.body + said)

    def attribute(message: Message, facts: Facts, rng: np.random.Generator) -> Message | None:
        """An attribute's value is another one in the description."""
        if not facts.attributes:
            return None
        name = str(rng.choice(list(facts.attributes)))
        value = facts.attributes[name]
        other = str(rng.choice([v for v in _ATTRIBUTES[name] if v != value]))
        made = re.sub(
            rf"(?<=[:：])(\s*){re.escape(value)}(?=[.。])", rf"\g<1>{other}", message.description
        )
        return None if made == message.description else replace(message, description=made)

    swaps = ("price", "was", "saving", "percent", "tenths", "stock", "until", "rating", "buyers")
    return {
        **{name: _swap(name, name) for name in swaps},
        "stock in words": _in_words,
        "word of the title": other_title,
        "another item": named_beside,
        "another brand": other_brand,
        "attribute": attribute,
        "claim": _claimed("claims"),
        "claim of a later list": _claimed("later_claims"),
    }
