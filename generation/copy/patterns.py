"""The expressions of rules, of which only those are tried that can match."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import ahocorasick_rs as aho

from generation.copy.classes import expand, named
from generation.copy.factors import factors, worth
from generation.copy.packs import Rule


def compiled(patterns: Sequence[str], rule: Rule) -> re.Pattern[str]:
    """One expression of several of a rule; what is not Chinese begins and ends with words."""
    whole = "|".join(f"(?:{expand(pattern, rule.classes, rule.language)})" for pattern in patterns)
    if rule.language == "zh":
        return re.compile(whole)
    return re.compile(rf"(?<![a-z0-9])(?:{whole})(?![a-z0-9])")


class _Tried:
    """A rule's patterns that need the same words."""

    def __init__(self, number: int, rule: Rule, bits: int) -> None:
        """number: the rule's; bits: a bit for each set of words that a text must hold one of."""
        self.bits = bits
        self.classes = 99
        """how many classes a pattern names, at least"""
        self._number, self._rule = number, rule
        self._written: list[str] = []
        self._expression: re.Pattern[str] | None = None

    def add(self, pattern: str) -> None:
        self._written.append(pattern)
        self.classes = min(self.classes, len(named(pattern)))

    def find(self, text: str) -> Iterator[tuple[int, int, int]]:
        if self._expression is None:  # most are never tried, and compiling takes long
            self._expression = compiled(self._written, self._rule)
        for found in self._expression.finditer(text):
            yield self._number, *found.span()


class Patterns:
    """The patterns of one language's rules."""

    def __init__(self, rules: Sequence[tuple[int, Rule]]) -> None:
        """rules: their numbers and themselves."""
        numbers: dict[frozenset[str], int] = {}
        tried: dict[tuple[int, frozenset[frozenset[str]]], _Tried] = {}
        for number, rule in rules:
            for pattern in rule.patterns:
                needed = factors(pattern, rule.classes)
                key = number, needed
                if key not in tried:
                    bits = sum(1 << numbers.setdefault(each, len(numbers)) for each in needed)
                    tried[key] = _Tried(number, rule, bits)
                tried[key].add(pattern)
        self._always = [each for (_, needed), each in tried.items() if not needed]
        bits_of: dict[str, int] = {}
        begun: dict[str, list[_Tried]] = {}
        for factor, place in numbers.items():
            for word in factor:
                bits_of[word] = bits_of.get(word, 0) | 1 << place
        for (_, needed), each in tried.items():
            for word in max(needed, key=worth, default=()):
                begun.setdefault(word, []).append(each)
        self._words = [(bits, begun.get(word, ())) for word, bits in bits_of.items()]
        self._search = aho.AhoCorasick(list(bits_of), implementation=aho.Implementation.DFA)

    def find(self, text: str, squeezed: str, least: int = 0) -> Iterator[tuple[int, int, int]]:
        """Rule, begin and end of every match in a text.

        squeezed: its letters alone; least: only patterns of so many classes."""
        there = 0
        begun: dict[int, _Tried] = {}
        for key, *_ in self._search.find_matches_as_indexes(squeezed, overlapping=True):
            bits, patterns = self._words[key]
            there |= bits
            for each in patterns:
                begun[id(each)] = each
        for each in (*self._always, *begun.values()):
            if each.bits & there == each.bits and each.classes >= least:
                yield from each.find(text)
