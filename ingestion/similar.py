"""Near-equal texts: MinHash signatures, banded, then the true share of common pieces.

Broder (1997), On the resemblance and containment of documents; banding as in Leskovec, Rajaraman &
Ullman, Mining of Massive Datasets, chapter 3.
"""

from __future__ import annotations

import re
from functools import lru_cache
from zlib import crc32

import numpy as np
import pandas as pd

from ingestion.plain_text import name_key

ALIKE = 0.75
"""Share of common pieces (Jaccard) from which two texts are near equal."""
LEAST_PIECES = 12
"""Pieces below which a text is too short to be a copy: "very good" is said often."""
BANDS, ROWS = 16, 4
"""Two texts at `ALIKE` share one of the bands with probability 1 - (1 - 0.75⁴)¹⁶ = 0.997."""
COMPARED = 20
"""Texts of a band that each is compared with: the first ones."""
_RNG = np.random.default_rng(20260101)
_FACTOR = _RNG.integers(0, 2**63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_SHIFT = _RNG.integers(0, 2**63, BANDS * ROWS, dtype=np.uint64)
_ASIDE = re.compile(r"[\W_]+")
_HAN = re.compile(r"[\u3400-\u9fff]")


@lru_cache(maxsize=65_536)
def pieces(text: str) -> frozenset[int]:
    """Hashes of a text's runs of characters, capitals, marks and spaces aside: of two where it is
    Chinese, else of four."""
    plain = _ASIDE.sub("", name_key(text))
    size = 2 if 2 * len(_HAN.findall(plain)) >= len(plain) else 4
    return frozenset(crc32(plain[n : n + size].encode()) for n in range(len(plain) - size + 1))


def near_equal(texts: pd.Series, group: pd.Series) -> np.ndarray:
    """Whether each text (n,) is near equal to one above it in its group (n,); bool (n,)."""
    out = np.zeros(len(texts), bool)
    told = np.flatnonzero(texts.notna()).tolist()
    long = [n for n, text in zip(told, texts.dropna(), strict=True) if _long(text)]
    if len(long) < 2:
        return out
    sets = [pieces(texts.iloc[n]) for n in long]
    codes = pd.factorize(group.iloc[long])[0].astype(np.uint64)
    signatures = np.stack([_signature(each) for each in sets]).reshape(len(long), BANDS, ROWS)
    for band in range(BANDS):
        keys = np.column_stack([codes, signatures[:, band]])
        bucket = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
        order = np.argsort(bucket, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(bucket[order])) + 1):
            for place, member in enumerate(members[1:], 1):
                if not out[long[member]]:
                    above = members[: min(place, COMPARED)]
                    alike = any(_jaccard(sets[member], sets[each]) >= ALIKE for each in above)
                    out[long[member]] = alike
    return out


def _long(text: str) -> bool:
    return len(pieces(text)) >= LEAST_PIECES


def _jaccard(one: frozenset[int], two: frozenset[int]) -> float:
    return len(one & two) / len(one | two)


def _signature(hashes: frozenset[int]) -> np.ndarray:
    """Minima (BANDS * ROWS,) uint64 of the hashes under as many functions, multiply-shift."""
    values = np.fromiter(hashes, np.uint64, len(hashes))
    return ((values[:, None] * _FACTOR + _SHIFT) >> np.uint64(32)).min(0)
