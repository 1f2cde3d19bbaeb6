"""What a report shows beside the reward: sends, opens, clicks, purchases, revenue, unsubscribes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evaluation.sample import Measure

COUNTS = ("sent", "opened", "clicked", "purchased", "revenue", "unsubscribed")
"""Columns of a table that a report shows, each a count (or an amount) of the decision."""
_NAMES = {
    "sent": "sends per decision",
    "opened": "opens per decision",
    "clicked": "clicks per decision",
    "purchased": "purchases per decision",
    "revenue": "revenue per decision",
    "unsubscribed": "unsubscribes per decision",
}
_RATES = {
    "CTR (clicks per send)": ("clicked", "sent"),
    "CVR (purchases per click)": ("purchased", "clicked"),
}


def measures(counts: Mapping[str, np.ndarray]) -> dict[str, Measure]:
    """Measures of counts by name, each (n,) float64; the two rates where both counts are there."""
    found = {_NAMES[name]: Measure(counts[name]) for name in COUNTS if name in counts}
    for name, (top, bottom) in _RATES.items():
        if top in counts and bottom in counts:
            found[name] = Measure(counts[top], counts[bottom])
    return found
