"""Finds personal data in texts by its form: e-mail, phone, identity card, bank card, address."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

REGIONS = ("CN", "GB", "US")
"""Countries whose national phone numbers are known, beside international ones."""
_DIGITS = re.compile(r"(?:\d[\s().-]*){7}")
_PATTERNS = {
    "email": re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    "ip": re.compile(
        r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])"
    ),
    "address": re.compile(
        # A number and a street, or a British postcode; a street and number in Chinese.
        r"\b\d{1,5}[a-zA-Z]?\s+(?:[A-Z][\w'-]*\s+){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|"
        r"Drive|Dr|Boulevard|Blvd|Court|Ct|Square|Sq|Way|Close|Terrace)\b\.?"
        r"|\b[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}\b"
        r"|(?:[\u4e00-\u9fff]{2,8}(?:省|市|区|县|镇))*[\u4e00-\u9fff]{2,8}(?:路|街|道|巷|弄)\d+号"
        r"(?:[\u4e00-\u9fff\d]{0,12}(?:室|楼|单元|栋|幢))?"
    ),
}
_CARD = re.compile(r"(?<!\d)\d{17}[\dXx](?!\d)")
_BANK = re.compile(r"(?<!\d)(?:\d[ -]?){12,18}\d(?!\d)")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def scrubbed(text: str, regions: Sequence[str] = REGIONS) -> tuple[str, Counter[str]]:
    """The text with each find replaced by its kind (`<email>`), and how many of each kind.

    Names have no form and are not found.
    """
    found: Counter[str] = Counter()

    def mark(kind: str) -> str:
        found[kind] += 1
        return f"<{kind}>"

    text = _PATTERNS["email"].sub(lambda match: mark("email"), text)
    text = _PATTERNS["ip"].sub(lambda match: mark("ip"), text)
    text = _CARD.sub(lambda m: mark("id-card") if is_identity_card(m[0]) else m[0], text)
    text = _BANK.sub(lambda m: mark("bank-card") if is_bank_card(m[0]) else m[0], text)
    if _DIGITS.search(text):
        text = _without_phones(text, regions, found)
    text = _PATTERNS["address"].sub(lambda match: mark("address"), text)
    return text, found


def _without_phones(text: str, regions: Sequence[str], found: Counter[str]) -> str:
    import phonenumbers

    for region in regions:
        matches = list(phonenumbers.PhoneNumberMatcher(text, region))
        for match in reversed(matches):
            text = f"{text[: match.start]}<phone>{text[match.end :]}"
        found["phone"] += len(matches)
    return text


def is_identity_card(number: str) -> bool:
    """Whether the check digit of a Chinese identity number is right (GB 11643-1999)."""
    rest = sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False)) % 11
    return "10X98765432"[rest] == number[-1].upper()


def is_bank_card(written: str) -> bool:
    """Whether the digits fulfil Luhn's formula (ISO/IEC 7812-1)."""
    digits = [int(digit) for digit in re.sub(r"\D", "", written)][::-1]
    doubled = [
        digit if n % 2 == 0 else (2 * digit - 9 if digit > 4 else 2 * digit)
        for n, digit in enumerate(digits)
    ]
    return sum(doubled) % 10 == 0
