"""Numbers in a text, each with what it says: a price, a discount, pieces left, a date, …

They are found in a reading whose numbers are digits. A number that no pattern explains says
something that no fact can hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from generation.copy.facts import FEW, WINDOW_DAYS, Facts
from generation.copy.formatting import MONTHS, SYMBOLS, exact, percent_off, tenths

_N = r"(?P<n>\d[\d,]*(?:\.\d+)?)"
_SIGNS = sorted({*SYMBOLS.values(), "RMB", "US$", "C$"}, key=len, reverse=True)
_SIGN = "|".join(re.escape(sign) for sign in _SIGNS)
_AFTER = (
    "元|块钱?|日元|英镑|美元|欧元|港元|港币|人民币"
    "|pounds?|quid|dollars?|euros?|pence|cents?|yuan|yen|bucks?"
)
_MONTH = "|".join(f"{name[:3]}(?:{name[3:]})?" for name in MONTHS)
_CODE = r"[A-Z]{3}"
_UNITS = "days?|hours?|hrs?|minutes?|mins?|weeks?|months?|years?|people|customers|shoppers|buyers"
_PATTERNS = (
    ("date", r"(?:(?P<year>\d{4})年\s*)?(?P<month>\d{1,2})月(?P<day>\d{1,2})[日号]?"),
    ("date", r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"),
    (
        "date",
        rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<name>{_MONTH})\b\.?"
        r"(?:,?\s+(?P<year>\d{4}))?",
    ),
    (
        "date",
        rf"\b(?P<name>{_MONTH})\b\.?\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?!\d)"
        r"(?:,?\s+(?P<year>\d{4}))?",
    ),
    ("money", rf"(?P<sign>{_SIGN})\s*{_N}"),
    ("money", rf"(?<![A-Za-z])(?-i:(?P<sign>{_CODE}))\s+{_N}"),
    ("money", rf"{_N}\s*(?P<sign>{_SIGN}|{_AFTER}|(?-i:[A-Z]{{3}})\b|p\b)"),
    ("percent", rf"{_N}\s*%"),
    ("tenths", rf"{_N}\s*折"),
    ("rating", rf"{_N}\s*(?:/\s*5|out of 5|-?stars?\b|★|⭐|星|分(?!钟))"),
    ("rating", rf"(?:rated|rating|评分|打分)(?:\s+(?:of|is|at)|[为是高达]+)?[:：\s]*{_N}"),
    ("buyers", rf"{_N}\+?\s*(?:people|customers|shoppers|buyers|orders|of you)\b"),
    ("buyers", rf"{_N}\s+of them(?=\s+(?:bought|ordered|chose))"),
    ("buyers", rf"{_N}\s*(?:人|[位名]\s*(?:顾客|买家|用户|朋友)?|单)"),
    ("reviews", rf"{_N}\s*(?:(?:customer |happy )?reviews?|条评[价论]|个评[价论])"),
    ("window", rf"(?:last|past|in|within|over)\s+(?:the\s+)?(?:last\s+|past\s+)?{_N}\s*days"),
    ("window", rf"(?:最近|近|过去)\s*{_N}\s*[天日]"),
    ("window", rf"(?<=[（(]){_N}\s*天(?=内)"),
    ("window", rf"{_N}\s*天(?=里?\s*\d+\s*[人位])"),
    (
        "stock",
        rf"{_N}\s*(?:(?:pieces?|items?|of (?:these|them))\s+)?"
        r"(?:left|remain(?:s|ing)?|in stock|to go)\b",
    ),
    ("stock", rf"\b(?:only|just|last|final)\s+{_N}\b(?!\s*(?:{_UNITS}|[%折天日周人位名小分]))"),
    (
        "stock",
        rf"(?:[仅只还]剩|剩下?|最后|库存|余)[^\d。！？，]{{0,4}}{_N}(?!\d|\s*[%折天日周人位名小分月年元])"
        r"\s*[件个套只份台双本支]?",
    ),
    ("money", r"(?P<sign>)(?P<n>\d[\d,]*\.\d\d)(?!\d)"),
)
_COMPILED = [(kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _PATTERNS]
_DIGITS = re.compile(r"\d[\d,]*(?:\.\d+)?")
_BEFORE_WAS = re.compile(
    r"(?:\bwas|\bwere|instead of|\bbefore|rather than|list(?:ed)?(?: price)?(?: (?:at|of|is))?"
    r"|goodbye to"
    r"|(?:down|reduced|cut|fell|dropped|came down) from|\brrp|usually|used to (?:be|cost)"
    r"|从|由|原价|原来|原先|划线价|之前|本来|曾经)[^\w.!?。！？]*(?:是|为|要|卖)?\s*$",
    re.IGNORECASE,
)
_BEFORE_SAVING = re.compile(
    r"(?:\bsaves?(?: you)?|\bsaving(?: of| you)?|\bcut by|cheaper by|down by|knocked?|reduced by"
    r"|省下?了?|立减|直降|[便宜降减少]了?付?)[^\w.!?。！？]*$",
    re.IGNORECASE,
)
_AFTER_SAVING = re.compile(
    r"\s*(?:off|less|cheaper|discount|below|under its|in your pocket|的优惠|优惠)", re.IGNORECASE
)


@dataclass(frozen=True)
class Amount:
    """One number of a text and whether the facts hold it."""

    begin: int
    end: int
    """the span in the reading"""
    kind: str
    """price, list price, saving, discount, stock, deadline, rating, buyers, number"""
    held: bool
    why: str
    """what the facts say instead; "" where they hold it"""


def amounts(text: str, facts: Facts) -> Iterator[Amount]:
    """Every number in a reading's text, in no particular order; each digit is in just one."""
    taken = [False] * len(text)
    for kind, pattern in _COMPILED:
        for match in pattern.finditer(text):
            begin, end = match.span()
            if not any(taken[begin:end]):
                taken[begin:end] = [True] * (end - begin)
                yield _judged(kind, match, facts)
    for match in _DIGITS.finditer(text):
        if not any(taken[match.start() : match.end()]):
            yield Amount(*match.span(), "number", False, "nothing says what this number counts")


def _judged(kind: str, match: re.Match[str], facts: Facts) -> Amount:
    begin, end = match.span()
    if kind == "date":
        return Amount(begin, end, "deadline", *_date(match, facts))
    value = Decimal(match["n"].replace(",", "").rstrip("."))
    if kind == "money":
        return _money(match, value, facts)
    known, meaning = _known(kind, facts)
    if kind == "buyers" and not _says_since_when(match):
        return Amount(begin, end, "buyers", False, "it must say that they bought, in which days")
    if kind == "percent":
        reduces = _AFTER_SAVING.match(match.string, end)
        before = _BEFORE_SAVING.search(match.string, 0, begin)
        if not (reduces or before):
            return Amount(begin, end, "number", False, "this percentage is of nothing known")
    return Amount(begin, end, meaning, *_compared(value, known))


def _says_since_when(match: re.Match[str]) -> bool:
    """Whether the sentence of a number of people says that they bought, and in how many days."""
    begin = max(match.string.rfind(mark, 0, match.start()) for mark in ".!?。！？\n") + 1
    sentence = re.split(r"[.!?。！？\n]", match.string[begin:], maxsplit=1)[0]
    return bool(
        _BOUGHT.search(sentence)
        and re.search(rf"(?<!\d){WINDOW_DAYS}\s*(?:days\b|[天日])", sentence)
    )


_BOUGHT = re.compile(r"\b(?:bought|ordered|buyers|orders|chose)\b|买|下了?单|选了", re.IGNORECASE)


def _compared(value: Decimal, known: Decimal | None) -> tuple[bool, str]:
    if known is None:
        return False, "the facts have none"
    return value == known, "" if value == known else f"the facts have {known.normalize():f}"


def _known(kind: str, facts: Facts) -> tuple[Decimal | None, str]:
    """What the facts have of that kind, and the kind's name in findings."""
    listed = facts.listed
    price = None if facts.price is None else exact(facts.price, facts.currency)
    if kind == "percent":
        known = None if listed is None or price is None else Decimal(percent_off(price, listed))
        return known, "discount"
    if kind == "tenths":
        return None if listed is None or price is None else tenths(price, listed), "discount"
    if kind == "rating":
        rating = facts.rating
        return (
            None if rating is None else Decimal(str(rating)).quantize(Decimal("0.1")),
            "rating",
        )
    if kind == "buyers":
        return (
            Decimal(facts.buyers or 0) if "social_proof" in facts.evidence else None,
            "buyers",
        )
    if kind == "reviews":
        return Decimal(facts.reviews) if facts.reviews else None, "reviews"
    if kind == "window":
        return Decimal(WINDOW_DAYS), "window"
    few = facts.stock is not None and facts.stock <= FEW
    return Decimal(facts.stock or 0) if few else None, "stock"


def _money(match: re.Match[str], value: Decimal, facts: Facts) -> Amount:
    begin, end = match.span()
    before, listed = match.string[:begin], facts.listed
    price = None if facts.price is None else exact(facts.price, facts.currency)
    kind, known = "price", price
    if _BEFORE_WAS.search(before):
        kind, known = "list price", listed
    elif _BEFORE_SAVING.search(before) or _AFTER_SAVING.match(match.string, end):
        kind = "saving"
        known = None if listed is None or price is None else listed - price
    if not _same_currency(match["sign"], facts.currency):
        return Amount(begin, end, "currency", False, f"the shop's currency is {facts.currency}")
    return Amount(begin, end, kind, *_compared(value, known))


_NAMES = {
    "GBP": "£ gbp pound pounds quid 英镑",
    "USD": "$ us$ usd dollar dollars buck bucks 美元",
    "EUR": "€ eur euro euros 欧元",
    "CNY": "¥ cny rmb yuan 元 块 块钱 人民币",
    "JPY": "¥ jpy yen 日元",
    "HKD": "hk$ hkd dollar dollars 港元 港币",
}


def _same_currency(sign: str, currency: str | None) -> bool:
    """Whether this is how the shop's currency is written; hundredths (pence, cents) never are."""
    if not sign or currency is None:
        return not sign
    names = _NAMES.get(currency, "").split()
    return sign.strip().lower() in (*names, currency.lower(), SYMBOLS.get(currency, "").lower())


def _date(match: re.Match[str], facts: Facts) -> tuple[bool, str]:
    until = facts.available_until
    if until is None or "deadline" not in facts.evidence:
        return False, "the facts have no deadline"
    groups = match.groupdict()
    month = (
        int(groups["month"])
        if groups.get("month")
        else [name[:3].lower() for name in MONTHS].index(groups["name"][:3].lower()) + 1
    )
    year = int(groups["year"]) if groups.get("year") else until.year
    said = (year, month, int(groups["day"]))
    held = said == (until.year, until.month, until.day)
    return held, "" if held else f"the facts have {until.date()}"
