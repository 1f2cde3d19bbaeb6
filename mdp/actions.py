"""Actions: hold, or slot k of K candidates × slot v of V variants × one of 24 hours.

Slots index *this decision's* lists, so flat indices mean nothing outside it and are never stored.
"""

from __future__ import annotations

import numpy as np

from mdp.errors import BadInput

HOURS = 24
HOLD = 0


def action_count(K: int, V: int) -> int:
    """Number of flat actions with K candidates and V variants."""
    return 1 + K * V * HOURS


def encode(item: np.ndarray, variant: np.ndarray, hour: np.ndarray, V: int) -> np.ndarray:
    """Flat actions (n,) int64 of slots (n,) and hours (n,); a negative item slot is a hold."""
    flat = 1 + (np.asarray(item, np.int64) * V + variant) * HOURS + hour
    return np.where(np.asarray(item) < 0, HOLD, flat)


def decode(actions: np.ndarray, K: int, V: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Item slots, variant slots and hours (n,) int64 of flat actions (n,); -1 each for a hold.

    Raises `BadInput` for an action outside 0 … K·V·24.
    """
    actions = np.asarray(actions, np.int64)
    checked(actions, K, V)
    pair, hour = np.divmod(actions - 1, HOURS)
    item, variant = np.divmod(pair, max(V, 1))
    send = actions != HOLD
    return np.where(send, item, -1), np.where(send, variant, -1), np.where(send, hour, -1)


def checked(actions: np.ndarray, K: int, V: int) -> None:
    """Raises `BadInput` for a flat action (n,) outside 0 … K·V·24."""
    if actions.size and (actions.min() < 0 or actions.max() >= action_count(K, V)):
        wrong = actions[(actions < 0) | (actions >= action_count(K, V))][0]
        raise BadInput(f"action {wrong} is not in 0 … {K * V * HOURS} (K={K}, V={V})")
