"""What a text must hold for a pattern to match: words of which one is in every match.

A pattern's literal words, its classes, and of its groups the words of all their alternatives. One
pass for all these words (Aho and Corasick, 1975) then says which of many patterns to try at all.
"""

from __future__ import annotations

import functools
import re

from generation.copy.classes import Classes
from generation.copy.normalise import fold, is_hanzi, squeeze

_CLASS = re.compile(r"\{([a-z_]+)\}")
_GAP = re.compile(r"<(?:\d+|n)>")
_QUANTIFIER = re.compile(r"[?*+]\??|\{\d*,?\d*\}\??")
_MAY_LACK = re.compile(r"[?*]|\{0?,")
_AROUND = re.compile(r"\(\?<?[=!]")
_KEPT = re.compile(r"[^\W_]")
MOST = 1_500
"""Words of one factor; beyond, it says little."""


def factors(pattern: str, classes: Classes) -> frozenset[frozenset[str]]:
    """Sets of squeezed words: a text without a word of each can't match. Empty: any text may."""
    found, _ = _Reader(pattern, classes).alternatives(0)
    return frozenset(found)


class _Reader:
    """Reads a pattern from left to right; each method returns where it came to."""

    def __init__(self, pattern: str, classes: Classes) -> None:
        self._pattern = pattern
        self._classes = classes

    def alternatives(self, place: int) -> tuple[list[frozenset[str]], int]:
        """Up to the group's end: the factors of its one alternative, or of several one in all."""
        options = []
        while True:
            option, place = self._sequence(place)
            options.append(option)
            if place >= len(self._pattern) or self._pattern[place] == ")":
                break
            place += 1
        if len(options) == 1:
            return options[0], place
        if not all(options):
            return [], place
        whole = frozenset().union(*(max(option, key=worth) for option in options))
        return ([whole] if len(whole) <= MOST else []), place

    def _sequence(self, place: int) -> tuple[list[frozenset[str]], int]:
        pattern, found, run = self._pattern, [], ""
        while place < len(pattern) and pattern[place] not in "|)":
            factor: list[frozenset[str]] = []
            letter = ""
            around = _AROUND.match(pattern, place)
            named, gap = _CLASS.match(pattern, place), _GAP.match(pattern, place)
            if around is not None:
                place = self._closed(place)
                continue
            if pattern[place] == "(":
                factor, place = self.alternatives(place + (3 if pattern[place + 1] == "?" else 1))
                place += 1
            elif named is not None:
                factor, place = [_words(self._classes[named[1]])], named.end()
            elif gap is not None:
                place = gap.end()
            elif pattern[place] == "[":
                place = pattern.index("]", place + 2) + 1
            elif pattern[place] == "\\":
                letter = "" if pattern[place + 1].isalnum() else " "
                letter = " " if pattern[place + 1] == "b" else letter
                place += 2
            else:
                letter = "" if pattern[place] == "." else pattern[place]
                place += 1
            many = _QUANTIFIER.match(pattern, place)
            lacking = many is not None and _MAY_LACK.match(many[0]) is not None
            place = place if many is None else many.end()
            if letter and (many is None or not _KEPT.match(letter)):
                run += letter
                continue
            if letter and not lacking:
                run += letter
            found += _factor(run)
            run = ""
            found += [] if lacking else [each for each in factor if _says(each)]
        return found + _factor(run), place

    def _closed(self, place: int) -> int:
        """Behind the group that begins there."""
        depth = 0
        while True:
            sign = self._pattern[place]
            if sign == "\\":
                place += 1
            elif sign == "[":
                place = self._pattern.index("]", place + 2)
            depth += (sign == "(") - (sign == ")")
            place += 1
            if depth == 0:
                return place


@functools.lru_cache(1 << 9)
def _words(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(_squeezed(word.rstrip("*")) for word in words)


@functools.lru_cache(1 << 15)
def _squeezed(text: str) -> str:
    return squeeze(*fold(text)).text


def _factor(run: str) -> list[frozenset[str]]:
    factor = frozenset([_squeezed(run)])
    return [factor] if _says(factor) else []


def _says(factor: frozenset[str]) -> bool:
    return all(len(word) > 1 or (word and is_hanzi(word)) for word in factor)


def worth(factor: frozenset[str]) -> tuple[int, int]:
    """Longer words and fewer of them are rarer."""
    return min(len(word) * (3 if is_hanzi(word[0]) else 1) for word in factor), -len(factor)
