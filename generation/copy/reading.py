"""A text as the verifier reads it: normal width, simplified, numbers in digits.

"Twenty-five percent", "２５％" and 百分之二十五 all become 25 and a sign, so that
one set of patterns finds every number. Each character knows where it comes from.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

GONE = "\ue000"
"""Stands in a reading for what the facts hold: a name, a quotation."""
OWNED = "\ue001"
"""Stands for the name of an item that the reader bought."""
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufe00-\ufe0f]")
_SIMPLE = str.maketrans(
    "僅剩餘優惠價銷後買賣漲減續現貨搶購萬億兩雙幾倉庫極絕級獨領導頂點訂單評論顧過截時間號來這個們讚贊譽從",
    "仅剩余优惠价销后买卖涨减续现货抢购万亿两双几仓库极绝级独领导顶点订单评论顾过截时间号来这个们赞赞誉从",
)
_UNITS = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
WORDS = {
    **{word: n for n, word in enumerate(_UNITS)},
    **{word: 10 * (n + 2) for n, word in enumerate(_TENS)},
}
_GROUPS = {"hundred": 100, "thousand": 1000, "million": 1_000_000, "dozen": 12}
_WORD = "|".join(sorted([*WORDS, *_GROUPS], key=len, reverse=True))
_NUMBER_WORDS = re.compile(
    rf"\b(?:an? (?=(?:{'|'.join(_GROUPS)})\b))?(?:{_WORD})(?:(?: and |[ -])(?:{_WORD}))*\b",
    re.IGNORECASE,
)
_NOT_NUMBERS = re.compile(
    r"\b(?:the|this|that|which|no|any|every|each|some|another) one\b|\bone(?='s)"
    r"|\bone (?:more|last) (?:look|thought)\b|\bone of (?:a kind|them|us)\b"
    r"|一[起下直定样旦般切致向路边并些点眼看瞧想心手笑提声句栏周走顾轻阵暖面杯]|[看试想这那每逛歇比算松走坐]一|第一[眼次]|十[分足]|万一|千万别|千般|百般"
    r"|[统单专]一|四季|百[搭变看]|千变万化|五彩|两全|两相宜|四溢|半天",
    re.IGNORECASE,
)
"""Words that hold a numeral and count nothing."""
_HALF = re.compile(r"\bhalf[- ](?:the )?(?:price|off)\b|半价|对折", re.IGNORECASE)
_HAN_DIGITS = {char: n for n, char in enumerate("零一二三四五六七八九")} | {
    "〇": 0,
    "两": 2,
    "双": 2,
    "俩": 2,
    "壹": 1,
    "贰": 2,
    "叁": 3,
    "肆": 4,
    "伍": 5,
    "陆": 6,
    "柒": 7,
    "捌": 8,
    "玖": 9,
}
_HAN_UNITS = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000}
_HAN_GROUPS = {"万": 10_000, "亿": 100_000_000}
_HAN = "零〇一二三四五六七八九两俩壹贰叁肆伍陆柒捌玖十拾百佰千仟万亿"
_HAN_NUMBER = re.compile(rf"百分之|[{_HAN}]+(?:点[零〇一二三四五六七八九]+)?")
_PERCENT_HAN = re.compile(r"百分之\s*(\d+(?:\.\d+)?)")
_PERCENT_WORDS = re.compile(r"(\d)\s*(?:percent|per cent|pct)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """A text in which numbers are digits, and where each of its characters comes from."""

    text: str
    origin: tuple[tuple[int, int], ...]
    """for each character, the span [begin, end) of the original text"""

    def span(self, begin: int, end: int) -> tuple[int, int]:
        """The span of the original text that [begin, end) of this one comes from."""
        if begin >= end:
            return (0, 0)
        return (self.origin[begin][0], self.origin[end - 1][1])

    def replaced(
        self, pattern: re.Pattern[str], by: Callable[[re.Match[str]], str | None]
    ) -> Reading:
        """With each match of `pattern` replaced, unless `by` returns None for it."""
        text, origin, last = [], list[tuple[int, int]](), 0
        for match in pattern.finditer(self.text):
            new = by(match)
            if new is None or match.start() == match.end():
                continue
            begin, end = match.span()
            text += [self.text[last:begin], new]
            origin += self.origin[last:begin]
            origin += [self.span(begin, end)] * len(new)
            last = end
        text.append(self.text[last:])
        return Reading("".join(text), (*origin, *self.origin[last:]))


@lru_cache(4096)
def normalised(text: str) -> Reading:
    """The text in normal width, simplified characters, without what can't be seen; apostrophes
    and quotation marks straight. Numbers stay as they are written."""
    chars, origin = [], []
    for place, char in enumerate(text):
        if _INVISIBLE.match(char):
            continue
        for plain in unicodedata.normalize("NFKC", char).translate(_SIMPLE):
            chars.append({"’": "'", "‘": "'", "“": '"', "”": '"', "−": "-"}.get(plain, plain))
            origin.append((place, place + 1))
    return Reading("".join(chars), tuple(origin))


def in_digits(reading: Reading) -> Reading:
    """The reading with every number that is written in words or Chinese numerals in digits."""
    innocent = [match.span() for match in _NOT_NUMBERS.finditer(reading.text)]

    def outside(match: re.Match[str], value: Callable[[str], str | None]) -> str | None:
        begin, end = match.span()
        if any(first < end and begin < last for first, last in innocent):
            return None
        return value(match[0])

    reading = reading.replaced(_HALF, lambda match: "50% off" if match[0].isascii() else "5折")
    reading = reading.replaced(_NUMBER_WORDS, lambda match: outside(match, _english))
    innocent = [match.span() for match in _NOT_NUMBERS.finditer(reading.text)]
    reading = reading.replaced(_HAN_NUMBER, lambda match: outside(match, _chinese))
    reading = reading.replaced(_PERCENT_HAN, lambda match: f"{match[1]}%")
    return reading.replaced(_PERCENT_WORDS, lambda match: f"{match[1]}%")


def _english(words: str) -> str | None:
    total, current = 0, 0
    for word in re.split(r"[\s-]+", words.lower()):
        if word in ("and", "a", "an"):
            continue
        if word in _GROUPS:
            current = max(current, 1) * _GROUPS[word]
            if _GROUPS[word] >= 1000:
                total, current = total + current, 0
        else:
            current += WORDS[word]
    return str(total + current)


def _chinese(text: str) -> str | None:
    if text == "百分之":
        return None
    whole, _, rest = text.partition("点")
    if all(char in _HAN_DIGITS for char in whole):
        value = "".join(str(_HAN_DIGITS[char]) for char in whole)
    else:
        total = section = digit = 0
        for char in whole:
            if char in _HAN_DIGITS:
                digit = _HAN_DIGITS[char]
            elif char in _HAN_UNITS:
                section += max(digit, 1 if not section else digit) * _HAN_UNITS[char]
                digit = 0
            else:
                total = (total + section + digit) * _HAN_GROUPS[char]
                section = digit = 0
        value = str(total + section + digit)
    return value + ("." + "".join(str(_HAN_DIGITS[char]) for char in rest) if rest else "")
