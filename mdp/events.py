"""Events: all that happens to a user, as records that History is a function of.

At one instant what the user did on their own comes first, then decisions, then outcomes, so a
decision sees neither an outcome of the same microsecond nor misses a visit.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from mdp.clock import NEVER

EVENT = np.dtype(
    [
        ("at", np.int64),  # instant, microseconds UTC
        ("kind", np.int8),  # Kind, which is also its rank at one instant
        ("id", np.uint64),  # hash of the event's id
        ("item", np.uint64),  # hash of the item's id, 0 for none
        ("decision", np.uint64),  # hash of the decision's id, 0 for none
        ("send_at", np.int64),  # of a SEND; of a MOVED, the least int64 for its own instant
        ("value", np.float32),  # amount paid; of a CONSENT 1 for given and 0 for withdrawn
        ("style", np.int8),  # style bucket of a SEND, -1 for none
        ("hour", np.int8),  # hour of the day on the user's clock
    ]
)


class Kind(IntEnum):
    """Kinds of event, in their rank at one instant."""

    CONSENT = 0
    VIEW = 1
    CART = 2
    PURCHASE = 3
    HOLD = 4
    SEND = 5
    MOVED = 6
    CANCELLED = 7
    FAILED = 8
    DELIVERED = 9
    OPENED = 10
    CLICKED = 11
    PURCHASED = 12
    DISMISSED = 13
    UNSUBSCRIBED = 14


ORGANIC = {"view": Kind.VIEW, "cart": Kind.CART, "purchase": Kind.PURCHASE}
"""Kind by the name in the `events` table."""
OUTCOMES = {
    kind.name.lower(): kind
    for kind in (
        Kind.DELIVERED,
        Kind.FAILED,
        Kind.MOVED,
        Kind.CANCELLED,
        Kind.OPENED,
        Kind.CLICKED,
        Kind.PURCHASED,
        Kind.DISMISSED,
        Kind.UNSUBSCRIBED,
    )
}
"""Kind by the name in the `outcomes` table."""


def events_array(size: int) -> np.ndarray:
    """An empty batch of events (size,) `EVENT`: no item, decision, style or send time."""
    events = np.zeros(size, EVENT)
    events["style"] = -1
    events["send_at"] = NEVER
    return events


def event_order(owner: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Indices (n,) that sort events by owner (n,), then by (at, kind, id)."""
    return np.lexsort((events["id"], events["kind"], events["at"], owner))
