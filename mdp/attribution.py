"""Attribution: which outcomes and purchases belong to which decision.

`attribute` is the only place that joins purchases to decisions. A purchase of the pushed item
within 48 hours after a click belongs to the last such click; a `purchased` outcome is the shop's
own claim and takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdp.clock import DAY, HOUR, NEVER
from mdp.events import Kind
from mdp.reward import Reward
from mdp.state import ATTRIBUTION

RESPONSE_WINDOW = 48 * HOUR
"""Outcomes this long after `send_at` count; a purchase may follow a click by as much again."""


@dataclass(frozen=True)
class Decisions:
    """D decisions; rows of holds have item 0 and `send_at` NEVER."""

    user: np.ndarray
    """Any integer code of the user (D,) int64."""
    decided_at: np.ndarray
    """(D,) int64"""
    send_at: np.ndarray
    """(D,) int64"""
    item: np.ndarray
    """Hash of the pushed item (D,) uint64."""
    margin: np.ndarray
    """Margin of the pushed item (D,) float."""


@dataclass(frozen=True)
class Outcomes:
    """M outcomes of decisions."""

    decision: np.ndarray
    """Row of the decision (M,) int64."""
    kind: np.ndarray
    """`Kind` (M,) int8."""
    at: np.ndarray
    """(M,) int64"""
    value: np.ndarray
    """Amount paid, of PURCHASED (M,) float."""


@dataclass(frozen=True)
class Purchases:
    """P purchases from the events table."""

    user: np.ndarray
    """The same codes as in `Decisions` (P,) int64."""
    item: np.ndarray
    """Hash of the item (P,) uint64."""
    at: np.ndarray
    """(P,) int64"""
    value: np.ndarray
    """Amount paid (P,) float."""
    margin: np.ndarray
    """Margin of the item (P,) float."""


@dataclass(frozen=True)
class Attributed:
    """What followed each of D decisions; flags are bool, money is float64."""

    opened: np.ndarray
    clicked: np.ndarray
    dismissed: np.ndarray
    unsubscribed: np.ndarray
    value: np.ndarray
    """Amount paid in purchases that belong to the decision (D,)."""
    margin_value: np.ndarray
    """Margin × amount of the purchases that `reward.credit` pays (D,)."""
    reward: np.ndarray
    """(D,)"""
    closes_at: np.ndarray
    """Instant from which nothing can be added any more (D,) int64."""
    purchase_of: np.ndarray
    """Row of the decision that each purchase belongs to (P,) int64, -1 for none."""


def attribute(
    decisions: Decisions, outcomes: Outcomes, purchases: Purchases, reward: Reward
) -> Attributed:
    """Join outcomes and purchases to decisions and pay them by `reward`.

    With `reward.credit == "all"` a decision is paid every purchase of its user in the 24 hours
    from `decided_at` until the user's next decision, holds included.
    """
    size = len(decisions.user)
    sent = decisions.send_at != NEVER
    seen = {kind: _followed(decisions, outcomes, kind) for kind in _FLAGS}
    claimed = outcomes.kind == Kind.PURCHASED
    claims = np.bincount(
        outcomes.decision[claimed], weights=outcomes.value[claimed], minlength=size
    )
    has_claim = np.bincount(outcomes.decision[claimed], minlength=size) > 0
    owner = _last_click(decisions, outcomes, purchases)
    joined = owner >= 0
    bought = np.bincount(owner[joined], weights=purchases.value[joined], minlength=size)
    value = np.where(has_claim, claims, bought)
    if reward.credit == "all":
        margin_value = _epoch_value(decisions, purchases)
        margin_value += np.where(has_claim, claims, 0.0) * decisions.margin
        both = joined & has_claim[owner]
        margin_value -= np.bincount(
            owner[both], weights=(purchases.value * purchases.margin)[both], minlength=size
        )
    else:
        margin_value = value * decisions.margin
    paid = reward.of(
        sent, seen[Kind.CLICKED], margin_value, seen[Kind.DISMISSED], seen[Kind.UNSUBSCRIBED]
    )
    closes = np.where(
        sent, decisions.send_at + RESPONSE_WINDOW + ATTRIBUTION, decisions.decided_at + DAY
    )
    return Attributed(
        opened=seen[Kind.OPENED],
        clicked=seen[Kind.CLICKED],
        dismissed=seen[Kind.DISMISSED],
        unsubscribed=seen[Kind.UNSUBSCRIBED],
        value=value,
        margin_value=margin_value,
        reward=paid,
        closes_at=closes,
        purchase_of=owner,
    )


_FLAGS = (Kind.OPENED, Kind.CLICKED, Kind.DISMISSED, Kind.UNSUBSCRIBED)


def _followed(decisions: Decisions, outcomes: Outcomes, kind: Kind) -> np.ndarray:
    of_kind = outcomes.kind == kind
    rows = outcomes.decision[of_kind]
    delay = outcomes.at[of_kind] - decisions.send_at[rows]
    in_time = (decisions.send_at[rows] != NEVER) & (delay <= RESPONSE_WINDOW)
    flags = np.zeros(len(decisions.user), bool)
    flags[rows[in_time]] = True
    return flags


def _last_click(decisions: Decisions, outcomes: Outcomes, purchases: Purchases) -> np.ndarray:
    """Row of the decision that each purchase belongs to (P,) int64, -1 for none."""
    clicks = outcomes.kind == Kind.CLICKED
    rows, at = outcomes.decision[clicks], outcomes.at[clicks]
    owner = np.full(len(purchases.user), -1, np.int64)
    if not len(rows) or not len(owner):
        return owner
    code: dict[tuple[int, int], int] = {}
    keys = np.empty(len(rows) + len(owner), np.int64)
    users = np.concatenate([decisions.user[rows], purchases.user])
    items = np.concatenate([decisions.item[rows], purchases.item])
    for i, key in enumerate(zip(users.tolist(), items.tolist(), strict=True)):
        keys[i] = code.setdefault(key, len(code))
    times = np.concatenate([at, purchases.at])
    is_purchase = np.arange(len(keys)) >= len(rows)
    order = np.lexsort((is_purchase, times, keys))
    position = np.where(~is_purchase[order], np.arange(len(order)), -1)
    last = np.maximum.accumulate(position)
    for place in np.flatnonzero(is_purchase[order]):
        click = last[place]
        if click < 0 or keys[order[click]] != keys[order[place]]:
            continue
        if times[order[place]] - times[order[click]] <= ATTRIBUTION:
            owner[order[place] - len(rows)] = rows[order[click]]
    return owner


def _epoch_value(decisions: Decisions, purchases: Purchases) -> np.ndarray:
    """Margin × amount (D,) of all purchases from each decision until the next, at most 24 h."""
    size = len(decisions.user)
    total = np.zeros(size)
    if not size or not len(purchases.user):
        return total
    order = np.lexsort((decisions.decided_at, decisions.user))
    users = np.unique(np.concatenate([decisions.user, purchases.user]))
    stamp = np.concatenate([decisions.decided_at, purchases.at])
    rank = np.argsort(np.argsort(stamp, kind="stable"), kind="stable")
    keys = np.concatenate([decisions.user, purchases.user])
    key = np.searchsorted(users, keys) * (len(stamp) + 1) + rank
    place = np.searchsorted(key[:size][order], key[size:], side="right") - 1
    row = order[np.maximum(place, 0)]
    mine = (
        (place >= 0)
        & (decisions.user[row] == purchases.user)
        & (purchases.at - decisions.decided_at[row] < DAY)
    )
    return total + np.bincount(
        row[mine], weights=(purchases.value * purchases.margin)[mine], minlength=size
    )
