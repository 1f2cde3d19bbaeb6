"""Word classes of a rule pack, and patterns that are composed of them.

A pack lists words by what they mean, and its patterns say how these make a violation:

    [class]
    cure = "cure~, heal~, get rid of"
    illness = "cancer+, back pain"

    patterns = ["{cure}<3>{illness}"]

A verb with `~` also stands for its regular forms (cures, cured, curing), a noun with `+` for its
plural, a word with `*` for all that begin with it, `{name}` for the words of another class. `<3>`
in a pattern lets up to three words, in Chinese characters, stand between, and `<n>` is a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import ahocorasick_rs as aho

from generation.copy.normalise import fold, squeeze

Classes = Mapping[str, tuple[str, ...]]
"""Class → its words, in every form that is meant."""
_NAME = re.compile(r"\{([a-z_]+)\}")
_GAP = re.compile(r"<(\d+)>")
_BETWEEN, _MAYBE = r"[\W_]+", r"[\W_]*"
"""What a space, and a space that may be missing, is in a pattern that is not Chinese."""
_NUMBER = {
    "zh": r"(?:(?:\d+(?:\.\d+)?|[一二两三四五六七八九十百千万亿几半数]+)[多余来]?[wk万千亿]?)",
    "en": r"(?:\d[\d,.]*\+?[km]?\+?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fourteen|"
    r"fifteen|twenty|thirty|forty|fifty|sixty|ninety|a|a dozen|a few|a couple of|a handful of)"
    r"(?: (?:hundred|thousand|million|billion|dozen))?",
}
_VOWEL_CONSONANT = re.compile(r"[^aeiou]*[aeiou][bdgklmnprt]")
_SIBILANT = ("s", "x", "z", "ch", "sh")


def read_classes(written: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Of a pack's table, each class with its words. Raises `ValueError` for a class that
    names one that is not there, or itself."""
    read: dict[str, tuple[str, ...]] = {}

    def words(name: str, within: tuple[str, ...]) -> tuple[str, ...]:
        if name not in written or name in within:
            raise ValueError(f"there is no class {name!r} that could be read")
        if name not in read:
            found: dict[str, None] = {}
            for entry in re.split(r"[\n,，]", str(written[name])):
                other = _NAME.fullmatch(entry.strip())
                each = words(other[1], (*within, name)) if other else _forms(entry.strip())
                found.update(dict.fromkeys(each))
            read[name] = tuple(found)
        return read[name]

    for name in written:
        words(name, ())
    return read


def _forms(entry: str) -> Iterator[str]:
    """The forms of a word as a class writes it."""
    word = entry.rstrip("~+")
    if not word:
        return
    yield word
    ending = entry[len(word) :]
    if not ending:
        return
    first, _, rest = word.partition(" ")
    if ending == "+":
        yield _plural(word)
        return
    rest = f" {rest}" if rest else ""
    stem = first[:-1] if first.endswith("e") else first
    if _VOWEL_CONSONANT.fullmatch(first):
        stem = first + first[-1]
    past = first[:-1] + "ied" if first[-1] == "y" and first[-2] not in "aeiou" else stem + "ed"
    ing = first + "ing" if first.endswith("ee") else stem + "ing"
    yield from (form + rest for form in (_plural(first), past, ing))


def _plural(word: str) -> str:
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(_SIBILANT) else "s")


def alternation(words: Iterable[str]) -> str:
    """One expression for many words, as a tree of their letters: far faster than a list."""
    tree: dict[str, object] = {}
    for word in words:
        node = tree
        for letter in word:
            node = node.setdefault(letter, {})  # type: ignore[assignment]
        node[""] = {}
    return _branches(tree)


def _branches(tree: Mapping[str, object]) -> str:
    options = [
        _escaped(letter) + _branches(below)  # type: ignore[arg-type]
        for letter, below in sorted(tree.items())
        if letter
    ]
    if not options:
        return ""
    whole = options[0] if len(options) == 1 and "" not in tree else f"(?:{'|'.join(options)})"
    return f"{whole}?" if "" in tree else whole


def _escaped(letter: str) -> str:
    return "[a-z]*" if letter == "*" else letter if letter == " " else re.escape(letter)


def expand(pattern: str, classes: Classes, language: str) -> str:
    """The pattern as a regular expression, its classes and gaps written out. Raises `ValueError` for a
    class that is not there."""

    def words(found: re.Match[str]) -> str:
        if found[1] not in classes:
            raise ValueError(f"the pattern {pattern!r} names the class {found[1]!r}")
        return f"(?:{alternation(classes[found[1]])})"

    pattern = pattern.replace("<n>", _NUMBER["zh" if language == "zh" else "en"])
    between = r"[^\\W_]{0,\1}?" if language == "zh" else r"(?:(?<=[^a-z0-9])| )(?:\\w+ ){0,\1}?"
    whole = _NAME.sub(words, _GAP.sub(between, pattern))
    if language == "zh":
        return whole
    return whole.replace("'", "['’]?").replace(" ?", _MAYBE).replace(" ", _BETWEEN)


def named(pattern: str) -> list[str]:
    """The classes that a pattern names."""
    return _NAME.findall(pattern)


def needed(pattern: str) -> frozenset[str]:
    """Classes without a word of which the pattern can't match: those outside every group."""
    names, depth, place = set(), 0, 0
    while place < len(pattern):
        sign = pattern[place]
        if sign == "\\":
            place += 1
        elif sign == "[":
            place = pattern.index("]", place + 2)
        elif sign == "|" and depth == 0:
            return frozenset()
        elif found := _NAME.match(pattern, place):
            place = found.end() - 1
            if depth == 0 and pattern[place + 1 : place + 2] not in ("?", "*"):
                names.add(found[1])
        depth += (sign == "(") - (sign == ")")
        place += 1
    return frozenset(names)


class Presence:
    """Which classes a text holds a word of, at one pass (Aho and Corasick, 1975)."""

    def __init__(self, classes: Sequence[Sequence[str]]) -> None:
        """classes: the words of each."""
        self._of: dict[str, int] = {}
        for number, words in enumerate(classes):
            for word in words:
                key = squeeze(*fold(word)).text
                self._of[key] = self._of.get(key, 0) | 1 << number
        self._bits = list(self._of.values())
        self._search = aho.AhoCorasick(list(self._of), implementation=aho.Implementation.DFA)

    def of(self, squeezed: str) -> int:
        """A bit for each class, set where the squeezed text may hold a word of it."""
        found = 0
        for key, *_ in self._search.find_matches_as_indexes(squeezed, overlapping=True):
            found |= self._bits[key]
        return found
