"""Stable 64-bit hashes of ids, the 16 style buckets, and content hashes of arrays."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np

STYLE_BUCKETS = 16


@lru_cache(maxsize=1 << 16)
def hash_id(text: str) -> int:
    """64-bit hash of an id; 0 is kept for "none"."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") or 1


def hash_ids(texts: Iterable[str]) -> np.ndarray:
    """Hashes (n,) uint64 of n ids."""
    return np.fromiter((hash_id(text) for text in texts), np.uint64)


def new_hashes(texts: Iterable[str]) -> np.ndarray:
    """`hash_ids` of ids that are hardly ever asked for again: past the cache, whose upkeep takes
    longer than a hash."""
    digests = [blake2b(text.encode(), digest_size=8).digest() for text in texts]
    return np.maximum(np.frombuffer(b"".join(digests), "<u8"), np.uint64(1))


@lru_cache(maxsize=4096)
def style_bucket(style: str) -> int:
    """Bucket 0–15 of a copy style."""
    return hash_id(style) % STYLE_BUCKETS


def content_hash(*parts: Any) -> str:
    """Hex hash of arrays and of values that JSON can hold, in the order given."""
    digest = blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            digest.update(json.dumps(part, sort_keys=True, separators=(",", ":")).encode())
        digest.update(b"\x00")
    return digest.hexdigest()
