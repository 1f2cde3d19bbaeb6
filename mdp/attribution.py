"""Attribution: which outcomes and purchases belong to which decision.

`attribute` is the only place that joins purchases to decisions. A purchase of the pushed item
within 48 hours after a click belongs to the last such click. A `purchased` outcome is the shop's
own claim: it takes the place of its decision's joins, and the purchase that it is about belongs to
no click any more, whichever decision that was of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdp.clock import DAY, HOUR, NEVER
from mdp.events import Kind
from mdp.reward import Reward
from mdp.state import ATTRIBUTION

RESPONSE_WINDOW = 48 * HOUR
"""Outcomes this long after `send_at` count; a purchase, and a claim of one, may come later by as
much again."""


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
    """Amount paid, of PURCHASED (M,) float; NaN for that of the purchase it is about."""


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
    closes = np.where(
        sent, decisions.send_at + RESPONSE_WINDOW + ATTRIBUTION, decisions.decided_at + DAY
    )
    seen = {kind: _followed(decisions, outcomes, kind) for kind in _FLAGS}
    claims = _in_time(decisions, outcomes, Kind.PURCHASED)
    of, about = outcomes.decision[claims], _purchase_of(decisions, outcomes, purchases, claims)
    claimed = np.bincount(of, _claimed_value(outcomes, purchases, claims, about), minlength=size)
    has_claim = np.bincount(of, minlength=size) > 0
    free = np.ones(len(purchases.user), bool)
    free[about[about >= 0]] = False
    owner = _last_click(decisions, outcomes, purchases)
    joined = (owner >= 0) & free
    bought = np.bincount(owner[joined], weights=purchases.value[joined], minlength=size)
    value = np.where(has_claim, claimed, bought)
    if reward.credit == "all":
        margin_value = _epoch_value(decisions, purchases, free) + claimed * decisions.margin
    else:
        margin_value = value * decisions.margin
    paid = reward.of(
        sent, seen[Kind.CLICKED], margin_value, seen[Kind.DISMISSED], seen[Kind.UNSUBSCRIBED]
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


def on_time(send_at: np.ndarray, at: np.ndarray, claim: np.ndarray | bool) -> np.ndarray:
    """Whether outcomes (n,) come early enough to count.

    send_at and at: int64, microseconds UTC. claim: whether each is a claim of a purchase, which
    has as much time again as a response.
    """
    return np.asarray(at <= send_at + RESPONSE_WINDOW + np.where(claim, ATTRIBUTION, 0))


_FLAGS = (Kind.OPENED, Kind.CLICKED, Kind.DISMISSED, Kind.UNSUBSCRIBED)


def _in_time(decisions: Decisions, outcomes: Outcomes, kind: Kind) -> np.ndarray:
    """Outcomes of a kind (n,), by index, that follow a send in time."""
    send_at = decisions.send_at[outcomes.decision]
    timely = on_time(send_at, outcomes.at, kind == Kind.PURCHASED)
    return np.flatnonzero((outcomes.kind == kind) & (send_at != NEVER) & timely)


def _followed(decisions: Decisions, outcomes: Outcomes, kind: Kind) -> np.ndarray:
    flags = np.zeros(len(decisions.user), bool)
    flags[outcomes.decision[_in_time(decisions, outcomes, kind)]] = True
    return flags


def _purchase_of(
    decisions: Decisions, outcomes: Outcomes, purchases: Purchases, claims: np.ndarray
) -> np.ndarray:
    """The purchase (C,) int64 that each claim, a row of outcomes, is about: the nearest in time
    that no earlier claim took, of the same user and item, within 48 hours; -1 for none."""
    found = np.full(len(claims), -1, np.int64)
    rows = outcomes.decision[claims]
    keys = list(zip(decisions.user[rows].tolist(), decisions.item[rows].tolist(), strict=True))
    left: dict[tuple[int, int], list[int]] = {key: [] for key in keys}
    if left:
        bought = zip(purchases.user.tolist(), purchases.item.tolist(), strict=True)
        for place, key in enumerate(bought):
            if key in left:
                left[key].append(place)
    at = outcomes.at[claims]
    for claim in np.lexsort((rows, at)):
        options = np.array(left[keys[claim]], np.int64)
        if not len(options):
            continue
        apart = np.abs(purchases.at[options] - at[claim])
        if apart.min() <= ATTRIBUTION:
            found[claim] = options[apart.argmin()]
            left[keys[claim]].remove(int(found[claim]))
    return found


def _claimed_value(
    outcomes: Outcomes, purchases: Purchases, claims: np.ndarray, about: np.ndarray
) -> np.ndarray:
    """Amount (C,) of each claim: its own, else that of its purchase, else 0."""
    value = outcomes.value[claims].astype(np.float64)
    amount = np.append(purchases.value, 0.0)[about]
    return np.where(np.isnan(value), amount, value)


def _last_click(decisions: Decisions, outcomes: Outcomes, purchases: Purchases) -> np.ndarray:
    """Row of the decision that each purchase belongs to (P,) int64, -1 for none."""
    clicks = _in_time(decisions, outcomes, Kind.CLICKED)
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


def _epoch_value(decisions: Decisions, purchases: Purchases, free: np.ndarray) -> np.ndarray:
    """Margin × amount (D,) of purchases, those that no claim took (P,) bool, from each decision
    until the next, at most 24 h."""
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
        free
        & (place >= 0)
        & (decisions.user[row] == purchases.user)
        & (purchases.at - decisions.decided_at[row] < DAY)
    )
    return total + np.bincount(
        row[mine], weights=(purchases.value * purchases.margin)[mine], minlength=size
    )
