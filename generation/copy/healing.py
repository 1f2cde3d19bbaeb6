"""Words of the rule packs that are written as they sound, put back as the packs write them.

What is put back is always a word of a pack, and never in place of a word that the packs know, so
a guess can only complete a rule where the rest of its words are there.

    Chinese   a homophone or pinyin for some of a word's characters, initials (`最d价`)
    English   spelled by ear (`gr8`, `kure`), without vowels (`grntd`), misspelled (`garanteed`)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import ahocorasick_rs as aho

from generation.copy.normalise import HANZI, Form, fold, folded, is_hanzi, squeeze
from generation.copy.readings import Reading
from generation.copy.sounds import sounds
from generation.copy.spelling import DIALECT, REAL, ear, skeleton

_WORD = re.compile(r"[a-z0-9]*[a-z][a-z0-9]*")
_BESIDE = re.compile(f"[{HANZI}][a-z]|[a-z][{HANZI}]")
_VOWEL = re.compile("[aeiou]")
PARTICLES = frozenset(
    "及即其在是有一以已就和与了的地得不也都将能可到给对从向为把被让跟同于而且或个这那只我你他她它们里后前"
)
"""Characters that stand beside a word by chance, and so are no homophones that hide one."""
AMOUNT = re.compile(
    r"\d+[.,]\d+|[$£€¥￥]\s*\d+"
    r"|\d+\s*(?:[元块角分折倍个件只条支瓶盒包袋片张套双年月日天号点时秒岁人次页层"
    r"米寸码号款级代期格英斤克升吨]|小时|厘米|毫升|公斤|k?g|m?l|c?m|%|％)"
)
"""Numbers that count or measure something, and so stand for no syllables."""
_SHORTEST, _LONGEST = 2, 8
"""Characters of a Chinese word that is sought by its sound."""


class Homophones:
    """Chinese words by their sound and by the initials of their pinyin."""

    def __init__(self, words: Iterable[str]) -> None:
        plain = {squeeze(*fold(word)).text for word in words}
        known = sorted(
            word
            for word in plain
            if _SHORTEST <= len(word) <= _LONGEST and all(map(is_hanzi, word))
        )
        self._by_sound: dict[str, list[str]] = {}
        for word in known:
            key = "".join(map(sounds().syllable, word))
            if len(key) == len(word):
                self._by_sound.setdefault(key, []).append(word)
        self._sounds = list(self._by_sound)
        self._heard = aho.AhoCorasick(self._sounds, implementation=aho.Implementation.DFA)
        shortened: dict[str, str] = {}
        for word in known:
            for key in _shortened(word):
                shortened.setdefault(key, word)
        self._shortened = list(shortened.items())
        self._initials = aho.AhoCorasick(list(shortened))

    def healed(self, text: str, form: Form) -> Iterator[tuple[Form, bool]]:
        """The form with words as the packs write them, where it has any that only sound so, and
        whether that is sure; else only what takes two such words is a find."""
        if _BESIDE.search(form.text):
            changes = [
                (begin, end, self._shortened[key][1])
                for key, begin, end in self._initials.find_matches_as_indexes(
                    form.text, overlapping=True
                )
            ]
            if changes:
                yield _with(form, changes), True
        spoken = sounds().spoken(form)
        counted = {place for found in AMOUNT.finditer(text) for place in range(*found.span())}
        sure, likely = [], []
        for key, begin, end in self._heard.find_matches_as_indexes(spoken.text, overlapping=True):
            if any(at in counted and text[at].isdigit() for at in spoken.at[begin:end]):
                continue
            written = [
                folded(text[first]) if last - first == 1 else ""
                for first, last in zip(spoken.at[begin:end], spoken.ends[begin:end], strict=True)
            ]
            words = self._by_sound[self._sounds[key]]
            if "".join(written) in words:
                continue
            word = max(words, key=lambda word: sum(map(str.__eq__, word, written)))
            trust = _trust(written, word)
            if trust:
                likely.append((begin, end, word))
            if trust == 2:
                sure.append((begin, end, word))
        if likely:
            plain = _as_written(text, spoken)
            if sure:
                yield _with(plain, sure), True
            if len(likely) > len(sure):
                yield _with(plain, likely), False


def _trust(written: Sequence[str], word: str) -> int:
    """Whether a word is meant by characters that sound like it: 2 surely, 1 likely, 0 not."""
    other = [a for a, b in zip(written, word, strict=True) if a != b]
    same = len(word) - len(other)
    if any(a in PARTICLES for a in other if a):
        return 0
    strange = sum(not is_hanzi(a) or not common(a) for a in other)
    if (strange == len(other) and (same or strange > 2)) or (same > 1 and same >= len(other)):
        return 2
    return 1 if same or strange == len(other) else 0


def _as_written(text: str, spoken: Form) -> Form:
    """A spoken form's places with the characters that stand there; `x` for a syllable."""
    letters = [
        (folded(text[first])[:1] or "x") if last - first == 1 else "x"
        for first, last in zip(spoken.at, spoken.ends, strict=True)
    ]
    return Form("".join(letters), spoken.at, spoken.ends, spoken.starts)


def common(letter: str) -> bool:
    """Whether it is of GB 2312's first level: 3,755 characters in daily use."""
    try:
        return "\u4e00" <= letter <= "\u9fff" and letter.encode("gb2312")[0] < 0xD8
    except UnicodeEncodeError:
        return False


def _shortened(word: str) -> Iterator[str]:
    """A word of three characters or more with one or two of them as initials."""
    if len(word) < 3:
        return
    initials = "".join(sounds().initial(letter) for letter in word)
    if len(initials) != len(word):
        return
    for size in (1, 2):
        for begin in range(len(word) - size + 1):
            if len(word) - size >= 2:
                yield word[:begin] + initials[begin : begin + size] + word[begin + size :]


def _with(form: Form, changes: list[tuple[int, int, str]]) -> Form:
    """The form with words in place of what stands there; of overlapping ones the longest."""
    kept: list[tuple[int, int, str]] = []
    for begin, end, word in sorted(changes, key=lambda each: (each[0] - each[1], each[0])):
        if all(end <= first or last <= begin for first, last, _ in kept):
            kept.append((begin, end, word))
    text: list[str] = []
    at: list[int] = []
    ends: list[int] = []
    starts: list[bool] = []
    done = 0
    for begin, end, word in [*sorted(kept), (len(form.text), len(form.text), "")]:
        text.append(form.text[done:begin])
        at += form.at[done:begin]
        ends += form.ends[done:begin]
        starts += form.starts[done:begin]
        for k, letter in enumerate(word):
            place = min(begin + k, end - 1)
            text.append(letter)
            at.append(form.at[place])
            ends.append(form.ends[end - 1] if k == len(word) - 1 else form.ends[place])
            starts.append(True)
        done = end
    return Form("".join(text), at, ends, starts)


class Misspellings:
    """English words by how they sound, and by their consonants."""

    def __init__(self, words: Iterable[str]) -> None:
        self._known = frozenset(words)
        self._by_ear: dict[str, str] = {}
        self._bare: dict[str, str] = {}
        self._long: dict[str, str] = {}
        for word in sorted(self._known, key=lambda word: (len(word), word)):
            if len(word) >= 4:
                self._by_ear.setdefault(ear(word), word)
            bones = skeleton(word)
            if len(bones) >= 4 and bones != word:
                self._bare.setdefault(bones, word)
            if len(bones) >= 5:
                self._long.setdefault(bones, word)

    def healed(self, reading: Reading) -> Reading | None:
        """The reading with its misspelled words as the packs write them; None if it has none."""
        changes = []
        for found in _WORD.finditer(reading.text):
            word = self._meant(found[0])
            if word is not None:
                changes.append((*found.span(), word))
        return reading.replaced(changes) if changes else None

    def _meant(self, token: str) -> str | None:
        if token in DIALECT:
            return DIALECT[token]
        if len(token) < 3 or token in self._known or token in REAL:
            return None
        if token[0].isdigit() and token[1:] in (
            "st",
            "nd",
            "rd",
            "th",
            "am",
            "pm",
            "cm",
            "mm",
            "ml",
            "kg",
        ):
            return None
        if not _VOWEL.search(token) and token.isalpha() and "y" not in token:
            return self._bare.get(token)
        word = self._by_ear.get(ear(token))
        if word is None and len(token) >= 7 and token.isalpha():
            word = self._long.get(skeleton(token))
            if word is not None and abs(len(word) - len(token)) > 2:
                return None
        return word
