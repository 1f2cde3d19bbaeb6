"""Chinese by its sound: each syllable as one code, so that homophones are the same text."""

from __future__ import annotations

import functools
import re

from generation.copy.normalise import Form, folded, is_hanzi

_FIRST_CODE = 0xE000
"""Of Unicode's private area: no text that is moderated holds these characters."""
_DIGITS = dict(zip("0123456789", "零一二三四五六七八九", strict=True))


class Sounds:
    """Codes of the syllables that pypinyin knows."""

    def __init__(self) -> None:
        from pypinyin.constants import PINYIN_DICT

        self._codes: dict[str, str] = {}
        self._of: dict[str, str] = {}
        self._initial: dict[str, str] = {}
        for point, readings in PINYIN_DICT.items():
            if is_hanzi(chr(point)):
                syllable = _plain(readings.split(",")[0])
                self._of[chr(point)] = self._code(syllable)
                self._initial[chr(point)] = syllable[:1]
        syllables = sorted((s for s in self._codes if len(s) > 1), key=len, reverse=True)
        self._syllable = re.compile("|".join(syllables))
        self._word = re.compile(f"(?:{'|'.join(syllables)})+")

    def _code(self, syllable: str) -> str:
        return self._codes.setdefault(syllable, chr(_FIRST_CODE + len(self._codes)))

    def syllable(self, letter: str) -> str:
        """The code of a character's syllable; empty if it has none."""
        return self._of.get(letter, "")

    def initial(self, letter: str) -> str:
        """The first Latin letter of a character's syllable; empty if it has none."""
        return self._initial.get(letter, "")

    def syllable_of(self, latin: str) -> str:
        """The code of a syllable in Latin letters; empty if it is none."""
        return self._codes.get(latin, self._codes.get(latin.replace("v", "u"), ""))

    def spoken(self, form: Form) -> Form:
        """The form with characters, and syllables in Latin letters, as codes."""
        text, at, ends, starts = [], [], [], []
        place, whole = 0, form.text
        while place < len(whole):
            letter = whole[place]
            code = self._of.get(letter) or self._of.get(_DIGITS.get(letter, ""))
            if code is None and "a" <= letter <= "z" and form.starts[place]:
                end = place + 1
                while end < len(whole) and "a" <= whole[end] <= "z" and not form.starts[end]:
                    end += 1
                if self._word.fullmatch(whole, place, end):
                    for found in self._syllable.finditer(whole, place, end):
                        text.append(self._codes[found[0]])
                        at.append(form.at[found.start()])
                        ends.append(form.ends[found.end() - 1])
                        starts.append(True)
                    place = end
                    continue
            text.append(code or letter)
            at.append(form.at[place])
            ends.append(form.ends[place])
            starts.append(form.starts[place])
            place += 1
        return Form("".join(text), at, ends, starts)


def _plain(syllable: str) -> str:
    return "".join(folded(letter) for letter in syllable)


@functools.cache
def sounds() -> Sounds:
    """The one table of sounds."""
    return Sounds()
