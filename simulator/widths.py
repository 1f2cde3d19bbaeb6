"""How large effects on the heads are before anything is seen of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Widths:
    """Standard deviations of effects before anything is seen of them; five are by head."""

    openness: float = 0.6
    """Effect of the user on opening."""
    styles: float = 0.3
    """Effect of the user's response to a style."""
    tolerance: float = 0.25
    """Log of how well the user bears pushes."""
    price: float = 0.3
    """Effect of the price on the user's clicks."""
    weight: tuple[float, ...] = (1.0, 1.0, 0.3, 0.7, 0.3)
    """Weights of what is measured of a push and its item."""
    item_effect: tuple[float, ...] = (0.3, 0.3, 0.1, 0.15, 0.15)
    """What an item does beside its features."""
    variant_effect: tuple[float, ...] = (0.3, 0.3, 0.1, 0.15, 0.15)
    """What a variant does beside its style and its wording."""
    wording: tuple[float, ...] = (0.1, 0.1, 0.03, 0.05, 0.05)
    """Weights of what a variant's words say."""
    style: tuple[float, ...] = (0.7, 0.7, 0.2, 0.5, 0.2)
    """What a style does for all users."""
    weekday: tuple[float, ...] = (0.15, 0.15, 0.05, 0.08, 0.08)
    """What a weekday does."""
    hour: tuple[float, ...] = (0.4, 0.4, 0.12, 0.28, 0.12)
    """By how much neighbouring hours differ."""
    weekday_hour: tuple[float, ...] = (0.1, 0.1, 0.03, 0.07, 0.03)
    """By how much neighbouring hours differ in what sets a weekday's apart."""
    special: tuple[float, ...] = (0.4, 0.4, 0.4, 0.3, 0.2)
    """What a special day does; a log has too few to tell."""
