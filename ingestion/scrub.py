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
        # A number and a street, or a British postcode; in Chinese what follows the word address,
        # a street and number, a city's or district's place with a building, a building and flat.
        r"\b\d{1,5}[a-zA-Z]?\s+(?:[A-Z][\w'-]*\s+){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|"
        r"Drive|Dr|Boulevard|Blvd|Court|Ct|Square|Sq|Way|Close|Terrace)\b\.?"
        r"|\b[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}\b"
        r"|(?<=[地住]址[：:])[^<，。；！？\n]{4,60}"
        r"|(?:[\u4e00-\u9fff]{2,8}(?:省|市|区|县|镇))*[\u4e00-\u9fff]{2,8}(?:路|街|道|巷|弄)\d+号"
        r"(?:[\u4e00-\u9fff\d]{0,12}(?:室|楼|单元|栋|幢))?"
        r"|(?:[\u4e00-\u9fff]{2,8}(?:省|市|区|县|镇)){1,4}[^<，。；！？\n]{0,30}?[\dA-Z]+(?:号楼|号|栋|幢|座)"
        r"(?:\d+(?:单元|层|楼|室)?){0,3}"
        r"|\d+(?:号楼|栋|幢)(?:\d+单元)?\d{3,4}室?"
    ),
}
_NATIONAL = re.compile(
    # US social security and British national insurance numbers, as they are written.
    r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\d-])"
    r"|\b(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]\b"
)
_IBAN = re.compile(r"\b[A-Z]{2}\d\d(?: ?[A-Z\d]{4}){2,7}(?: ?[A-Z\d]{1,3})?\b")
_CARD = re.compile(r"(?<!\d)\d{17}[\dXx](?!\d)")
_CHINESE_MOBILE = re.compile(r"(?<!\d)(?:(?:\+|00)86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?!\d)")
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
    text = _NATIONAL.sub(lambda match: mark("id-card"), text)
    text = _IBAN.sub(lambda m: mark("bank-card") if _is_iban(m[0]) else m[0], text)
    # Before bank cards: a phone number may fulfil their formula by chance.
    text = _CHINESE_MOBILE.sub(lambda match: mark("phone"), text)
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
        if matches:
            found["phone"] += len(matches)
    return text


def is_identity_card(number: str) -> bool:
    """Whether the check digit of a Chinese identity number is right (GB 11643-1999)."""
    rest = sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False)) % 11
    return "10X98765432"[rest] == number[-1].upper()


def _is_iban(written: str) -> bool:
    """Whether the check digits of an account number are right (ISO 13616)."""
    number = written.replace(" ", "")
    return int("".join(str(int(each, 36)) for each in number[4:] + number[:4])) % 97 == 1


def is_bank_card(written: str) -> bool:
    """Whether the digits fulfil Luhn's formula (ISO/IEC 7812-1)."""
    digits = [int(digit) for digit in re.sub(r"\D", "", written)][::-1]
    doubled = [
        digit if n % 2 == 0 else (2 * digit - 9 if digit > 4 else 2 * digit)
        for n, digit in enumerate(digits)
    ]
    return sum(doubled) % 10 == 0
