"""Checksums of packed histories, so that bytes which changed in the store are not believed.

One is kept beside each history, together with the number that both were written under (a user's
version): a server of before there were any leaves it as it is, and then it says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import shake_128
from typing import Any

import numpy as np

from mdp.compiled import njit
from mdp.state import HISTORY

SIZE = HISTORY.itemsize
NEXT = 1 << 32
"""What a kept checksum rises by with the number that it was written under."""
AT_ONCE = 64
"""Histories whose copy leaves most of the processor's caches as they are."""
_NUMBERS = (1 << 31) - 1
_WORDS = SIZE // 4
_KEY = np.frombuffer(
    bytearray(shake_128(b"pushwise: a user's history").digest(8 * (_WORDS + 1))), np.uint64
)


def checksums(histories: Sequence[bytes], numbers: Sequence[int]) -> list[int]:
    """What is kept beside histories, each a `HISTORY` record: above 4 bytes of checksum the low 31
    bits of the number that it is written under."""
    kept = np.array(numbers, np.int64)
    for start in range(0, len(histories), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        # An array that may be written to: of others numba takes longer to tell the type.
        words = np.frombuffer(bytearray().join(histories[some]), np.uint32)
        _keep(words, _KEY, kept[some])
    out: list[int] = kept.tolist()
    return out


def are_intact(
    histories: Sequence[bytes], kept: Sequence[int | None], numbers: Sequence[int]
) -> list[bool]:
    """Whether stored histories are as they were written, as far as what is kept beside them
    tells; none is that is no `HISTORY` record."""
    if not {SIZE}.issuperset(map(len, histories)):
        rows = zip(histories, kept, numbers, strict=True)
        return [len(h) == SIZE and are_intact([h], [k], [n])[0] for h, k, n in rows]
    sums = checksums(histories, numbers)
    if list(kept) == sums:
        return [True] * len(sums)
    return [
        k is None or k == found or k >> 32 != found >> 32
        for k, found in zip(kept, sums, strict=True)
    ]


@njit(cache=True)
def _keep(words: Any, key: Any, numbers: Any) -> None:
    """Put multilinear hashes of n times `_WORDS` words beside the numbers (n,), in place: two
    histories have the same one with a chance of 2^-32 (Lemire and Kaser, "Strongly universal string
    hashing is fast", 2014)."""
    for n in range(numbers.size):
        total = key[0]
        for place in range(_WORDS):
            total += key[place + 1] * np.uint64(words[n * _WORDS + place])
        numbers[n] = (numbers[n] & _NUMBERS) << 32 | np.int64(total >> np.uint64(32))
