"""Habits: how often, when and how users shop by themselves, read from what they did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mdp.clock import DAY, local_day, local_hour
from mdp.events import Kind
from simulator.description import Users
from simulator.fit_hours import fit_hours

_PRIOR_DAYS, _PRIOR_VISITS, _PRIOR_TOUCHES = 30.0, 3.0, 20.0
"""Weight of the average user where one's own past is short."""


@dataclass(frozen=True)
class Acts:
    """M views, carts and purchases of U users, none of them due to a push."""

    owner: np.ndarray
    """Row of the user (M,) int64."""
    item: np.ndarray
    """Catalogue row of the item (M,) int64."""
    kind: np.ndarray
    """VIEW, CART or PURCHASE (M,) int8."""
    at: np.ndarray
    """(M,) int64, microseconds UTC."""
    value: np.ndarray
    """Amount paid (M,) float64, NaN where there is none."""


@dataclass(frozen=True)
class Habits:
    """What `Organic` needs of U users and I items beside their tastes; float64."""

    sessions: np.ndarray
    """Visits a day (U,): days with any act."""
    weekday: np.ndarray
    """Factor on the visits by local weekday, Monday first (7,)."""
    hours: np.ndarray
    """Probability of each local hour (U, 24)."""
    touches: np.ndarray
    """Items met in a visit, at least 1 (U,)."""
    buy: np.ndarray
    """Purchases for each item met (U,)."""
    spend: np.ndarray
    """Mean amount paid for each item (I,)."""
    popularity: np.ndarray
    """Acts on each item (I,)."""
    view: float
    """Probability that an item met is logged as a view: 0 for a shop that logs none."""
    cart: float
    """Carts for each item met."""


def habits_of(users: Users, acts: Acts, price: np.ndarray, until: int) -> Habits:
    """Habits of U users until an instant, shrunk to the average user's.

    A user counts from their first act on. price: (I,) of the items, paid where no amount is known.
    """
    size, owner = len(users), acts.owner
    zone = users.codes[owner]
    views = acts.kind == Kind.VIEW
    bought = acts.kind == Kind.PURCHASE
    met = views if views.any() else bought
    visits = pd.DataFrame({"owner": owner, "day": local_day(acts.at, zone)}).drop_duplicates()
    count = np.bincount(visits["owner"], minlength=size)
    first = np.full(size, until)
    np.minimum.at(first, owner, acts.at)
    known = (until - first) / DAY
    rate = count.sum() / max(known.sum(), 1.0)
    touches = np.bincount(owner[met], minlength=size)
    mean = max(touches.sum() / max(count.sum(), 1), 1.0)
    often = bought.sum() / max(touches.sum(), 1)
    own = np.bincount(owner[bought], minlength=size)
    carts = (acts.kind == Kind.CART).sum() / max(met.sum(), 1)
    return Habits(
        sessions=(count + _PRIOR_DAYS * rate) / (known + _PRIOR_DAYS),
        weekday=_weekdays(visits["day"].to_numpy()),
        hours=fit_hours(
            size, *_visited(owner, local_day(acts.at, zone), local_hour(acts.at, zone))
        ),
        touches=np.maximum((touches + _PRIOR_VISITS * mean) / (count + _PRIOR_VISITS), 1.0),
        buy=((own + _PRIOR_TOUCHES * often) / (touches + _PRIOR_TOUCHES)).clip(max=1.0),
        spend=_spend(acts, bought, price),
        popularity=np.bincount(acts.item, minlength=len(price)).astype(np.float64),
        view=float(views.any()),
        cart=min(float(carts), 1.0),
    )


def _weekdays(day: np.ndarray) -> np.ndarray:
    """Visits by weekday over their mean (7,), with three visits of each added."""
    count = np.bincount((day + 3) % 7, minlength=7) + 3.0
    return count / count.mean()


def _visited(owner: np.ndarray, day: np.ndarray, hour: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Users and hours of visits (V,) each: an hour with several acts counts once."""
    visits = np.unique(np.stack([owner, day, hour]), axis=1)
    return visits[0], visits[2]


def _spend(acts: Acts, bought: np.ndarray, price: np.ndarray) -> np.ndarray:
    paid = bought & np.isfinite(acts.value)
    number = np.bincount(acts.item[paid], minlength=len(price))
    total = np.bincount(acts.item[paid], acts.value[paid], minlength=len(price))
    return np.where(number > 0, total / np.maximum(number, 1), price).round(2)
