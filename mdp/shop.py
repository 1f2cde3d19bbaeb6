"""Whose log it is: what tells a shop's own log from another's whose ids look alike.

A log that goes on where a fit ended names new users and items, and its prices and titles may have
changed. What stays is when a user signed up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdp.clock import DAY, NEVER
from mdp.errors import BadInput

KEPT = 32
"""Users whose sign-ups a saved policy keeps: those with the lowest hashes."""
_SLACK = 2 * DAY
"""Between sign-ups that may be the same: dates without hours, in whatever zone."""
_LEAST = 3
"""Users who must have signed up on other days."""


@dataclass(frozen=True)
class Shop:
    """Who is there, and what, as a log, a simulator or a policy knows it."""

    users: np.ndarray
    """Hashes of user ids (U,) uint64."""
    signed_up: np.ndarray
    """Instants of signing up (U,) int64, microseconds UTC; `NEVER` where not known, or where it may
    be no more than the first that a log tells of the user."""
    items: np.ndarray
    """Hashes of item ids (I,) uint64."""

    @classmethod
    def of(
        cls, users: np.ndarray, signed_up: np.ndarray, first: np.ndarray, items: np.ndarray
    ) -> Shop:
        """first: each user's first event (U,) int64, `NEVER` for none. A sign-up that is not well
        before it may have been made of it."""
        made = (first != NEVER) & (signed_up > first - _SLACK)
        return cls(users, np.where(made, NEVER, signed_up), items)

    def days(self, users: np.ndarray) -> list[int | None]:
        """Days of sign-up, since 1970, of the first `KEPT` of some users by hash (N,) uint64."""
        known = dict(zip(self.users.tolist(), self.signed_up.tolist(), strict=True))
        found = [known.get(user, NEVER) for user in users[:KEPT].tolist()]
        return [None if instant == NEVER else instant // DAY for instant in found]


def need_same_shop(found: Shop, known: Shop, until: int | None, mismatch: str, advice: str) -> None:
    """Raises `BadInput` where two are not of one shop: no id of a user or an item is known, or most
    users that both name signed up on other days. Users who signed up after `until`, when what is
    known was fitted, tell nothing.

    mismatch: what is wrong then; advice: what to do.
    """
    _, mine, theirs = np.intersect1d(found.users, known.users, return_indices=True)
    if not len(mine) and not np.isin(found.items, known.items).any():
        raise BadInput(f"{mismatch}: no user and no item is known; {advice}")
    one, two = found.signed_up[mine], known.signed_up[theirs]
    told = (one != NEVER) & (two != NEVER) & (True if until is None else one < until)
    other = np.abs(one[told] - two[told]) > _SLACK
    if other.sum() >= _LEAST and other.mean() > 0.5:
        raise BadInput(
            f"{mismatch}: of {len(other)} users whom both name, {other.sum()} signed up on other "
            f"days; {advice}"
        )
