"""Ranges of settings: each stands in the annotation of its field, and is checked when a settings
object is made, wherever its values come from."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

from mdp.errors import BadSetting

LARGEST = sys.float_info.max


@dataclass(frozen=True)
class Range:
    """From a lowest to a highest number; infinity is in none that does not say so."""

    low: float
    high: float = LARGEST
    above: bool = False
    """Whether the lowest itself is left out."""
    below: bool = False
    """Whether the highest itself is left out."""

    def __contains__(self, value: float) -> bool:
        over = value > self.low if self.above else value >= self.low
        return over and (value < self.high if self.below else value <= self.high)

    def __str__(self) -> str:
        if self.low == -LARGEST:
            return "a finite number"
        said = f"{'above' if self.above else 'at least'} {self.low:g}"
        if self.high < LARGEST:
            said += f" and {'below' if self.below else 'at most'} {self.high:g}"
        return said


Count = Annotated[int, Range(1)]
Share = Annotated[float, Range(0, 1)]
Discount = Annotated[float, Range(0, 1, below=True)]
"""Below 1: values of what goes on for ever would have no end."""
Pace = Annotated[float, Range(0, 1, above=True)]
Positive = Annotated[float, Range(0, above=True)]
NotNegative = Annotated[float, Range(0)]
Limit = Annotated[float | None, Range(0, above=True)]
"""None: there is no limit."""
Times = Annotated[int, Range(0)]
Finite = Annotated[float, Range(-LARGEST)]


class InRange:
    """Base of settings: raises `BadSetting` for a field out of the range that it is annotated
    with; None, where a field may be it, is in every range."""

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self), include_extras=True).items():
            value: Any = getattr(self, name)
            for each in getattr(hint, "__metadata__", ()):
                if value is not None and value not in each:
                    raise BadSetting(f"{name} is {value!r}; it must be {each}")
