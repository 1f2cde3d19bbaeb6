"""What counts as a claim, in English and Chinese: the patterns of `data/claims.toml`."""

from __future__ import annotations

import re
import tomllib
from functools import cache, lru_cache
from importlib.resources import files

from generation.copy.reading import in_digits, normalised

_OF_READERS = ("viewed", "cart", "bought", "likes", "review")
"""Claims about readers and reviewers: "basket" names a shelf, too."""
_SHELF = re.compile(
    r"\b(?:the|our|all|and|items?|products?|corner|section|shop|store|bin|shelf|now|today|collection"
    r"|of the (?:week|month|day))\b|专区|专场|专享|专柜|系列|商品|产品|[区类款]$",
    re.IGNORECASE,
)
"""What a category's name adds to a claim without naming goods."""


@cache
def claims() -> dict[str, dict[str, list[re.Pattern[str]]]]:
    """Kind of claim → language → patterns."""
    text = (files("generation.copy") / "data" / "claims.toml").read_text("utf-8")
    return {
        kind: {
            language: [re.compile(pattern, re.IGNORECASE) for pattern in patterns]
            for language, patterns in by.items()
        }
        for kind, by in tomllib.loads(text).items()
    }


@cache
def any_claim(kind: str, language: str) -> re.Pattern[str]:
    """All patterns of a kind in one: most texts hold none of them."""
    alternatives = (f"(?:{pattern.pattern})" for pattern in claims()[kind][language])
    return re.compile("|".join(alternatives), re.IGNORECASE)


@lru_cache(4096)
def is_claim(name: str) -> bool:
    """Whether the whole of a name is a claim: a brand called "Best", a category "basket"."""
    digits = in_digits(normalised(name)).text
    return any(
        match is not None and match.span() == (0, len(digits))
        for kind, by in claims().items()
        if kind not in ("innocent", "property")
        for patterns in by.values()
        for match in (pattern.search(digits) for pattern in patterns)
    )


@lru_cache(4096)
def promotes(category: str) -> bool:
    """Whether a category names no goods, only a promotion: "clearance", "New in", 特价专区.

    To say that an item is in it would be to make that claim.
    """
    left = in_digits(normalised(category)).text
    before = left
    for kind, by in claims().items():
        if kind not in ("innocent", "property", *_OF_READERS):
            for language in by:
                left = any_claim(kind, language).sub(" ", left)
    return left != before and not re.search(r"[^\W\d_]", _SHELF.sub(" ", left.strip()))
