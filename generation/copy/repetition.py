"""Tokens of a text, and three of them that come back."""

from __future__ import annotations

import re
from collections import Counter

_TOKEN = re.compile(
    r"[\u3400-\u9fff]|\{\w+\}|[^\W\u3400-\u9fff]+(?:[.,'’:/-][^\W\u3400-\u9fff]+)*|[^\w\s]"
)


def tokens(text: str) -> list[str]:
    """Words, numbers, slots, marks and single Chinese characters, in small letters."""
    return [match[0].lower() for match in _TOKEN.finditer(text)]


def repeats(text: str) -> int:
    """How many of the text's 3-grams are there a second time or more; marks do not count."""
    words = [token for token in tokens(text) if token[0] == "{" or token[0].isalnum()]
    counts = Counter(zip(words, words[1:], words[2:], strict=False))
    return sum(count - 1 for count in counts.values())
