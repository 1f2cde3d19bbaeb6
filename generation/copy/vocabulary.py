"""Words of a catalogue: what tells one item's name from another's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LATIN = re.compile(r"[A-Za-zÀ-ÿ]{3,}")
HAN = re.compile(r"[\u3400-\u9fff]+")


def words_of(text: str) -> Iterator[str]:
    """Words of three letters or more in small letters, and pairs of neighbouring Chinese
    characters, which are written without spaces."""
    for match in LATIN.finditer(text):
        yield match[0].lower()
    for match in HAN.finditer(text):
        run = match[0]
        yield from (run[n : n + 2] for n in range(len(run) - 1))


@dataclass(frozen=True)
class Vocabulary:
    """The words that only names have."""

    names: frozenset[str]
    """words of the catalogue's titles, brands and categories that plain sentences do not use"""

    plain: frozenset[str] = frozenset()
    """the words of texts that name nothing and claim nothing of their own"""

    @classmethod
    def of(cls, names: Iterable[str], plain: Iterable[str]) -> Vocabulary:
        """From a catalogue's names and from texts that name nothing (the templates' own words)."""
        own = {word for name in names for word in words_of(name)}
        known = {word for text in plain for word in words_of(text)}
        return cls(frozenset(own - known), frozenset(known))

    def unknown(self, text: str, known: frozenset[str]) -> Iterator[tuple[int, int]]:
        """Spans [begin, end) of words that are neither plain nor among `known`."""
        for match in LATIN.finditer(text):
            word = match[0].lower()
            if word not in self.plain and word not in known:
                yield match.span()
        for match in HAN.finditer(text):
            for n in range(match.start(), match.end() - 1):
                if text[n : n + 2] not in self.plain and text[n : n + 2] not in known:
                    yield n, n + 2

    def foreign(self, text: str, known: frozenset[str]) -> Iterator[tuple[int, int]]:
        """Spans [begin, end) of words that are some item's and not among `known`."""
        for match in LATIN.finditer(text):
            word = match[0].lower()
            if word in self.names and word not in known:
                yield match.span()
        for match in HAN.finditer(text):
            for n in range(match.start(), match.end() - 1):
                if text[n : n + 2] in self.names and text[n : n + 2] not in known:
                    yield n, n + 2
