"""A log's pushes as the response heads see them, and how well a head does on them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import numpy as np

from mdp.response import HEADS

OPEN, CLICK, PURCHASE, DISMISS, UNSUBSCRIBE = range(len(HEADS))


@dataclass(frozen=True)
class Sends:
    """S pushes as the heads see them, float32 unless said otherwise."""

    user: np.ndarray
    """Rows of users (S,) int64."""
    item: np.ndarray
    """Catalogue rows (S,) int64."""
    variant: np.ndarray
    """Catalogue rows (S,) int64."""
    bucket: np.ndarray
    """Style buckets (S,) int64."""
    hour: np.ndarray
    """Local hours (S,) int64."""
    weekday: np.ndarray
    """Local weekdays of the decision (S,) int64."""
    special: np.ndarray
    """1 + the row of the special day's name (S,) int64, 0 on ordinary days."""
    item_features: np.ndarray
    """Standardised `ITEM_FEATURES` (S, 2)."""
    liking: np.ndarray
    """Inner product of tastes (S,)."""
    profile: np.ndarray
    """The user's hour profile at that hour (S,)."""
    fatigue: np.ndarray
    repetition: np.ndarray
    wear: np.ndarray
    bought: np.ndarray
    views: np.ndarray
    """`Recency` of what was sent (S,) each."""
    outcome: np.ndarray
    """Opened, clicked, bought, dismissed, unsubscribed (S, 5)."""
    decided_at: np.ndarray
    """(S,) int64"""
    come: np.ndarray
    """Whether each of these had the time to come before the log ends (S, 5) bool."""
    wording: np.ndarray = field(metadata={"rows": False})
    """Standardised `WORDING` of each variant of the catalogue (W, F)."""
    knee: np.ndarray = field(
        default_factory=lambda: np.zeros((), np.float32), metadata={"rows": False}
    )
    """Fatigue × exp(-tolerance) up to which it does nothing ()."""

    def only(self, which: np.ndarray | slice) -> Sends:
        """Some of the pushes."""
        names = [each.name for each in fields(self) if each.metadata.get("rows", True)]
        return replace(self, **{name: getattr(self, name)[which] for name in names})

    @property
    def asked(self) -> np.ndarray:
        """Whether each head is asked for what followed (S, 5) bool."""
        return asked(self.outcome, self.come)


def asked(outcome: np.ndarray, come: np.ndarray) -> np.ndarray:
    """Whether each head is asked for what followed (S, 5) bool: had its turn, as a click needs an
    open, and so on, and the time to come (S, 5)."""
    opened, clicked = outcome[:, OPEN] > 0, outcome[:, CLICK] > 0
    every = np.ones(len(opened), bool)
    return come & np.stack([every, opened, clicked, ~opened, every], 1)


def log_loss(probability: np.ndarray, outcome: np.ndarray) -> float:
    """Mean log-loss of probabilities (n,), nats; NaN for none."""
    return float(np.mean(losses(probability, outcome))) if len(outcome) else float("nan")


def losses(probability: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """Log-loss (n,) float64 of each of probabilities (n,), nats."""
    p = np.clip(probability.astype(np.float64), 1e-9, 1 - 1e-9)
    return -np.where(outcome > 0, np.log(p), np.log1p(-p))
