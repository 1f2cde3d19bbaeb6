"""Sides of an item that reviews speak of: their words in each language."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Lexicon:
    """How one language speaks of aspects, and of liking them or not."""

    labels: dict[str, str]
    """aspect → what copy calls it"""
    words: dict[str, re.Pattern[str]]
    """aspect → what names it in a review"""
    good: re.Pattern[str]
    bad: re.Pattern[str]
    negation: re.Pattern[str]
    """what turns the next good or bad word around"""
    turn: re.Pattern[str]
    """what begins another thought in the same sentence"""


@cache
def lexicon(locale: str) -> Lexicon:
    """The words of one language, from `data/aspects.toml`."""
    data = tomllib.loads((files("generation.copy") / "data" / "aspects.toml").read_text("utf-8"))
    of = {name: by[locale] for name, by in data["aspects"].items()}
    tone = {k: re.compile(v, re.IGNORECASE) for k, v in data["sentiment"][locale].items()}
    return Lexicon(
        {name: by["label"] for name, by in of.items()},
        {name: re.compile(by["words"], re.IGNORECASE) for name, by in of.items()},
        tone["good"],
        tone["bad"],
        tone["negation"],
        tone["turn"],
    )


def aspects_named(text: str) -> frozenset[str]:
    """The aspects that a text names, in either language."""
    return frozenset(
        name
        for locale in ("en", "zh")
        for name, words in lexicon(locale).words.items()
        if words.search(text)
    )
