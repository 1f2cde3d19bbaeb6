"""Payment: what actions mean, and what a decision's whole window earns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mdp.actions import HOLD, HOURS, checked, given
from mdp.catalog import Catalog
from mdp.clock import DAY, NEVER
from mdp.compiled import njit
from mdp.events import Kind
from mdp.masking import Mask
from mdp.reward import PARTS, Reward
from simulator.outcomes import Outcomes

_PURCHASE = int(Kind.PURCHASE)


@dataclass(frozen=True)
class Chosen:
    """What N actions mean, (N,) each: catalogue rows and hours, -1 for a hold."""

    item: np.ndarray
    variant: np.ndarray
    hour: np.ndarray
    executed: np.ndarray
    """Flat actions, a hold in place of a masked one."""
    illegal: np.ndarray
    k: np.ndarray
    """Slots that were asked for, -1 for a hold; likewise v."""
    v: np.ndarray
    send_at: np.ndarray
    """Instants of the sends int64, `NEVER` for a hold."""


def chosen_of(
    actions: np.ndarray, allowed: Mask, items: np.ndarray, variants: np.ndarray
) -> Chosen:
    """What flat actions (N,) mean; a masked one becomes a hold. items: (N, K) and variants: (N, V)
    catalogue rows. Raises `BadInput` for another shape, for what are no integers and for an action
    outside 0 … K·V·24."""
    actions = given(actions, (len(items),))
    checked(actions, items.shape[1], variants.shape[1])
    slots, rows = np.empty((3, len(actions)), np.int64), np.empty((2, len(actions)), np.int32)
    taken, illegal = np.empty((2, len(actions)), np.int64), np.empty(len(actions), np.bool_)
    _choose(
        actions,
        (allowed.item, allowed.variant, allowed.hour, allowed.send_at),
        (items, variants),
        (slots[0], slots[1], slots[2]),
        (rows[0], rows[1]),
        (taken[0], taken[1]),
        illegal,
    )
    return Chosen(rows[0], rows[1], slots[2], taken[0], illegal, slots[0], slots[1], taken[1])


@njit(cache=True)
def _choose(
    actions: Any, allowed: Any, lists: Any, slots: Any, rows: Any, taken: Any, illegal: Any
) -> None:
    item_reason, variant_reason, hour_reason, send_at = allowed
    items, variants = lists
    V = variants.shape[1]
    for n in range(actions.size):
        slots[0][n], slots[1][n], slots[2][n], rows[0][n], rows[1][n] = -1, -1, -1, -1, -1
        taken[0][n], taken[1][n], illegal[n] = HOLD, NEVER, False
        if actions[n] == HOLD:
            continue
        pair, hour = (actions[n] - 1) // HOURS, (actions[n] - 1) % HOURS
        k, v = pair // V, pair % V
        slots[0][n], slots[1][n], illegal[n] = k, v, True
        if item_reason[n, k] == 0 and variant_reason[n, v] == 0 and hour_reason[n, hour] == 0:
            rows[0][n], rows[1][n], slots[2][n] = items[n, k], variants[n, v], hour
            taken[0][n], taken[1][n], illegal[n] = actions[n], send_at[n, hour], False


@dataclass(frozen=True)
class Step:
    """What one decision of N users brought; (N,) each."""

    reward: np.ndarray
    """Of the decision's whole window, float64."""
    expected: np.ndarray
    """Expected reward of the push under the simulator's own response model, float64."""
    risk: np.ndarray
    """Probability of an unsubscribe after the push, likewise, float64; 0 for a hold."""
    executed: np.ndarray
    """Flat actions int64: those asked for, a hold where it was masked."""
    illegal: np.ndarray
    """Whether the action asked for was masked, bool."""
    opened: np.ndarray
    """Whether this decision's push is opened, bool; likewise the next three."""
    clicked: np.ndarray
    dismissed: np.ndarray
    unsubscribed: np.ndarray
    parts: dict[str, np.ndarray]
    """What the reward adds up from, by the name of its weight, float64 each."""
    bought: np.ndarray
    """Margin × price of what is bought after this decision's push, float64."""
    revenue: np.ndarray
    """Amount paid this day, organic purchases included, float64."""
    margin: np.ndarray
    """Margin × amount paid this day, organic purchases included, float64."""

    @property
    def sent(self) -> np.ndarray:
        """Whether a push was sent (N,) bool."""
        return self.executed > 0


def paid(
    chosen: Chosen,
    outcomes: Outcomes,
    probability: np.ndarray,
    owner: np.ndarray,
    applied: np.ndarray,
    decided_at: np.ndarray,
    catalog: Catalog,
    reward: Reward,
) -> Step:
    """What N decisions brought.

    probability: (N, 5) conditional probabilities of the heads. owner, applied: rows (M,) and
    events (M,) `EVENT` of the day. With `reward.credit == "all"` the day's purchases are paid, of
    which `mdp.attribution` counts those within 24 hours.
    """
    items, size = catalog.items, len(decided_at)
    money, flags = np.zeros((5, size)), np.empty((4, size), np.bool_)
    parts = np.empty((len(PARTS), size))
    _pay(
        chosen.item,
        outcomes.instants,
        probability,
        owner,
        applied,
        decided_at,
        (items.margin, items.price, items.hashes, items.by_hash),
        _weights(reward),
        reward.credit == "all",
        parts,
        money,
        flags,
    )
    return Step(
        reward=money[0],
        expected=money[1],
        risk=probability[:, 4],
        executed=chosen.executed,
        illegal=chosen.illegal,
        opened=flags[0],
        clicked=flags[1],
        dismissed=flags[2],
        unsubscribed=flags[3],
        parts=dict(zip(PARTS, parts, strict=True)),
        bought=money[2],
        revenue=money[3],
        margin=money[4],
    )


def expected(
    chosen: Chosen, probability: np.ndarray, catalog: Catalog, reward: Reward
) -> np.ndarray:
    """Expected rewards (N,) float64 of pushes, from the heads' conditional probabilities (N, 5)."""
    items, out = catalog.items, np.zeros(len(probability))
    _expect(chosen.item, probability, (items.margin, items.price), _weights(reward), out)
    return out


def _weights(reward: Reward) -> np.ndarray:
    """A reward's weights (5,) in the order of its parts."""
    return np.array([getattr(reward, name) for name in PARTS], np.float64)


@njit(cache=True)
def _expected(p: Any, worth: Any, sent: Any, weights: Any) -> Any:
    """Expected reward from the heads' conditional probabilities (5,)."""
    click = p[0] * p[1]
    return (
        weights[0] * (click * p[2] * worth)
        + weights[1] * click
        + weights[2] * ((1.0 - p[0]) * p[3])
        + weights[3] * p[4]
        + weights[4] * sent
    )


@njit(cache=True)
def _worth(item: Any, margin: Any, price: Any) -> Any:
    """Margin × price of what is pushed; 0 for a hold."""
    return np.float64(margin[item]) * np.float64(price[item]) if item >= 0 else 0.0


@njit(cache=True)
def _expect(item: Any, probability: Any, table: Any, weights: Any, out: Any) -> None:
    margin, price = table
    for n in range(item.size):
        worth = _worth(item[n], margin, price)
        out[n] = _expected(probability[n], worth, item[n] >= 0, weights)


@njit(cache=True)
def _pay(
    item: Any,
    instants: Any,
    probability: Any,
    owner: Any,
    events: Any,
    decided_at: Any,
    table: Any,
    weights: Any,
    every: Any,
    parts: Any,
    money: Any,
    flags: Any,
) -> None:
    """Fills the parts (5, N) of a reward, reward, expected reward, what is bought after the push,
    revenue and margin (5, N), and whether it is opened, clicked, dismissed and whether the user
    unsubscribes (4, N). every: whether all the day's purchases are paid."""
    margin, price, hashes, by_hash = table
    # In this order rewards add up, to the last bit, as `Reward.of` adds them.
    for n in range(item.size):
        sent = item[n] >= 0
        worth = _worth(item[n], margin, price)
        opened, clicked = instants[n, 0] != NEVER, instants[n, 1] != NEVER
        dismissed, gone = instants[n, 3] != NEVER, instants[n, 4] != NEVER
        flags[0, n], flags[1, n], flags[2, n], flags[3, n] = opened, clicked, dismissed, gone
        bought = worth if instants[n, 2] != NEVER else 0.0
        money[2, n], parts[0, n] = bought, 0.0 if every else bought
        parts[1, n], parts[2, n] = weights[1] * clicked, weights[2] * dismissed
        parts[3, n], parts[4, n] = weights[3] * gone, weights[4] * sent
        money[1, n] = _expected(probability[n], worth, sent, weights)
    for i in range(events.size):
        if events[i].kind != _PURCHASE:
            continue
        n, amount = owner[i], np.float64(events[i].value)
        low, high = 0, by_hash.size - 1
        while low < high:
            middle = (low + high) // 2
            if hashes[by_hash[middle]] < events[i].item:
                low = middle + 1
            else:
                high = middle
        earned = amount * np.float64(margin[by_hash[low]])
        money[3, n] += amount
        money[4, n] += earned
        if every and events[i].at - decided_at[n] < DAY:
            parts[0, n] += earned
    for n in range(item.size):
        parts[0, n] *= weights[0]
        money[0, n] = parts[0, n] + parts[1, n] + parts[2, n] + parts[3, n] + parts[4, n]
