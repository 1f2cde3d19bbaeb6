"""Work in parts that know nothing of one another: here one after the other, elsewhere side by side.

Parts are the same wherever they are made, and so are their random numbers: results are, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

Spread = Callable[[Callable[[Any, Any], Any], Any, Iterable[Any]], Iterator[Any]]
"""Of a function `work`, something that all parts share, and the parts: gives `work(shared, part)`
for each part, in order. `work` is a module's own function, which other processes can import."""


def in_turn(work: Callable[[Any, Any], Any], shared: Any, parts: Iterable[Any]) -> Iterator[Any]:
    """Part after part, in this process."""
    for part in parts:
        yield work(shared, part)
