"""Reward: what a decision is worth, as named weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np

from mdp.errors import BadSetting
from mdp.hashing import content_hash

PARTS = ("purchase", "click", "dismissal", "unsubscribe", "send")
"""What a reward adds up from."""


@dataclass(frozen=True)
class Reward:
    """Weights of a decision's outcomes, in currency units."""

    click: float = 0.2
    """Paid for a click."""
    dismissal: float = -0.05
    """Paid for a dismissal."""
    unsubscribe: float = -4.0
    """Paid for an unsubscribe."""
    send: float = -0.01
    """Paid for each send."""
    purchase: float = 1.0
    """Times margin × value of a credited purchase."""
    credit: Literal["attributed", "all"] = "attributed"
    """Which purchases are paid: those that `attribute` joins to the push, or all of the epoch."""

    def __post_init__(self) -> None:
        if self.credit not in ("attributed", "all"):
            raise BadSetting(f"reward credit is {self.credit!r}; use 'attributed' or 'all'")

    def of(
        self,
        sent: np.ndarray,
        clicked: np.ndarray,
        margin_value: np.ndarray,
        dismissed: np.ndarray,
        unsubscribed: np.ndarray,
    ) -> np.ndarray:
        """Reward (n,) float64 of outcomes (n,): flags or probabilities, and margin × value."""
        parts = self.parts(sent, clicked, margin_value, dismissed, unsubscribed)
        return sum(parts.values(), np.zeros(()))

    def parts(
        self,
        sent: np.ndarray,
        clicked: np.ndarray,
        margin_value: np.ndarray,
        dismissed: np.ndarray,
        unsubscribed: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """What the reward adds up from, (n,) float64 each, by the name of its weight."""
        return {
            "purchase": self.purchase * margin_value,
            "click": self.click * clicked,
            "dismissal": self.dismissal * dismissed,
            "unsubscribe": self.unsubscribe * unsubscribed,
            "send": self.send * sent,
        }

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> Reward:
        """From a manifest or a TOML table; raises `BadSetting` for an unknown name."""
        known = {field.name for field in fields(cls)}
        for name in values:
            if name not in known:
                raise BadSetting(f"unknown reward weight {name!r}; known: {', '.join(known)}")
        return cls(**values)

    def to_mapping(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @property
    def hash(self) -> str:
        """Content hash."""
        return content_hash(self.to_mapping())
