"""Personal data in copy, found by its form in the folded text, also where it is spelled out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ingestion.scrub import REGIONS, is_bank_card, is_identity_card

Spans = Iterator[tuple[int, int]]
_NUMERALS = str.maketrans("零〇一二三四五六七八九幺两", "0012345678912")
_IN_NUMBER = re.compile(r"(?<=\d)[oil](?=[\doil])")
_WORD = "(?:double )?(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)"
_IN_WORDS = re.compile(rf"\b(?:{_WORD}[\s,-]{{1,2}}){{8,}}{_WORD}\b")
_NOT_COUNTING = re.compile(r"\b(?:zero|oh|double)\b")
"""A nought, or the same digit twice, tells a number said digit by digit from counting."""
_LETTER_DIGITS = str.maketrans("oil", "011")
_SPELLED = re.compile(r"(?:[零〇一二三四五六七八九幺两][\W_]{0,2}){6,}")
_MANY = re.compile(r"(?:\d[^\da-z\u4e00-\u9fff]{0,3}){6}\d")
_DIGIT = re.compile(r"\d")
_GAP = r"[^\da-z\u4e00-\u9fff]{0,3}"

_EMAIL = re.compile(
    r"[\w.+-]+\s?@\s?[\w-]+(?:\s?\.\s?[\w-]+)+"
    r"|[\w.+-]+\s*[\[({<【（]\s*(?:at|@|艾特)\s*[\])}>】）]\s*[\w-]+(?:\s*[\[({<【（]?\s*(?:dot|点|\.)"
    r"\s*[\])}>】）]?\s*[a-z]{2,})+"
    r"|[\w.+-]+\s+at\s+[\w-]+\s+dot\s+[a-z]{2,}|[\w.+-]+\s?艾特\s?[\w-]+\s?[点.]\s?[a-z]{2,}"
    r"|[a-z][\w.+-]*_at_[\w.-]+\.[a-z]{2,}"
    r"|[\w.+-]+#(?:qq|163|126|gmail|hotmail|outlook|sina|yahoo)\.c(?:om|n)\b"
)
_MOBILE = re.compile(rf"(?<!\d)(?:\+?86{_GAP})?1{_GAP}[3-9](?:{_GAP}\d){{9}}(?!\d)")
_DATED = re.compile(r"20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)")
"""A number that begins with a date, as a batch's does: 20260114-07."""
_LANDLINE = re.compile(r"(?<!\d)\(?0(?:10|2\d|[3-9]\d{2})\)?[\s-]{0,2}[2-8]\d{6,7}(?!\d)")
_SERVICE = re.compile(
    r"(?<!\d)(?:[48]00[\s-]?\d{3,4}[\s-]?\d{3,4}|0?[38]00[\s-]?\d{3,4}[\s-]?\d{3,4})"
)
_IDENTITY = re.compile(rf"(?<!\d)\d(?:{_GAP}\d){{16}}{_GAP}[\dx](?![\da-z])")
_BORN = re.compile(r"[1-8]\d{5}(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}")
"""A region, a date of birth and a number, though the check digit be wrong."""
_OTHER_IDENTITY = re.compile(
    r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])|(?:身份证|护照)\w{0,4}\W{0,3}[a-z]?\d{7,17}[\dx]"
    r"|\b(?:ssn|social security(?: number)?|passport(?: number| no)?)\W{0,4}[a-z]?\d[\d -]{6,}\d"
    r"|\b[a-ceghj-prstw-z]{2}\s?\d{2}\s?\d{2}\s?\d{2}\s?[a-d]\b"
)
_CARD = re.compile(rf"(?<!\d)[3-6](?:{_GAP}\d){{13,18}}(?!\d)")
_GROUPED_CARD = re.compile(
    r"(?<![\d-])[3-6]\d{3}([ -])\d{4}\1\d{4}\1\d{3,4}(?:\1\d{1,3})?(?![\d-])"
)
_LABELLED_CARD = re.compile(
    r"(?:银行卡|信用卡|储蓄卡|卡号|card (?:number|no))\D{0,6}\d(?:[ -]?\d){11,18}"
)
_ADDRESS = re.compile(
    r"\b\d{1,5}[a-z]?,?\s+(?:[a-z][\w'-]*\s+){1,3}(?:street|st|road|rd|avenue|ave|lane|ln|drive|"
    r"boulevard|blvd|court|crescent|terrace|close)\b"
    r"|\b[a-z]{1,2}\d[a-z\d]?\s\d[abd-hjlnp-uw-z]{2}\b"
    r"|[\u4e00-\u9fff]{2,}?(?:路|街|道|巷|弄|村)\s?\d+\s?[号弄][\u4e00-\u9fff\d\s]{0,14}?\d\s?(?:室|单元|栋|幢|房|楼|门)"
    r"|[\u4e00-\u9fff]{2,}(?:小区|花园|公寓|家园|苑|新村)\s?\d+\s?[号栋幢座]?(?:楼|单元)?\s?\d*\s?(?:单元|室|楼|号)"
    r"|(?:寄到|寄往|送到|送至|收货地址|家庭住址|住址|家住|住在)\W{0,3}[\u4e00-\u9fff]{2,}?(?:路|街|道|巷|弄|村)\s?\d+\s?号"
)
_ACCOUNT = re.compile(
    r"(?:微信|wei信|we信|威❤|[加+]\s?[微薇威卫维魏]|薇信|威信|徽信|[vw]信|维信|\+\s?v|加v|扣扣|企鹅号|飞信"
    r"|(?<![a-z])(?:we\s?chat|weixin|[vw]x|q\s?q|whatsapp|telegram|snapchat|skype|instagram|insta|ig"
    r"|tiktok|facebook|fb|discord|kik|viber|line|signal)(?![a-z]))"
    r"\s?(?:号码?|搜|[❤♥💚]|群|id|同号|me(?: on)?|handle|name)?\s?(?:[:=是为]|is)?\s?@?"
    r"(?:[a-z][a-z\d_-]*\d[\w-]*|[a-z]\w*_\w+|\d(?: ?\d){4,11})"
)


def _numbers(plain: str) -> str:
    """The same length, with digits for numerals that are spelled out and for o, i and l between."""
    text = _SPELLED.sub(lambda found: found[0].translate(_NUMERALS), plain)
    return _IN_NUMBER.sub(lambda found: found[0].translate(_LETTER_DIGITS), text)


def _email(plain: str) -> Spans:
    if "@" in plain or "at" in plain or "艾特" in plain or "#" in plain:
        yield from (found.span() for found in _EMAIL.finditer(plain))


def _phone(plain: str) -> Spans:
    for found in _IN_WORDS.finditer(plain):
        if _NOT_COUNTING.search(found[0]):
            yield found.span()
    text = _numbers(plain)
    if _MANY.search(text) is None:
        return
    service = [found.span() for found in _SERVICE.finditer(text)]
    for pattern in (_MOBILE, _LANDLINE):
        for found in pattern.finditer(text):
            if not any(begin < found.end() and found.start() < end for begin, end in service):
                yield found.span()
    yield from _dialled(text)


def _dialled(text: str) -> Spans:
    import phonenumbers

    kinds = phonenumbers.PhoneNumberType
    shared = (kinds.TOLL_FREE, kinds.SHARED_COST, kinds.PREMIUM_RATE, kinds.UAN)
    for region in REGIONS:
        for match in phonenumbers.PhoneNumberMatcher(text, region):
            if phonenumbers.number_type(match.number) in shared:
                continue
            if match.raw_string.isdigit() and not match.raw_string.startswith("0"):
                continue  # as likely an order number
            if _DATED.match(match.raw_string):
                continue  # a batch or an order
            yield match.start, match.end


def _identity(plain: str) -> Spans:
    text = _numbers(plain)
    if _MANY.search(text) is None:
        return
    for found in _IDENTITY.finditer(text):
        digits = re.sub(r"[^\dx]", "", found[0])
        if is_identity_card(digits) or _BORN.match(digits):
            yield found.span()
    yield from (found.span() for found in _OTHER_IDENTITY.finditer(text))


def _bank_card(plain: str) -> Spans:
    text = _numbers(plain)
    if _MANY.search(text) is None:
        return
    yield from (found.span() for found in _CARD.finditer(text) if is_bank_card(found[0]))
    yield from (found.span() for found in _LABELLED_CARD.finditer(text))
    yield from (found.span() for found in _GROUPED_CARD.finditer(text))


def _address(plain: str) -> Spans:
    text = plain.translate(_NUMERALS)
    if _DIGIT.search(text):
        yield from (found.span() for found in _ADDRESS.finditer(text))


def _account(plain: str) -> Spans:
    yield from (found.span() for found in _ACCOUNT.finditer(_numbers(plain)))


DETECT: dict[str, Callable[[str], Spans]] = {
    "email": _email,
    "phone": _phone,
    "identity": _identity,
    "bank-card": _bank_card,
    "address": _address,
    "account": _account,
}
"""Kind → its places in a folded text."""
