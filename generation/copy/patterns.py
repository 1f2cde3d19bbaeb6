"""The expressions of rules, compiled so that only those that can match are tried."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from generation.copy.classes import Presence, expand, needed
from generation.copy.packs import Rule


def compiled(patterns: Sequence[str], rule: Rule) -> re.Pattern[str]:
    """One expression of several of a rule; what is not Chinese begins and ends with words."""
    language = rule.language
    whole = "|".join(f"(?:{expand(pattern, rule.classes, language)})" for pattern in patterns)
    if language == "zh":
        return re.compile(whole)
    return re.compile(rf"(?<![a-z0-9])(?:{whole})(?![a-z0-9])")


class Patterns:
    """The patterns of one language's rules."""

    def __init__(self, rules: Sequence[tuple[int, Rule]]) -> None:
        """rules: their numbers and themselves."""
        self._always: list[tuple[int, re.Pattern[str]]] = []
        self._composed: list[tuple[int, int, re.Pattern[str]]] = []
        numbers: dict[tuple[str, str], int] = {}
        words: list[Sequence[str]] = []
        for number, rule in rules:
            plain = [pattern for pattern in rule.patterns if not needed(pattern)]
            if plain:
                self._always.append((number, compiled(plain, rule)))
            by_need: dict[int, list[str]] = {}
            for pattern in rule.patterns:
                bits = 0
                for name in needed(pattern):
                    key = rule.pack, name
                    if key not in numbers:
                        numbers[key] = len(words)
                        words.append(rule.classes[name])
                    bits |= 1 << numbers[key]
                if bits:
                    by_need.setdefault(bits, []).append(pattern)
            self._composed += [
                (number, bits, compiled(found, rule)) for bits, found in by_need.items()
            ]
        self._presence = Presence(words)

    def find(
        self, text: str, squeezed: str, least: int = 0
    ) -> Iterator[tuple[int, int, int]]:
        """Rule, begin and end of every match in a text.

        squeezed: its letters alone; least: only patterns that need words of so many classes."""
        for number, pattern in self._always if least == 0 else ():
            for found in pattern.finditer(text):
                yield number, *found.span()
        there = self._presence.of(squeezed)
        if there:
            for number, bits, pattern in self._composed:
                if bits & there == bits and bits.bit_count() >= least:
                    for found in pattern.finditer(text):
                        yield number, *found.span()
