"""Payment: what actions mean, and what a decision's whole window earns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdp.actions import decode
from mdp.catalog import Catalog, Items
from mdp.clock import DAY, NEVER
from mdp.events import Kind
from mdp.observation import Requests, View
from mdp.reward import Reward
from simulator.outcomes import INSTANTS, Outcomes


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


def chosen_of(actions: np.ndarray, view: View, requests: Requests) -> Chosen:
    """What flat actions (N,) mean; a masked one becomes a hold."""
    K, V = requests.items.shape[1], requests.variants.shape[1]
    k, v, h = decode(actions, K, V)
    rows, asked = np.arange(len(actions)), actions > 0
    legal = asked.copy()
    if K and V:
        legal &= view.mask.item[rows, k] == 0
        legal &= view.mask.variant[rows, v] == 0
        legal &= view.mask.hour[rows, h] == 0
        item = np.where(legal, requests.items[rows, k], -1)
        variant = np.where(legal, requests.variants[rows, v], -1)
    else:
        item = variant = np.full(len(actions), -1, np.int32)
    return Chosen(
        item.astype(np.int32),
        variant.astype(np.int32),
        np.where(legal, h, -1),
        np.where(legal, actions, 0),
        asked & ~legal,
        k,
        v,
    )


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
    items = catalog.items
    sent, size = chosen.item >= 0, len(decided_at)
    flags = {name: getattr(outcomes, name) != NEVER for name in INSTANTS}
    bought = _worth(chosen, items) * flags["purchased"]
    purchase = np.flatnonzero(applied["kind"] == Kind.PURCHASE)
    buyer, amount = owner[purchase], applied["value"][purchase].astype(np.float64)
    earned = amount * _margins(items, applied["item"][purchase])
    credited = bought
    if reward.credit == "all":
        in_time = applied["at"][purchase] - decided_at[buyer] < DAY
        credited = np.bincount(buyer, earned * in_time, size)
    parts = reward.parts(
        sent, flags["clicked"], credited, flags["dismissed"], flags["unsubscribed"]
    )
    return Step(
        reward=sum(parts.values(), np.zeros(size)),
        expected=expected(chosen, probability, catalog, reward),
        risk=probability[:, 4],
        executed=chosen.executed,
        illegal=chosen.illegal,
        opened=flags["opened"],
        clicked=flags["clicked"],
        dismissed=flags["dismissed"],
        unsubscribed=flags["unsubscribed"],
        parts=parts,
        bought=bought,
        revenue=np.bincount(buyer, amount, size),
        margin=np.bincount(buyer, earned, size),
    )


def expected(
    chosen: Chosen, probability: np.ndarray, catalog: Catalog, reward: Reward
) -> np.ndarray:
    """Expected rewards (N,) float64 of pushes, from the heads' conditional probabilities (N, 5)."""
    opened, clicked = probability[:, 0], probability[:, 0] * probability[:, 1]
    return reward.of(
        chosen.item >= 0,
        clicked,
        clicked * probability[:, 2] * _worth(chosen, catalog.items),
        (1.0 - opened) * probability[:, 3],
        probability[:, 4],
    )


def _worth(chosen: Chosen, items: Items) -> np.ndarray:
    """Margin × price (N,) float64 of what is pushed; 0 for a hold."""
    price = items.margin[chosen.item].astype(np.float64) * items.price[chosen.item]
    return np.where(chosen.item >= 0, price, 0.0)


def _margins(items: Items, item_hash: np.ndarray) -> np.ndarray:
    """Margins (M,) float64 of items by hash (M,)."""
    place = np.searchsorted(items.hashes, item_hash, sorter=items.by_hash)
    return items.margin[items.by_hash[place]].astype(np.float64)
