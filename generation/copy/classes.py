"""Word classes of a rule pack, and patterns that are composed of them.

A pack lists words by what they mean, and its patterns say how these make a violation:

    [class]
    cure = "cure~, heal~, get rid of"
    illness = "cancer+, back pain"

    patterns = ["{cure}<3>{illness}"]

A verb with `~` also stands for its regular forms (cures, cured, curing; `carry~ on`), a noun with
`+` for its plural, a word with `*` for all that begin with it, `{name}` for the words of another
class. `<3>` in a pattern lets up to three words, in Chinese characters, stand between, and `<n>` is
a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

Classes = Mapping[str, tuple[str, ...]]
"""Class → its words, in every form that is meant."""
_NAME = re.compile(r"\{([a-z_]+)\}")
_GAP = re.compile(r"<(\d+)>")
_BETWEEN, _MAYBE = r"[\W_]+", r"[\W_]*"
"""What a space, and a space that may be missing, is in a pattern that is not Chinese."""
_NUMBER = {
    "zh": r"(?:(?:\d+(?:\.\d+)?|[一二两三四五六七八九十百千万亿几半数]+)[多余来]?[wk万千亿]?)",
    "en": r"(?:\d[\d,.]*\+?[km]?\+?|one|two|three|four|five|six|seven|eight|nine|ten|eleven"
    r"|twelve|fourteen|"
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
    """The forms of a word as a class writes it; `carry~ on` carries on, too."""
    if entry.endswith("+"):
        yield from (entry[:-1], _plural(entry[:-1]))
        return
    verb, inflected, rest = entry.partition("~")
    if verb:
        yield verb + rest
    if not inflected:
        return
    stem = verb[:-1] if verb.endswith("e") else verb
    if _VOWEL_CONSONANT.fullmatch(verb):
        stem = verb + verb[-1]
    past = verb[:-1] + "ied" if verb[-1] == "y" and verb[-2] not in "aeiou" else stem + "ed"
    going = verb + "ing" if verb.endswith("ee") else stem + "ing"
    yield from (form + rest for form in (_plural(verb), past, going))


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
    """The pattern as a regular expression, its classes and gaps written out.

    Raises `ValueError` for a class that is not there."""

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


def checked(pattern: str, classes: Classes, language: str) -> None:
    """Raises `ValueError` or `re.error` for a pattern that could not be compiled; classes count
    as one word, as compiling all of them takes long."""
    few = {name: words[:1] for name, words in classes.items()}
    re.compile(expand(pattern, few, language))
