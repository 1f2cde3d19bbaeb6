"""How people write what a filter should not read: each evasion changes one marked phrase.

Written apart from `generation.copy`: its tables of letters, splits and sounds are not used here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

Evasion = Callable[[str, np.random.Generator], str]
_CYRILLIC = dict(zip("aceopxyiksmt", "асеорхуікѕмт", strict=True))
_LEET = {"a": "4@", "e": "3", "i": "1!", "o": "0", "s": "5$", "t": "7+", "l": "1|", "b": "8"}
_SPLITS = {"好": "女子", "最": "日取", "低": "亻氐", "级": "纟及", "顶": "丁页", "独": "犭虫",
           "佳": "亻圭", "妈": "女马", "赌": "贝者", "极": "木及", "强": "弓虽", "保": "亻呆",
           "价": "亻介", "胖": "月半", "治": "氵台", "减": "冫咸"}  # fmt: skip
_SOUNDS = {
    "最": "罪醉嘴", "第": "弟帝地", "国": "帼", "级": "及吉极", "顶": "鼎",
    "全": "权泉", "网": "王往", "价": "架嫁", "低": "滴", "保": "宝饱",
    "赚": "撰转", "治": "制置", "独": "读毒", "唯": "维惟", "逼": "比笔",
    "妈": "马麻", "操": "糙", "免": "勉", "领": "岭", "限": "线现",
    "量": "亮两", "抢": "呛", "效": "笑孝", "癌": "爱", "佳": "家加",
    "品": "拼", "首": "手守", "销": "消肖", "冠": "贯官", "机": "鸡",
    "剩": "胜圣", "折": "哲", "收": "手", "益": "亿", "疗": "辽",
    "女": "钕", "鬼": "轨",
}  # fmt: skip
_EMOJI = "🔥✨💥🎉⭐"


def _between(marks: str, most: int = 1) -> Evasion:
    def evade(text: str, rng: np.random.Generator) -> str:
        mark = marks[rng.integers(len(marks))]
        return (mark * int(rng.integers(1, most + 1))).join(text.replace(" ", ""))

    return evade


def _unseen(text: str, rng: np.random.Generator) -> str:
    """Looks as before: spaces stay."""
    marks = "\u200b\u200d\u2060\ufeff\u00ad"
    return marks[rng.integers(len(marks))].join(text)


def _words_between(marks: str) -> Evasion:
    """One break inside each word."""

    def evade(text: str, rng: np.random.Generator) -> str:
        mark = marks[rng.integers(len(marks))]
        out = []
        for word in text.split(" "):
            cut = int(rng.integers(1, len(word))) if len(word) > 3 else 0
            out.append(f"{word[:cut]}{mark}{word[cut:]}" if cut else word)
        return " ".join(out)

    return evade


def _swap(table: dict[str, str], share: float) -> Evasion:
    """Some characters, at least one, by one that the table gives."""

    def evade(text: str, rng: np.random.Generator) -> str:
        places = [n for n, letter in enumerate(text) if letter.lower() in table]
        if not places:
            return text
        chosen = {n for n in places if rng.random() < share} or {places[0]}
        return "".join(
            table[letter.lower()][rng.integers(len(table[letter.lower()]))]
            if n in chosen
            else letter
            for n, letter in enumerate(text)
        )

    return evade


def _split(text: str, rng: np.random.Generator) -> str:
    return "".join(_SPLITS.get(letter, letter) for letter in text)


def _wide(text: str, rng: np.random.Generator) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def _styled(text: str, rng: np.random.Generator) -> str:
    """Mathematical bold, or letters in circles."""
    first = (0x1D41A, 0x24D0)[rng.integers(2)]
    return "".join(chr(first + ord(c) - 97) if "a" <= c <= "z" else c for c in text.lower())


def _accents(text: str, rng: np.random.Generator) -> str:
    return "".join(c + "\u0301" if c in "aeiouAEIOU" else c for c in text)


def _stretch(text: str, rng: np.random.Generator) -> str:
    places = [n for n, c in enumerate(text) if c.isalpha()]
    place = places[rng.integers(len(places))] if places else 0
    return text[:place] + text[place] * int(rng.integers(3, 6)) + text[place + 1 :]


def _case(text: str, rng: np.random.Generator) -> str:
    return "".join(c.upper() if rng.random() < 0.5 else c.lower() for c in text)


def _masked(text: str, rng: np.random.Generator) -> str:
    """A star in place of one inner letter of each word, or one inner character."""

    def word(letters: str) -> str:
        if len(letters) < 4:
            return letters
        place = int(rng.integers(1, len(letters) - 1))
        return letters[:place] + "*" + letters[place + 1 :]

    return " ".join(word(each) for each in text.split(" "))


def _traditional(text: str, rng: np.random.Generator) -> str:
    return _opencc().convert(text)


@functools.cache
def _opencc() -> Any:
    from opencc import OpenCC

    return OpenCC("s2t")


def _latin(text: str, rng: np.random.Generator) -> str:
    """One character as its pinyin."""
    from pypinyin import lazy_pinyin

    places = [n for n, c in enumerate(text) if "\u4e00" <= c <= "\u9fff"]
    if not places:
        return text
    place = places[rng.integers(len(places))]
    return text[:place] + lazy_pinyin(text)[_syllable(text, place)] + text[place + 1 :]


def _syllable(text: str, place: int) -> int:
    from pypinyin import lazy_pinyin

    return len(lazy_pinyin(text[: place + 1])) - 1


def _numerals(text: str, rng: np.random.Generator) -> str:
    return text.translate(str.maketrans("0123456789", "零一二三四五六七八九"))


def _circled(text: str, rng: np.random.Generator) -> str:
    return text.translate(str.maketrans("0123456789", "⓪①②③④⑤⑥⑦⑧⑨"))


BOTH: dict[str, Evasion] = {
    "zero-width": _unseen,
    "spaces": _between(" \u3000"),
    "dots": _between("·.-_*~", 2),
    "emoji": _between(_EMOJI),
    "full width": _wide,
}
CHINESE: dict[str, Evasion] = {
    "traditional": _traditional,
    "homophone": _swap(_SOUNDS, 0.3),
    "pinyin": _latin,
    "split": _split,
    "star": _masked,
}
ENGLISH: dict[str, Evasion] = {
    "leetspeak": _swap(_LEET, 0.4),
    "look-alikes": _swap(_CYRILLIC, 0.5),
    "styled letters": _styled,
    "accents": _accents,
    "stretched": _stretch,
    "mixed case": _case,
    "broken words": _words_between(" -./"),
    "star": _masked,
}
PERSONAL: dict[str, Evasion] = {
    "full width": _wide,
    "zero-width": BOTH["zero-width"],
    "spaces": _between(" "),
    "circled": _circled,
    "numerals": _numerals,
}


def evasions(kind: str, language: str) -> dict[str, Evasion]:
    """Those that fit a kind of violation in a language."""
    if kind == "personal":
        return PERSONAL
    return {**BOTH, **(CHINESE if language == "zh" else ENGLISH)}
