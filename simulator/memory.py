"""Memory for large arrays that are made anew at every step, handed out again once it is free."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from mdp.observation import new_memory

MOST = 3
"""Blocks that are kept: one that is being filled, and some that others still read."""


class Memory:
    """Blocks of bytes. A view of a block refers to it, however it was made, so a block that nobody
    refers to is nobody's any more; writing to it again is much cheaper than asking the operating
    system for clean pages."""

    def __init__(self) -> None:
        self._blocks: list[np.ndarray] = []

    def take(self, size: int) -> np.ndarray:
        """Bytes (size,) uint8 with anything in them, which nobody else holds."""
        for place, block in enumerate(self._blocks):
            if len(block) == size and sys.getrefcount(block) <= _UNUSED:
                return self._blocks[place]
        block = new_memory(size)
        self._blocks = [*self._blocks, block][-MOST:]
        return block

    def __getstate__(self) -> dict[str, Any]:
        """Blocks are no part of what is pickled or copied."""
        return {"_blocks": []}


def _references() -> int:
    """References that `take` counts of a block that is only in its list."""
    for _, block in enumerate([np.zeros(1, np.uint8)]):
        return sys.getrefcount(block)
    raise AssertionError


_UNUSED = _references()
