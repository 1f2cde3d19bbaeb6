"""Variants' templates with an item's words in them, as they are sent and as they are verified."""

from __future__ import annotations

import re

from generation.copy.formatting import SYMBOLS, language_of, money

SLOT = re.compile(r"\{(item|price|brand|category)\}")
_UNITS = {"CNY": ("元", "块"), "JPY": ("日元",)}
"""What a text may write after an amount in place of the sign before it."""


def filled(
    template: str,
    item: str,
    price: float | None,
    brand: str,
    category: str,
    currency: str | None,
    locale: str,
) -> str:
    """The text with `{item}`, `{price}`, `{brand}` and `{category}` filled in; other braces stay.

    price: in the shop's currency, and written with it (`money`), unless the template has it
    beside the slot already: "£{price}" gives £4.95, too. None: nothing is written.
    """
    language = language_of(locale)

    def words(match: re.Match[str]) -> str:
        if match[1] != "price":
            return {"item": item, "brand": brand, "category": category}[match[1]]
        if price is None:
            return ""
        said = _said(template[: match.start()], template[match.end() :], currency)
        return money(price, currency, language, sign=not said)

    return SLOT.sub(words, template)


def _said(before: str, after: str, currency: str | None) -> bool:
    """Whether a text names the currency just before or just after an amount."""
    if currency is None:
        return False
    signs = (SYMBOLS.get(currency, currency), currency)
    later = after.lstrip()
    return before.rstrip().endswith(signs) or later.startswith((*signs, *_UNITS.get(currency, ())))
