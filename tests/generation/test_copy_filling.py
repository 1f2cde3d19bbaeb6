"""Templates with an item's words in them."""

import pytest

from generation.copy.filling import filled


@pytest.mark.parametrize(
    ("template", "currency", "locale", "text"),
    [
        ("{item} by {brand} in {category}: {price}", "GBP", "en", "Mug by Fern in cups: £1,204.50"),
        ("{price}", "SEK", "", "SEK 1,204.50"),
        ("{price}", None, "en", "1,204.50"),
        ("{price}", "JPY", "en", "¥1,205"),
        ("只要{price}", "CNY", "zh-CN", "只要1,204.5元"),
        ("Now £{price}", "GBP", "en", "Now £1,204.50"),
        ("Now {price} GBP", "GBP", "en", "Now 1,204.50 GBP"),
        ("只要{price}元", "CNY", "zh", "只要1,204.50元"),
        ("只要¥{price}", "CNY", "zh", "只要¥1,204.50"),
        ("{stock} {item}", "GBP", "en", "{stock} Mug"),
    ],
)
def test_a_price_is_written_with_its_currency_once(template, currency, locale, text):
    assert filled(template, "Mug", 1204.5, "Fern", "cups", currency, locale) == text


def test_what_has_no_price_says_none():
    assert filled("{item} {price}", "Mug", None, "", "", "GBP", "en") == "Mug "
