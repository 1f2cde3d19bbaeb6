"""How many threads torch computes with, and work that is done side by side on a few."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

MOST = 2
"""Pieces of work that are done side by side at most: each takes memory of its own."""
_T = TypeVar("_T")
_R = TypeVar("_R")


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes with one thread: more only get in one another's way with arrays this small.
    Afterwards it does as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def side_by_side(work: Callable[[_T], _R], pieces: Iterable[_T]) -> list[_R]:
    """What `work` makes of each piece, in their order, on up to `MOST` cores at a time.

    Each piece must say the same whatever the others do, so that the number of cores changes
    nothing. Torch computes with one thread for each.
    """
    import torch

    threads = min(MOST, cores())
    if threads == 1:
        return [work(piece) for piece in pieces]
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return list(pool.map(work, pieces))


def both(one: Callable[[], _T], other: Callable[[], _R]) -> tuple[_T, _R]:
    """What two functions give, called side by side."""
    out: list[Any] = side_by_side(lambda function: function(), (one, other))
    return out[0], out[1]


def cores() -> int:
    """How many this process may compute on."""
    if hasattr(os, "sched_getaffinity"):  # macOS and Windows have none
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
