"""Copy: a variant's templates with the item's words in them."""

from __future__ import annotations

import re

from mdp.catalog import Items

_SLOT = re.compile(r"\{(item|price|brand|category)\}")


def render(template: str, items: Items, row: int) -> str:
    """The text with `{item}`, `{price}`, `{brand}` and `{category}` filled in; other braces
    stay."""
    words = {
        "item": items.titles[row] or items.ids[row],
        "price": f"{items.price[row]:.2f}",
        "brand": items.brands[row],
        "category": items.categories[row],
    }
    return _SLOT.sub(lambda match: words[match[1]], template)
