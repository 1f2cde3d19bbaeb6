"""What a copy variant's words say, as numbers: length, claims, tone and a small embedding.

English and Chinese, by short patterns of its own: a model needs to know that a text speaks of a
price, not whether it may. `generation.copy` has the rules for that.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from mdp.hashing import hash_id

EMBEDDING = 8
"""Dimensions of the embedding."""
FAR = 3.0
"""Standard deviations from the mean at which a standardised feature is cut off: a text like no
other is not thought to be as good, or bad, as a line through the others has it."""
_CLAIMS = {
    "price": r"\{price\}|[£$€¥￥]\s?\d|\d\s?(?:pounds|dollars|euros?|yuan|元|块)",
    "saving": r"\b(?:save|savings?|off|discount\w*|deals?|sale|cheap\w*|bargains?|reduced)\b"
    r"|折|优惠|特价|省|降价|便宜|立减|促销",
    "scarcity": r"\b(?:only (?:a )?\w+ left|few left|last (?:chance|ones?|few|pieces?)|limited"
    r"|sell\w* out|almost gone|in stock)\b|仅剩|只剩|最后|库存|售罄|抢光|限量",
    "deadline": r"\b(?:until|ends?|today|tonight|hours?|tomorrow|midnight|hurry|don't wait"
    r"|while .{1,20} lasts?)\b|截止|今天|今晚|限时|马上|赶快|结束|倒计时",
    "social_proof": r"\b(?:everybody|everyone|customers|people|shoppers|others|bought|favou?rites?"
    r"|popular|best-?sell\w*|rated|reviews?|stars?)\b|热销|大家|人气|好评|网红|爆款",
    "superlative": r"\b(?:most|best|finest|greatest|cheapest|lowest|number one|top|perfect)\b"
    r"|最(?!后|近)|第一|顶级|极致|唯一",
    "new": r"\b(?:new|just in|arriv\w+|fresh\w*|launch\w*|introducing)\b|新品|上新|全新|新款",
}
_TONE = {
    "question": r"[?？]|吗|呢",
    "exclamation": r"[!！]",
    "imperative": r"(?:^|[.!?:\n]\s*)(?:get|buy|try|see|take|don't|grab|discover|shop|find|come"
    r"|meet|treat|give|make|have|add|pick|look|save|order|enjoy|hurry|go)\b"
    r"|(?:^|[：。！？，\n])(?:快|来|去|请|别|看|买|抢|试|带)",
    "personal": r"\b(?:you|your|yours|yourself|we thought)\b|你|您",
}
_PATTERNS = {
    name: re.compile(pattern, re.IGNORECASE) for name, pattern in {**_CLAIMS, **_TONE}.items()
}
WORDING = (
    *("title_length", "body_length"),
    *_PATTERNS,
    *("emoji", "upper_case"),
    *(f"embedding_{n}" for n in range(EMBEDDING)),
)
"""Names of the features, in order: lengths (logarithms), claims and tone (0 or 1; `upper_case` a
share of the letters), and the embedding."""
_SLOT = re.compile(r"\{\w+\}")


def wording(titles: Sequence[str], bodies: Sequence[str]) -> np.ndarray:
    """`WORDING` of W variants by title and body, which may hold slots (W, F) float32."""
    rows = [_wording(title, body) for title, body in zip(titles, bodies, strict=True)]
    return np.array(rows, np.float32).reshape(len(rows), len(WORDING))


def standard_wording(raw: np.ndarray, center: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Features (W, F), standardised by means and standard deviations (F,), within `FAR` of 0.

    The embedding counts as much as one feature: a text's letters say less than what it claims.
    """
    out = np.clip((raw - center) / scale, -FAR, FAR)
    out[:, -EMBEDDING:] /= np.sqrt(EMBEDDING)
    return out.astype(np.float32)


@lru_cache(maxsize=1 << 16)
def _wording(title: str, body: str) -> tuple[float, ...]:
    text = f"{title}\n{body}"
    plain = _SLOT.sub("", text)
    letters = [char for char in plain if char.isupper() or char.islower()]
    return (
        float(np.log1p(_width(title))),
        float(np.log1p(_width(body))),
        *(float(pattern.search(text) is not None) for pattern in _PATTERNS.values()),
        float(any(unicodedata.category(char) == "So" for char in plain)),
        sum(char.isupper() for char in letters) / max(len(letters), 1),
        *_embedding(plain.lower()),
    )


def _width(text: str) -> int:
    """Columns that a text takes: a Chinese character as much as two letters, a slot as a word."""
    shown = _SLOT.sub("a word", text)
    return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in shown)


def _embedding(text: str) -> np.ndarray:
    """Random projection (`EMBEDDING`,) float64 of the text's n-grams of one to three characters:
    bit d of an n-gram's hash says whether it adds to dimension d or takes away (Achlioptas, 2003).
    """
    words = " ".join(text.split())
    counts: dict[str, int] = {}
    for size in (1, 2, 3):
        for start in range(len(words) - size + 1):
            gram = words[start : start + size]
            if (
                size > 1 or ord(gram) > 0x2E7F
            ):  # one letter says nothing, one Chinese character does
                counts[gram] = counts.get(gram, 0) + 1
    if not counts:
        return np.zeros(EMBEDDING)
    hashes = np.array([hash_id(gram) for gram in counts], np.uint64)
    signs = ((hashes[:, None] >> np.arange(EMBEDDING, dtype=np.uint64)) & np.uint64(1)) * 2.0 - 1.0
    weights = np.sqrt(np.array(list(counts.values()), np.float64))
    out: np.ndarray = weights @ signs / np.linalg.norm(weights)
    return out
