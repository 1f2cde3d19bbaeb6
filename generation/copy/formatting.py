"""Amounts, dates and numbers as a reader of each language writes them."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

LOCALES = ("en", "zh")
SYMBOLS = {
    "GBP": "£",
    "USD": "$",
    "EUR": "€",
    "CNY": "¥",
    "JPY": "¥",
    "HKD": "HK$",
    "TWD": "NT$",
    "AUD": "A$",
    "CAD": "CA$",
    "KRW": "₩",
    "INR": "₹",
}
"""Currency code → the sign before an amount; any other currency is written by its code."""
WITHOUT_DECIMALS = frozenset({"JPY", "KRW", "VND", "CLP", "ISK"})
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)


def tidy(title: str) -> str:
    """A title without double spaces and without spaces before a comma, as "Key fob , shed" has."""
    return re.sub(r"\s+([,;:])", r"\1", " ".join(title.split()))


def language_of(locale: str | None) -> str:
    """`en` or `zh` of a locale's name (zh-CN, en_GB, …); English where it is another or none."""
    return "zh" if (locale or "").lower().startswith("zh") else "en"


def exact(amount: float | Decimal, currency: str | None) -> Decimal:
    """The amount in the smallest unit that the currency has."""
    unit = Decimal(1) if currency in WITHOUT_DECIMALS else Decimal("0.01")
    return Decimal(str(amount)).quantize(unit, ROUND_HALF_UP)


def money(amount: float | Decimal, currency: str | None, locale: str, sign: bool = True) -> str:
    """An amount of money: £1,204.50; 1,204.5元 for yuan in Chinese; 4.50 without a currency, or
    without its `sign`."""
    value = exact(amount, currency)
    if currency is None or not sign:
        return f"{value:,}"
    if currency == "CNY" and locale == "zh":
        return f"{plain(value)}元"
    if currency == "JPY" and locale == "zh":
        return f"{value:,}日元"
    return f"{SYMBOLS.get(currency, f'{currency} ')}{value:,}"


def plain(value: Decimal) -> str:
    """A number without needless zeros: 8.50 is 8.5, 20.00 is 20."""
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent_off(price: Decimal, listed: Decimal) -> int:
    """Whole percent by which a price is below another, rounded down: never more than is true."""
    return int(((listed - price) / listed * 100).to_integral_value(ROUND_FLOOR))


def tenths(price: Decimal, listed: Decimal) -> Decimal:
    """The price as tenths of the other (the Chinese zhe: 8.5 is 85 %), rounded up to one
    decimal: never less than is paid."""
    return (price / listed * 10).quantize(Decimal("0.1"), ROUND_CEILING)


def day(instant: datetime, locale: str) -> str:
    """A date without its year: 9 December; 12月9日."""
    if locale == "zh":
        return f"{instant.month}月{instant.day}日"
    return f"{instant.day} {MONTHS[instant.month - 1]}"
