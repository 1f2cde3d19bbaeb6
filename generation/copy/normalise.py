"""Normal forms of a text against evasions, each with its way back to the text as written.

    folded     width, case, accents, zero-width and control characters, letters of other scripts
               that look Latin, traditional and disguised Chinese characters, keycaps, emoji letters
    squeezed   only letters, digits and Chinese characters are left: no separator hides a word
    unleet     digits and signs that stand for letters as letters
    collapsed  repeated Latin letters once
    merged     parts of split characters, and `zui` for 最, as the character

`generation.copy.sounds` adds the sound of Chinese characters.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from generation.copy.lookalikes import CHARACTERS, LEET, LETTERS, SPLIT

HANZI = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
_HANZI = re.compile(f"[{HANZI}]")
_TOKEN = re.compile(rf"[{HANZI}]|[^\W_{HANZI}]+")
_DROPPED = {"Cc", "Cf", "Mn", "Me", "Cs", "Sk", "Lm"}
"""Categories of what is not seen or only decorates; white space is kept apart."""
_MARKS = "".join(map(re.escape, LEET))
_LEET_NEAR = re.compile(
    rf"[a-z][^\sa-z{HANZI}]{{0,2}}[{_MARKS}]|[{_MARKS}][^\sa-z{HANZI}]{{0,2}}[a-z]"
    rf"|\b[a-z] [{_MARKS}] [a-z]\b"
)
_SIGN_ALONE = re.compile(r"[!|+¡€£¢](?![a-z0-9@$])|(?<![a-z0-9@$*])[+|!¡£€¢]|(?<![a-z@])\$(?=\d)")
_LEET_WORD = re.compile(rf"[a-z{_MARKS}'’.-]*[a-z][a-z{_MARKS}'’.-]*")
_LEET_ALONE = re.compile(rf"(?<!\S)[{_MARKS}](?!\S)|" + _LEET_WORD.pattern)
_TO_I = str.maketrans(LEET)
_TO_L = str.maketrans({**LEET, "1": "l", "|": "l"})
_DOUBLE = re.compile(r"([a-z])\1")


@dataclass(frozen=True)
class Form:
    """A normal form of a text, n characters."""

    text: str
    """its characters (n,)"""
    at: Sequence[int]
    """where each began in the text as written (n,)"""
    ends: Sequence[int]
    """where each ended there (n,)"""
    starts: Sequence[bool]
    """whether each begins a word (n,); every Chinese character does"""

    def span(self, begin: int, end: int) -> tuple[int, int]:
        """Of characters begin to end, the place in the text as written."""
        return self.at[begin], self.ends[end - 1]

    def begins(self, place: int) -> bool:
        """Whether a word begins there, or the text is over."""
        return place >= len(self.starts) or self.starts[place]


def is_hanzi(letter: str) -> bool:
    """Whether it is a Chinese character."""
    return _HANZI.match(letter) is not None


@functools.cache
def _simplified() -> dict[str, str]:
    """Traditional → simplified characters (OpenCC's table; of several the commonest)."""
    from importlib.resources import files

    lines = (files("opencc") / "dictionary" / "TSCharacters.txt").read_text("utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if "\t" in line)
    return {old: new.split(" ")[0] for old, new in pairs}


@functools.lru_cache(1 << 17)
def folded(letter: str) -> str:
    """One character without width, case, accent and disguise; empty if it is not seen."""
    if letter in CHARACTERS:
        return CHARACTERS[letter]
    if letter.isspace():
        return " "
    out = []
    for part in unicodedata.normalize("NFKD", LETTERS.get(letter, letter)):
        if unicodedata.category(part) in _DROPPED:
            continue
        for small in part.casefold():
            plain = LETTERS.get(small) or CHARACTERS.get(small, small)
            out.append(_simplified().get(plain, plain))
    return "".join(out)


def fold(text: str) -> tuple[str, Sequence[int]]:
    """The folded text, and where each of its characters stood in the text."""
    if text.isascii() and text.isprintable():
        return text.lower(), range(len(text))
    out: list[str] = []
    at: list[int] = []
    for place, letter in enumerate(text):
        for part in folded(letter):
            out.append(part)
            at.append(place)
    return "".join(out), at


def squeeze(plain: str, at: Sequence[int], ends: Sequence[int] | None = None) -> Form:
    """A folded text without all that is no letter, digit or Chinese character."""
    text: list[str] = []
    places: list[int] = []
    lasts: list[int] = []
    starts: list[bool] = []
    for token in _TOKEN.finditer(plain):
        begin, end = token.span()
        text.append(token[0])
        places.extend(at[begin:end])
        if ends is not None:
            lasts.extend(ends[begin:end])
        starts.append(True)
        if end > begin + 1:
            starts.extend([False] * (end - begin - 1))
    return Form("".join(text), places, lasts or [place + 1 for place in places], starts)


def unleet(plain: str) -> tuple[str, ...]:
    """Folded texts of the same length with letters for the digits and signs that stand for them;
    none where no letter is near one."""
    if _LEET_NEAR.search(plain) is None:
        return ()
    # A sign at a word's end is punctuation, and one before a number a currency; or not.
    careful = _SIGN_ALONE.sub(" ", plain)
    first = _LEET_WORD.sub(lambda word: word[0].translate(_TO_I), careful)
    second = _LEET_ALONE.sub(lambda word: word[0].translate(_TO_L), plain)
    return tuple(text for text in dict.fromkeys((first, second)) if text != plain)


def collapse(form: Form) -> tuple[Form, list[int]] | None:
    """The form with repeated letters once, and how often each stood there; None if none repeats."""
    if _DOUBLE.search(form.text) is None:
        return None
    text: list[str] = []
    at: list[int] = []
    ends: list[int] = []
    starts: list[bool] = []
    runs: list[int] = []
    for place, letter in enumerate(form.text):
        if text and letter == text[-1] and "a" <= letter <= "z":
            ends[-1] = form.ends[place]
            runs[-1] += 1
        else:
            text.append(letter)
            at.append(form.at[place])
            ends.append(form.ends[place])
            starts.append(form.starts[place])
            runs.append(1)
    return Form("".join(text), at, ends, starts), runs


@functools.cache
def _parts() -> tuple[re.Pattern[str], dict[str, str]]:
    whole = {"".join(map(folded, parts)): letter for parts, letter in SPLIT.items()}
    longest = sorted(whole, key=len, reverse=True)
    return re.compile("|".join([*longest, "zui"])), {**whole, "zui": "最"}


def merge(form: Form) -> Form | None:
    """The form with split characters put together; None if there are none."""
    pattern, whole = _parts()
    text, at, ends, starts, done = [], [], [], [], 0
    for found in pattern.finditer(form.text):
        begin, end = found.span()
        if found[0] == "zui" and not (form.starts[begin] and form.begins(end)):
            continue
        text += [form.text[done:begin], whole[found[0]]]
        at += [*form.at[done:begin], form.at[begin]]
        ends += [*form.ends[done:begin], form.ends[end - 1]]
        starts += [*form.starts[done:begin], True]
        done = end
    if not done:
        return None
    return Form(
        "".join([*text, form.text[done:]]),
        [*at, *form.at[done:]],
        [*ends, *form.ends[done:]],
        [*starts, *form.starts[done:]],
    )
