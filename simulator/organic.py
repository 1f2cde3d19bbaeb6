"""Organic behaviour: the visits, carts and purchases that happen whether or not a push is sent."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from mdp.clock import DAY, HOUR, NEVER, SECOND
from mdp.compiled import njit
from mdp.errors import BadArtifact
from mdp.events import Kind
from mdp.special_days import NO_DAYS, by_day, day_row
from mdp.state import ATTRIBUTION, KNOWN
from simulator.lull import NO_LULL, Lull, lulled
from simulator.randomness import bits, gammas, uniform, uniforms

_VIEW, _CART, _BUY = int(Kind.VIEW), int(Kind.CART), int(Kind.PURCHASE)
MOST_VISITS, MOST_TOUCHES = 20, 60
"""Visits of a day and items met in a visit are cut here."""
ALL_LISTED = (np.zeros(0, np.int32), np.zeros(0, np.int64))
"""No new items."""
_FAR = 1 << 20
"""Beyond all other draws of a day."""


@dataclass(frozen=True)
class Organic:
    """How often, when and on which items U users act by themselves; float32 arrays."""

    sessions: np.ndarray
    """Expected visits a day (U,)."""
    weekday: np.ndarray
    """Factor on the visits by local weekday, Monday first (7,)."""
    hours: np.ndarray
    """Probability of each local hour for a visit (U, 24)."""
    touches: np.ndarray
    """Mean number of items met in a visit, at least 1 (U,)."""
    own: np.ndarray
    """Probability that an item met comes from the user's own list, not by popularity (U,)."""
    own_items: np.ndarray
    """The user's own list (U, M) int32, catalogue rows, -1 for padding."""
    own_weight: np.ndarray
    """Probability of each item of the own list (U, M)."""
    popularity: np.ndarray
    """Probability of each item otherwise (I,)."""
    buy: np.ndarray
    """Probability that an item met is bought (U,)."""
    spend: np.ndarray
    """Amount paid for an item that is bought (I,)."""
    view: float = 1.0
    """Probability that an item met is logged as a view."""
    cart: float = 0.1
    """Probability that it is put into the cart."""
    satiation: float = 0.8
    """Share of the demand for an item that is lost right after it was bought."""
    satiation_days: float = 30.0
    """Days in which that loss halves."""
    slump: float = 0.0
    """Share of the demand for all items that each remembered purchase takes away at first; what
    several take away adds up. A world's; fits have a `lull`."""
    slump_days: float = 7.0
    """Days in which that loss halves."""
    lull: Lull | None = None
    """How much less users do after a purchase. None: no less."""
    shape: np.ndarray | None = None
    """How sure `sessions` is: an episode draws each user's from the Gamma distribution of this
    shape about it (U,). None: it is exact."""
    ends: np.ndarray | None = None
    """How sure `touches` is: an episode draws its inverse from Beta distributions (U, 2)."""
    alive: np.ndarray | None = None
    """Probability of still coming (U,), drawn for each episode. None: all do."""
    staying: np.ndarray | None = None
    """Who comes still does after t days with probability (staying / (staying + t)) ^ leaving
    (U,)."""
    leaving: float = 0.0
    """0: nobody leaves later."""
    special_day: np.ndarray | None = None
    """Special days, past and to come, local dates since 1970 (D,) int32, ascending. None: there
    are none."""
    special: np.ndarray | None = None
    """Factors on the visits of each, beside its weekday's, and on `buy` (D, 2)."""

    def __post_init__(self) -> None:
        U, M = self.own_items.shape
        expected = {
            "sessions": (U,),
            "weekday": (7,),
            "hours": (U, 24),
            "touches": (U,),
            "own": (U,),
            "own_weight": (U, M),
            "buy": (U,),
            "spend": self.popularity.shape,
        }
        expected |= {
            name: shape
            for name, shape in {
                "shape": (U,),
                "ends": (U, 2),
                "alive": (U,),
                "staying": (U,),
                "special": (0 if self.special_day is None else len(self.special_day), 2),
            }.items()
            if getattr(self, name) is not None
        }
        for name, shape in expected.items():
            array = getattr(self, name)
            if array.shape != shape or not np.isfinite(array).all() or (array < 0).any():
                raise BadArtifact(
                    f"organic behaviour: {name} is {array.shape}, "
                    f"expected finite numbers from 0 on of {shape}"
                )

    @cached_property
    def days(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Special days (D,), and factors on visits and on `buy` (7 + D,) by `day_row`."""
        ones = np.ones(7, np.float32)
        if self.special_day is None or self.special is None:
            return NO_DAYS, self.weekday, ones
        apart = self.weekday[(self.special_day + 3) % 7] * (self.special[:, 0] - 1)
        visits = by_day(self.weekday, self.special_day, apart)
        return self.special_day, visits, np.concatenate([ones, self.special[:, 1]])

    def of_users(self, rows: np.ndarray) -> Organic:
        """That of the users `rows` (N,) alone, repeats allowed."""
        own = {name: getattr(self, name) for name in _BY_USER}
        return replace(self, **{name: a[rows] for name, a in own.items() if a is not None})


_BY_USER = (
    *("sessions", "hours", "touches", "own", "own_items", "own_weight", "buy"),
    *("shape", "ends", "alive", "staying"),
)

HABITS = np.dtype([("sessions", "f4"), ("touches", "f4"), ("leaves", "f4")])
"""An episode's visits a day, items met in a visit and the day from which the user comes no more."""


def drawn_habits(organic: Organic, rows: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Habits (N,) `HABITS` of the users `rows` (N,) in episodes with keys (N,) uint64."""
    out = np.zeros(len(rows), HABITS)
    out["sessions"], out["touches"] = organic.sessions[rows], organic.touches[rows]
    out["leaves"] = np.inf
    if organic.shape is not None:
        shape = organic.shape[rows]
        out["sessions"] *= gammas(key, 2000, shape) / shape
    if organic.ends is not None:
        ends, more = (gammas(key, 3000 + 1000 * n, organic.ends[rows, n]) for n in (0, 1))
        out["touches"] = 1 + more / np.maximum(ends, 1e-9)
    if organic.staying is not None and organic.leaving > 0:
        left = uniforms(key, 5000) ** (-1 / organic.leaving) - 1
        out["leaves"] = organic.staying[rows] * left
    if organic.alive is not None:
        out["leaves"][uniforms(key, 5001) >= organic.alive[rows]] = 0.0
    return out


@dataclass(frozen=True)
class Drawn:
    """M organic events."""

    owner: np.ndarray
    """(M,) int64"""
    at: np.ndarray
    """(M,) int64"""
    kind: np.ndarray
    """(M,) int8"""
    item: np.ndarray
    """Catalogue rows (M,) int32."""
    id: np.ndarray
    """(M,) uint64"""


def draw_day(
    organic: Organic,
    rows: np.ndarray,
    habits: np.ndarray,
    day: np.ndarray,
    key: np.ndarray,
    date: np.ndarray,
    hour_at: np.ndarray,
    until: np.ndarray,
    known: np.ndarray,
    item_hash: np.ndarray,
    clicked: np.ndarray,
    clicked_at: np.ndarray,
    others: tuple[np.ndarray, np.ndarray, np.ndarray],
    launches: tuple[np.ndarray, np.ndarray],
) -> Drawn:
    """What N users do in one local day.

    rows: (N,) into the organic arrays. habits: (N,) `HABITS` of the episodes, in which this is the
    day (N,). key: (N,) uint64 random keys. date: local days since 1970 (N,). hour_at:
    (N, 24) int64 instants of the day's hours, `NEVER` for none; until: (N,) int64 end of the day.
    known: (N, KNOWN) what History remembers of the user's items. clicked, clicked_at: (N, C) item
    hashes and instants of clicks on pushes; a purchase of such an item within the attribution
    window is the push's, which its response draws, so none is drawn here. others: lists (D, M) of
    items and of their probabilities, and whose of them is a user's (N,) int64, -1 for the own one.
    launches: rows of new items that share the places of others, and from when on, as in `Launches`;
    empty where there are none.
    """
    sessions = np.where(day < habits["leaves"], habits["sessions"], np.float32(0.0))
    size = int(2 * (sessions * habits["touches"]).sum() * 3) + 4096
    while True:
        out = Drawn(
            np.empty(size, np.int64),
            np.empty(size, np.int64),
            np.empty(size, np.int8),
            np.empty(size, np.int32),
            np.empty(size, np.uint64),
        )
        count = _draw(
            sessions,
            organic.days,
            organic.hours,
            np.ascontiguousarray(habits["touches"]),
            organic.own,
            organic.own_items,
            organic.own_weight,
            np.cumsum(organic.popularity, dtype=np.float64),
            organic.buy,
            (organic.view, organic.cart, organic.satiation, organic.satiation_days * DAY),
            (organic.slump, organic.slump_days * DAY),
            NO_LULL if organic.lull is None else organic.lull.numbers,
            rows,
            key,
            date,
            hour_at,
            until,
            known,
            item_hash,
            clicked,
            clicked_at,
            others,
            launches,
            out.owner,
            out.at,
            out.kind,
            out.item,
            out.id,
        )
        if count <= size:
            break
        size = count
    return Drawn(*(getattr(out, name)[:count] for name in ("owner", "at", "kind", "item", "id")))


@njit(cache=True)
def _poisson(mean: Any, u: Any) -> Any:
    """Poisson number by inversion."""
    count, term = 0, math.exp(-mean)
    total = term
    while u > total and count < MOST_VISITS:
        count += 1
        term *= mean / count
        total += term
    return count


@njit(cache=True)
def _pick(weights: Any, u: Any) -> Any:
    """Index drawn by weights that sum to 1 or so."""
    total = 0.0
    for i in range(weights.size):
        total += weights[i]
    target, seen, last = u * total, 0.0, 0
    for i in range(weights.size):
        if weights[i] > 0:
            last = i
            seen += weights[i]
            if seen > target:
                return i
    return last


@njit(cache=True)
def _lost(known: Any, item: Any, at: Any, satiation: Any, half_life: Any) -> Any:
    """Share of the demand for an item that an earlier purchase has taken away."""
    for slot in range(KNOWN):
        if known[slot].item == item and known[slot].bought_at != NEVER:
            return satiation * math.exp2(-float(at - known[slot].bought_at) / half_life)
    return 0.0


@njit(cache=True)
def _slump(known: Any, at: Any, share: Any, half_life: Any) -> Any:
    """Share of all demand that earlier purchases have taken away."""
    lost = 0.0
    if share > 0.0:
        for slot in range(KNOWN):
            if known[slot].bought_at != NEVER:
                lost += share * math.exp2(-float(at - known[slot].bought_at) / half_life)
    return min(lost, 1.0)


@njit(cache=True)
def _claimed(clicked: Any, clicked_at: Any, item: Any, at: Any) -> Any:
    """Whether a purchase of the item would be a push's."""
    for i in range(clicked.size):
        if clicked[i] == item and clicked_at[i] <= at <= clicked_at[i] + ATTRIBUTION:
            return True
    return False


@njit(cache=True)
def _draw(
    sessions: Any,
    days: Any,
    hours: Any,
    touches: Any,
    own: Any,
    own_items: Any,
    own_weight: Any,
    popular: Any,
    buy: Any,
    shares: Any,
    slump: Any,
    lull: Any,
    rows: Any,
    key: Any,
    date: Any,
    hour_at: Any,
    until: Any,
    known: Any,
    item_hash: Any,
    clicked: Any,
    clicked_at: Any,
    others: Any,
    launches: Any,
    out_owner: Any,
    out_at: Any,
    out_kind: Any,
    out_item: Any,
    out_id: Any,
) -> Any:
    """Fills the outputs as far as they reach; returns how many events there are."""
    view, cart, satiation, half_life = shares
    others_items, others_weight, like = others
    special, by_day, by_day_buy = days
    successor, since = launches
    count = 0
    for n in range(rows.size):
        user, draw, row = rows[n], 1, day_row(date[n], special)
        buying, coming = lulled(known[n], until[n], lull)
        buying *= by_day_buy[row]
        visits = _poisson(sessions[n] * by_day[row] * coming, uniform(key[n], 0))
        for _ in range(visits):
            hour = _pick(hours[user], uniform(key[n], draw))
            start = hour_at[n, hour]
            at = start + np.int64(uniform(key[n], draw + 1) * HOUR) + 1
            draw += 2
            if start == NEVER:
                continue
            more = 1.0 - 1.0 / max(touches[n], 1.0)
            for _ in range(MOST_TOUCHES):
                own_turn = uniform(key[n], draw) < own[user]
                u = uniform(key[n], draw + 1)
                item = -1
                if own_turn and like[n] < 0:
                    item = own_items[user, _pick(own_weight[user], u)]
                elif own_turn:
                    item = others_items[like[n], _pick(others_weight[like[n]], u)]
                if item < 0:
                    place = np.searchsorted(popular, u * popular[-1], side="right")
                    item = min(place, popular.size - 1)
                coin = draw + _FAR
                while successor.size and at >= since[item] and bits(key[n], coin) % 2:
                    item = successor[item]
                    coin += _FAR
                chances = (
                    view,
                    cart,
                    0.0
                    if _claimed(clicked[n], clicked_at[n], item_hash[item], at + 2 * SECOND)
                    else buy[user] * (1.0 - _slump(known[n], at, slump[0], slump[1])) * buying,
                )
                lost = _lost(known[n], item_hash[item], at, satiation, half_life)
                interested = uniform(key[n], draw + 2) >= lost
                for step in range(3):
                    happens = interested and uniform(key[n], draw + 3 + step) < chances[step]
                    when = at + step * SECOND
                    if happens and when < until[n]:
                        if count < out_at.size:
                            out_owner[count] = n
                            out_at[count] = when
                            out_kind[count] = _VIEW + step
                            out_item[count] = item
                            out_id[count] = bits(key[n], draw + 3 + step)
                        count += 1
                going_on = uniform(key[n], draw + 6) < more
                at += (20 + np.int64(uniform(key[n], draw + 7) * 100)) * SECOND
                draw += 8
                if not going_on:
                    break
    return count
