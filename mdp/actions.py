"""Actions: hold, or slot k of K candidates × slot v of V variants × one of 24 hours.

Slots index *this decision's* lists, so flat indices mean nothing outside it and are never stored.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mdp.compiled import njit
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
    slots = np.empty((3, actions.size), np.int64)
    _decode_all(actions.reshape(-1), max(V, 1), slots)
    item, variant, hour = slots.reshape(3, *actions.shape)
    return item, variant, hour


@njit(cache=True)
def _decode_all(actions: Any, V: Any, out: Any) -> None:
    for n in range(actions.size):
        if actions[n] == HOLD:
            out[:, n] = -1
            continue
        pair, out[2, n] = divmod(actions[n] - 1, HOURS)
        out[0, n], out[1, n] = divmod(pair, V)


def given(actions: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Actions that a caller gave, as int64 of a shape.

    Raises `BadInput` for another shape and for what are no integers: a fraction, a text, a truth
    value.
    """
    try:
        found = np.asarray(actions)
    except ValueError as error:
        raise BadInput(f"actions are a ragged list; give integers of shape {shape}") from error
    if found.shape != shape or found.dtype.kind not in "iu":
        what = "actions are" if found.ndim else f"action {actions!r} is"
        raise BadInput(
            f"{what} {found.dtype} of shape {found.shape}; give integers of shape {shape}"
        )
    return found.astype(np.int64, copy=False)


def checked(actions: np.ndarray, K: int, V: int) -> None:
    """Raises `BadInput` for a flat action (n,) outside 0 … K·V·24."""
    wrong = _first_outside(actions.reshape(-1), action_count(K, V))
    if wrong >= 0:
        value = actions.reshape(-1)[wrong]
        raise BadInput(f"action {value} is not in 0 … {K * V * HOURS} (K={K}, V={V})")


@njit(cache=True)
def _first_outside(actions: Any, count: Any) -> Any:
    """Place of the first action outside 0 … count - 1; -1 for none."""
    for n in range(actions.size):
        if actions[n] < 0 or actions[n] >= count:
            return n
    return -1
