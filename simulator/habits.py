"""Habits: how often, when and how users shop by themselves, read from what they did."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from mdp.clock import DAY, NEVER
from mdp.events import Kind
from mdp.local_time import local_day, local_hour, next_local_midnight
from mdp.special_days import NO_DAYS
from simulator.description import Users
from simulator.fit_hours import fit_hours
from simulator.fit_visits import Visits, fit_beta, fit_visits

AROUND, SATED_FOR = 14.0, 30.0
"""Days before and after a purchase that are compared, and in which its effect halves."""


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

    def only(self, which: np.ndarray) -> Acts:
        """Some of the acts."""
        return Acts(**{each.name: getattr(self, each.name)[which] for each in fields(self)})


@dataclass(frozen=True)
class Habits:
    """What `Organic` needs of U users and I items beside their tastes; float64."""

    visits: Visits
    """How often users come, and whether they still do."""
    weekday: np.ndarray
    """Factor on the visits by local weekday, Monday first (7,)."""
    hours: np.ndarray
    """Probability of each local hour (U, 24)."""
    ends: np.ndarray
    """Parameters (U, 2) of the Beta distribution of the probability that an item met is the
    visit's last."""
    buy: np.ndarray
    """Purchases for each item met (U,)."""
    spend: np.ndarray
    """Mean amount paid for each item (I,)."""
    view: float
    """Probability that an item met is logged as a view: 0 for a shop that logs none."""
    cart: float
    """Carts for each item met."""
    satiation: float
    """Share of the demand for an item that is lost right after it was bought."""


@dataclass(frozen=True)
class Left:
    """Mean share of their demand that lulls after purchases left U users, (U,) float64 each."""

    items: np.ndarray
    """Of buying, over the items met."""
    known: np.ndarray
    """Of visits, over the days on which the user was known."""
    coming: np.ndarray
    """Of visits, over those until the last visit."""


def habits_of(
    users: Users,
    acts: Acts,
    price: np.ndarray,
    until: int,
    left: Left | None = None,
    aside: np.ndarray = NO_DAYS,
) -> Habits:
    """Habits of U users until an instant, shrunk to the average user's as far as users are alike.

    price: (I,) of the items, paid where no amount is known. left: by lulls; habits are then those
    of users who have bought nothing of late. aside: local dates (D,) that the acts are none of,
    ascending.
    """
    if left is None:
        left = Left(*np.ones((3, len(users))))
    size, owner = len(users), acts.owner
    zone = users.codes[owner]
    views = acts.kind == Kind.VIEW
    bought = acts.kind == Kind.PURCHASE
    met = views if views.any() else bought
    day = local_day(acts.at, zone)
    days = pd.DataFrame({"owner": owner, "day": day}).drop_duplicates()
    visits = _visits(users, acts.at, days, owner, until, left, aside)
    # Several visits of a day are seen as one.
    often = visits.sessions / -np.expm1(-visits.sessions)
    came = np.bincount(days["owner"], minlength=size) * often
    touches = np.bincount(owner[met], minlength=size)
    more = np.maximum(touches - came, 0.0)
    own = np.bincount(owner[bought], minlength=size)
    carts = (acts.kind == Kind.CART).sum() / max(met.sum(), 1)
    return Habits(
        visits=visits,
        weekday=_weekdays(days["day"].to_numpy(), aside),
        hours=fit_hours(size, *_visited(owner, day, local_hour(acts.at, zone))),
        ends=np.stack([came, more], 1) + fit_beta(came, more),
        buy=_share(own, np.maximum(touches * left.items - own, 0))
        if views.any()
        else np.ones(size),
        spend=_spend(acts, bought, price),
        view=float(views.any()),
        cart=min(float(carts), 1.0),
        satiation=_satiation(acts, until),
    )


def _visits(
    users: Users,
    at: np.ndarray,
    days: pd.DataFrame,
    owner: np.ndarray,
    until: int,
    left: Left,
    aside: np.ndarray,
) -> Visits:
    """Visits from the day after the one on which a user came to be known: the log's first day,
    or a later one of signing up. That day itself is not counted, since it is why they are known."""
    first = np.full(len(users), until)
    np.minimum.at(first, owner, at)
    begin = np.maximum(users.signed_up, at.min(initial=until))
    begin = np.minimum(np.where(users.signed_up == NEVER, first, begin), first)
    opened = local_day(begin, users.codes)
    after = days[days["day"] > opened[days["owner"]]]
    last = opened.copy()
    np.maximum.at(last, after["owner"].to_numpy(), after["day"].to_numpy())
    known = np.maximum(until - next_local_midnight(begin, users.codes), 0) / DAY
    left_out = (np.searchsorted(aside, at, "right") for at in (until // DAY - 1, opened))
    known = np.maximum(known - np.subtract(*left_out), 0)
    count = np.bincount(after["owner"], minlength=len(users))
    return fit_visits(count, (last - opened) * left.coming, known * left.known)


def _share(yes: np.ndarray, no: np.ndarray) -> np.ndarray:
    """Each user's mean probability (U,) of a yes."""
    own = np.stack([yes, no], 1) + fit_beta(yes, no)
    return own[:, 0] / own.sum(1)


def _weekdays(day: np.ndarray, aside: np.ndarray) -> np.ndarray:
    """Visits by weekday over their mean (7,), with three visits of each added. The first and the
    last day are cut short by the log and left out."""
    if len(day) == 0:
        return np.ones(7)
    inside = np.setdiff1d(np.arange(day.min() + 1, day.max()), aside)
    came = day[(day > day.min()) & (day < day.max())]
    days = np.bincount((inside + 3) % 7, minlength=7)
    rate = len(came) / max(len(inside), 1)
    count = np.bincount((came + 3) % 7, minlength=7) + 3.0
    factor = count / (days * max(rate, 1e-9) + 3.0)
    return factor / factor.mean()


def _visited(owner: np.ndarray, day: np.ndarray, hour: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Users and hours of visits (V,) each: an hour with several acts counts once."""
    begin = day.min(initial=0)
    days = int(day.max(initial=0) - begin) + 1
    visits = np.unique((owner * days + day - begin) * 24 + hour)
    return visits // (days * 24), visits % 24


def _spend(acts: Acts, bought: np.ndarray, price: np.ndarray) -> np.ndarray:
    paid = bought & np.isfinite(acts.value)
    number = np.bincount(acts.item[paid], minlength=len(price))
    total = np.bincount(acts.item[paid], acts.value[paid], minlength=len(price))
    return np.where(number > 0, total / np.maximum(number, 1), price).round(2)


def _satiation(acts: Acts, until: int) -> float:
    """From how often an item is viewed in the days after its purchase and in those before.

    0 where that does not differ by two standard errors, and for a shop that logs no views: a
    purchase there is after another just as that is before it.
    """
    table = pd.DataFrame({"owner": acts.owner, "item": acts.item, "at": acts.at / DAY})
    bought = table[acts.kind == Kind.PURCHASE]
    begin, end = table["at"].min() + AROUND, until / DAY - AROUND
    bought = bought[(bought["at"] >= begin) & (bought["at"] <= end)]
    pairs = bought.merge(table[acts.kind == Kind.VIEW], on=["owner", "item"])
    gap = pairs["at_y"] - pairs["at_x"]
    gap = gap[(gap.abs() > 1 / 24) & (gap.abs() <= AROUND)]  # not of the same visit
    before, after = gap[gap < 0], gap[gap > 0]
    fewer = len(before) - len(after)
    if fewer <= 2 * np.sqrt(len(gap)):
        return 0.0
    return min(fewer / float(np.exp2(before / SATED_FOR).sum()), 1.0)
