"""Other ways to read a text: spelled-out words together, masked letters and pinyin filled in.

What is filled in comes from the words of the rule packs alone, so that a guess can only be a word
that a rule knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from generation.copy.lookalikes import LEET
from generation.copy.normalise import HANZI, folded, unleet
from generation.copy.sounds import sounds

MASK = "*＊✱✳●○■□#•×"
_SIGNS = "".join(map(re.escape, LEET))
_DISGUISED = re.compile(
    rf"[a-z'’{MASK}{_SIGNS}]*(?:[a-z][{MASK}{_SIGNS}]|[{MASK}{_SIGNS}][a-z])[a-z'’{MASK}{_SIGNS}]*"
)
_SOLID = re.compile(r"[a-z0-9%]{6,}")
_SHORT = frozenset(
    ["a", "i", "an", "as", "at", "be", "by", "do", "go", "he", "if", "in", "is", "it", "me", "my",
     "no", "of", "on", "or", "so", "to", "up", "us", "we"]
)  # fmt: skip
_GAP_IN_CHINESE = re.compile(
    rf"(?<=[{HANZI}])(?:[{MASK}]|[a-z]{{1,6}})|(?:[{MASK}]|[a-z]{{1,6}})(?=[{HANZI}])"
)
_SPACED = re.compile(r"(?<![^\s\u3400-\u9fff])\S(?: {1,2}\S(?![a-z0-9])){2,}")
_SIGNED = re.compile(r"(?<![a-z0-9])[a-z0-9](?:([^\w\s]+|_+)[a-z0-9*])(?:\1[a-z0-9*])+(?![a-z0-9])")
_BROKEN = re.compile(r"(?<=[a-z0-9])[^\w\s'’%&@]{1,3}(?=[a-z0-9])|(?<=[a-z])_+(?=[a-z])")
_STRETCHED = re.compile(r"([a-z])\1{2,}")
_WORD = re.compile(r"[a-z]{3,}")
_CHINESE = re.compile(f"[{HANZI}]{{2,}}")
MOST = 4
"""Readings of one masked text."""


@dataclass(frozen=True)
class Reading:
    """A folded text, n characters, spaces and signs kept."""

    text: str
    """its characters (n,)"""
    at: Sequence[int]
    """where each began in the text as written (n,)"""
    ends: Sequence[int]
    """where each ended there (n,)"""

    def span(self, begin: int, end: int) -> tuple[int, int]:
        """Of characters begin to end, the place in the text as written."""
        return self.at[begin], self.ends[end - 1]

    def replaced(self, changes: Iterable[tuple[int, int, str]]) -> Reading:
        """With other characters in some places, given in order; each spreads over what it
        replaces."""
        text: list[str] = []
        at: list[int] = []
        ends: list[int] = []
        done = 0
        for begin, end, new in changes:
            text += [self.text[done:begin], new]
            at += self.at[done:begin]
            ends += self.ends[done:begin]
            if len(new) == end - begin:
                at += self.at[begin:end]
                ends += self.ends[begin:end]
            else:
                at += [self.at[begin]] * len(new)
                ends += [self.ends[max(end - 1, begin)]] * len(new)
            done = end
        return Reading(
            "".join([*text, self.text[done:]]), [*at, *self.at[done:]], [*ends, *self.ends[done:]]
        )


class Vocabulary:
    """The words and the pairs of characters that the packs know."""

    def __init__(self, written: Iterable[str]) -> None:
        self._words: dict[int, set[str]] = {}
        self._pairs: set[str] = set()
        characters: set[str] = set()
        for text in written:
            plain = "".join(map(folded, text))
            for word in _WORD.findall(re.sub("['’]", "", plain)):
                self._words.setdefault(len(word), set()).add(word)
            for run in _CHINESE.findall(plain):
                self._pairs.update(run[k : k + 2] for k in range(len(run) - 1))
                characters.update(run)
        self._by_sound: dict[str, list[str]] = {}
        for letter in sorted(characters):
            self._by_sound.setdefault(sounds().syllable(letter), []).append(letter)
        self._characters = sorted(characters)

    def words(self) -> Iterator[str]:
        """Every English word."""
        for words in self._words.values():
            yield from words

    def readings(self, plain: str, at: Sequence[int]) -> list[Reading]:
        """The folded text, and other readings of it where it gives reason for them."""
        first = Reading(plain, at, [place + 1 for place in at])
        found = [first]
        together = _together(first)
        if together is not None:
            found += [together, self._parted(together)]
        found += [reading for reading in (_joined(first),) if reading is not None]
        for reading in tuple(found):
            found += _calmed(reading)
        for reading in tuple(found):
            found += [Reading(text, reading.at, reading.ends) for text in unleet(reading.text)]
            found += self._unmasked(reading)
        found += self._filled(first)
        if len(found) == 1:
            return found
        unique = {reading.text: reading for reading in reversed(found)}
        return [first, *(reading for text, reading in unique.items() if text != plain)]

    def _parted(self, reading: Reading) -> Reading:
        """Words that are written as one apart, where all of them are known."""
        changes = []
        for found in _SOLID.finditer(reading.text):
            cuts = self._cuts(found[0])
            changes += [(found.start() + cut, found.start() + cut, " ") for cut in cuts]
        return reading.replaced(changes)

    def _cuts(self, letters: str) -> list[int]:
        """Where its words begin, the fewest that it can be made of; empty if it can't."""
        fewest: list[list[int] | None] = [[], *[None] * len(letters)]
        for end in range(1, len(letters) + 1):
            for begin in range(max(end - 16, 0), end):
                before, word = fewest[begin], letters[begin:end]
                if before is None or not self._knows(word):
                    continue
                now = fewest[end]
                if now is None or len(before) + 1 < len(now):
                    fewest[end] = [*before, begin]
        return [cut for cut in fewest[-1] or () if cut]

    def _knows(self, word: str) -> bool:
        return (
            word in _SHORT or word.rstrip("%").isdigit() or word in self._words.get(len(word), ())
        )

    def _unmasked(self, reading: Reading) -> list[Reading]:
        """Words for such with masked letters or signs for letters: the first, second … fit."""
        options = []
        for found in _DISGUISED.finditer(reading.text):
            word = re.sub("['’]", "", found[0])
            letters = sum("a" <= sign <= "z" for sign in word)
            if letters < 2 or 2 * letters < len(word):
                continue
            pattern = re.compile("".join(map(_letters, word)))
            fitting = [w for w in sorted(self._words.get(len(word), ())) if pattern.fullmatch(w)]
            if fitting:
                options.append((*found.span(), fitting))
        most = min(max((len(fitting) for *_, fitting in options), default=0), MOST)
        return [
            reading.replaced(
                (begin, end, fitting[min(n, len(fitting) - 1)]) for begin, end, fitting in options
            )
            for n in range(most)
        ]

    def _filled(self, reading: Reading) -> Iterator[Reading]:
        """Masked characters, and such as are written in pinyin, filled in beside Chinese."""
        text = reading.text
        changes = []
        for found in _GAP_IN_CHINESE.finditer(text):
            begin, end = found.span()
            if found[0] in MASK:
                options: Sequence[str] = self._characters
            else:
                options = self._by_sound.get(sounds().syllable_of(found[0]), ())
            before = text[begin - 1] if begin else ""
            after = text[end] if end < len(text) else ""
            pairs = self._pairs
            fits = [c for c in options if before + c in pairs and c + after in pairs]
            if found[0] not in MASK:
                fits += [c for c in options if before + c in pairs or c + after in pairs]
            if fits:
                changes.append((begin, end, fits[0]))
        if changes:
            yield reading.replaced(changes)


def _letters(sign: str) -> str:
    """As a regular expression, the letters that a sign may stand for."""
    if sign in MASK:
        return "[a-z]"
    return "[il]" if sign in "1!|" else LEET.get(sign, sign)


def _together(reading: Reading) -> Reading | None:
    """Single letters with spaces or one sign between them as words."""
    changes = [
        (*found.span(), found[0].replace(" ", "")) for found in _SPACED.finditer(reading.text)
    ]
    changes += [
        (*found.span(), found[0].replace(found[1], "")) for found in _SIGNED.finditer(reading.text)
    ]
    changes.sort()
    kept: list[tuple[int, int, str]] = []
    for change in changes:
        if not kept or change[0] >= kept[-1][1]:
            kept.append(change)
    return reading.replaced(kept) if kept else None


def _joined(reading: Reading) -> Reading | None:
    """Without signs inside words."""
    changes = [(*found.span(), "") for found in _BROKEN.finditer(reading.text)]
    return reading.replaced(changes) if changes else None


def _calmed(reading: Reading) -> list[Reading]:
    """Letters that are repeated three times or more once, and twice."""
    if _STRETCHED.search(reading.text) is None:
        return []
    return [
        reading.replaced(
            (*found.span(), found[1] * times) for found in _STRETCHED.finditer(reading.text)
        )
        for times in (1, 2)
    ]
