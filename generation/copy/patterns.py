"""The expressions of rules, of which only those are tried that can match."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import ahocorasick_rs as aho

from generation.copy.classes import expand, named
from generation.copy.factors import factors
from generation.copy.packs import Rule


def compiled(patterns: Sequence[str], rule: Rule) -> re.Pattern[str]:
    """One expression of several of a rule; what is not Chinese begins and ends with words."""
    whole = "|".join(f"(?:{expand(pattern, rule.classes, rule.language)})" for pattern in patterns)
    if rule.language == "zh":
        return re.compile(whole)
    return re.compile(rf"(?<![a-z0-9])(?:{whole})(?![a-z0-9])")


@dataclass
class _Tried:
    """A rule's patterns that need the same words."""

    number: int
    """the rule's"""
    rule: Rule
    written: list[str]
    classes: int
    """how many classes the patterns need words of, at least"""
    expression: re.Pattern[str] | None = field(default=None)
    """compiled when it is first tried: most never are"""

    def find(self, text: str) -> Iterator[tuple[int, int, int]]:
        if self.expression is None:
            self.expression = compiled(self.written, self.rule)
        for found in self.expression.finditer(text):
            yield self.number, *found.span()


class Patterns:
    """The patterns of one language's rules."""

    def __init__(self, rules: Sequence[tuple[int, Rule]]) -> None:
        """rules: their numbers and themselves."""
        numbers: dict[frozenset[str], int] = {}
        tried: dict[tuple[int, int], _Tried] = {}
        for number, rule in rules:
            for pattern in rule.patterns:
                bits = 0
                for factor in factors(pattern, rule.classes):
                    bits |= 1 << numbers.setdefault(factor, len(numbers))
                each = tried.setdefault((number, bits), _Tried(number, rule, [], 99))
                each.written.append(pattern)
                each.classes = min(each.classes, len(named(pattern)))
        self._tried = [(bits, each) for (_, bits), each in tried.items()]
        of: dict[str, int] = {}
        for factor, place in numbers.items():
            for word in factor:
                of[word] = of.get(word, 0) | 1 << place
        self._bits = list(of.values())
        self._search = aho.AhoCorasick(list(of), implementation=aho.Implementation.DFA)

    def find(self, text: str, squeezed: str, least: int = 0) -> Iterator[tuple[int, int, int]]:
        """Rule, begin and end of every match in a text.

        squeezed: its letters alone; least: only patterns of so many classes."""
        there = 0
        for key, *_ in self._search.find_matches_as_indexes(squeezed, overlapping=True):
            there |= self._bits[key]
        for bits, each in self._tried:
            if bits & there == bits and each.classes >= least:
                yield from each.find(text)
