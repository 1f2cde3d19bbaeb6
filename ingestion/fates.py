"""What may become of a push, and how pictures mark it."""

from __future__ import annotations

from typing import Protocol

import numpy as np

FATES = {
    "ignored": ("o", "#c9b18a"),
    "dismissed": ("x", "#d95f02"),
    "opened": ("o", "#4c9be8"),
    "clicked": ("o", "#1b7837"),
    "bought": ("*", "#1b7837"),
    "unsubscribed": ("X", "#b2182b"),
}
"""Marker and colour of what became of a push."""


class Answers(Protocol):
    """What users did with N pushes, logged or simulated; (N,) bool each."""

    @property
    def opened(self) -> np.ndarray: ...

    @property
    def clicked(self) -> np.ndarray: ...

    @property
    def dismissed(self) -> np.ndarray: ...

    @property
    def unsubscribed(self) -> np.ndarray: ...


def fate(answers: Answers, bought: np.ndarray, row: int = 0) -> str:
    """What became of one push, a name of `FATES`; bought: (N,) money, 0 for nothing."""
    for name, flags in (
        ("unsubscribed", answers.unsubscribed),
        ("bought", bought),
        ("clicked", answers.clicked),
        ("opened", answers.opened),
        ("dismissed", answers.dismissed),
    ):
        if flags[row]:
            return name
    return "ignored"
