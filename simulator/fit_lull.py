"""The lull after a purchase, from what users did: how much less they buy, how much less often they
come, and for how long.

Who buys often has bought of late, so over users purchases seem to raise purchases. Here users are
of latent types, a rate of visits and a probability of buying each, whose distribution is free
(Heckman and Singer, 1984): a drop is what sets a user's days after a purchase apart from the same
user's other days. Both are fitted together, for who buys more may also come more often. What a day
does to all users, such as a sale, is taken out.

Heckman, Singer (1984). A method for minimizing the impact of distributional assumptions in
econometric models for duration data. Econometrica 52(2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ingestion.replay import UserEvents
from mdp.clock import DAY
from mdp.events import Kind
from mdp.local_time import local_day, midnights_from
from mdp.special_days import NO_DAYS
from mdp.state import apply, new_histories
from simulator.description import Users
from simulator.habits import Acts, Habits, Left, habits_of
from simulator.latent_types import Trials, distribution
from simulator.lull import Lull, remembered_all
from simulator.material import TOGETHER

MOST_USERS, MOST_DAYS = 2000, 182
"""Users, evenly spaced, and the latest days that a lull is fitted to."""
HALF_LIVES = (3.5, 5.0, 7.0, 10.0, 14.0, 20.0, 28.0)
"""Days that are tried: every other, and then the best one's neighbours."""
FIRST, LARGEST = 0.05, 4.0
"""Sizes: where an increase begins if there is any, and the largest that is tried."""
CLEARLY = 5.0
"""Nats by which a drop must be likelier than none."""
BUYING, COMING = np.geomspace(1e-4, 0.98, 30), np.geomspace(0.003, 4.0, 20)
"""Probabilities of buying an item met and visits a day that types have."""
ROUNDS, MORE_ROUNDS = 500, 100
"""Of expectation and maximisation: from scratch, and from a distribution that is near."""
_Place = tuple[int, int]
"""Whether the latest purchase alone counts, and the place of a half-life."""
GOLDEN, STEPS = (5**0.5 - 1) / 2, 10


@dataclass(frozen=True)
class Days:
    """T whole local days of U users' log."""

    met: np.ndarray
    """Items met (U, T) float32."""
    bought: np.ndarray
    """Items bought that no push is credited with (U, T) float32."""
    came: np.ndarray
    """Whether the user came (U, T) bool."""
    known: np.ndarray
    """Whether the user was known on an earlier day (U, T) bool."""
    noons: np.ndarray
    """Instants of noon (U, T) int64."""


def lull_and_habits(
    users: Users,
    events: UserEvents,
    acts: Acts,
    price: np.ndarray,
    until: int,
    aside: np.ndarray = NO_DAYS,
) -> tuple[Lull | None, Habits]:
    """The lull after purchases that a log shows until an instant, if any, and its users' habits
    but for it.

    users: U, in the order of `events`. price: of the items (I,). aside: local dates (D,) that
    habits are read without, ascending.
    """
    lull = lull_of(events, acts, until)
    usual = acts
    if len(aside):
        usual = acts.only(~np.isin(local_day(acts.at, users.codes[acts.owner]), aside))
    if lull is None:
        return None, habits_of(users, usual, price, until, None, aside)
    left = left_by(lull, events, acts, until)
    habits = habits_of(users, usual, price, until, left, aside)
    if lull.buys:
        level = level_of(lull, events, usual, until, habits.buy)
        habits = replace(habits, buy=np.minimum(level * habits.buy, 1.0))
    return lull, habits


def lull_of(users: UserEvents, acts: Acts, until: int) -> Lull | None:
    """The likeliest lull of a log until an instant; None where there is none, or where the log does
    not show it by `CLEARLY`.

    Nor is there one where no views are logged: nobody is seen to come without buying.
    """
    size = len(users.user_ids)
    rows = np.unique(np.linspace(0, size - 1, min(size, MOST_USERS)).astype(np.int64))
    days = days_of(users, acts, until, rows)
    if not (days.met.any() and days.bought.any()):
        return None
    weights = weights_of(users, rows, days, HALF_LIVES)
    places = [(form, n) for form in (0, 1) for n in range(0, len(HALF_LIVES), 2)]
    buying = Trials.of(days.met > 0, days.met, days.bought > 0, BUYING)
    buys = _searched(buying, weights, places, [])
    heavy = weights[buys.place][buying.owner, buying.day].astype(np.float64)
    beside = [buying.table(np.exp(-buys.size * heavy))]
    coming = Trials.of(days.known, None, days.came, COMING)
    visits = _searched(coming, weights, [buys.place] if buys.size else places, beside)
    if not buys.size + visits.size:
        return None
    form, n = visits.place
    return Lull(buys.size, visits.size, HALF_LIVES[n], form == 1)


def left_by(lull: Lull, users: UserEvents, acts: Acts, until: int) -> Left:
    """What a lull leaves the users of a log (U,)."""
    left = np.ones((3, len(users.user_ids)))
    for rows, days, buying, coming in _lived(lull, users, acts, until):
        until_last = np.logical_or.accumulate(days.came[:, ::-1], 1)[:, ::-1]
        pairs = (buying, days.met), (coming, days.known), (coming, days.known & until_last)
        left[:, rows] = [_mean(values, where) for values, where in pairs]
    return Left(*left)


def level_of(lull: Lull, users: UserEvents, acts: Acts, until: int, buy: np.ndarray) -> float:
    """Items bought in the second half of the days over those to be expected of probabilities
    `buy` (U,) and the lull: what its form does not say of users who have bought for a while."""
    bought = expected = 1.0
    for rows, days, buying, _ in _lived(lull, users, acts, until):
        late = slice(days.met.shape[1] // 2, None)
        bought += float(days.bought[:, late].sum())
        expected += float((buy[rows] * (days.met * buying)[:, late].sum(1)).sum())
    return bought / expected


def _lived(
    lull: Lull, users: UserEvents, acts: Acts, until: int
) -> Iterator[tuple[np.ndarray, Days, np.ndarray, np.ndarray]]:
    """Some users (N,) at a time, their days, and what a lull leaves of buying and of visits on
    each (N, T)."""
    size = len(users.user_ids)
    for rows in np.array_split(np.arange(size), -(-size // TOGETHER)):
        days = days_of(users, acts, until, rows)
        weight = weights_of(users, rows, days, (lull.days,))[int(lull.latest), 0]
        yield rows, days, np.exp(-lull.buys * weight), np.exp(-lull.visits * weight)


def _mean(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted means (U,) of values (U, T), 1 where nothing has a weight."""
    total = weight.sum(1, dtype=np.float64)
    return np.where(total > 0, (values * weight).sum(1) / np.maximum(total, 1e-9), 1.0)


def days_of(users: UserEvents, acts: Acts, until: int, rows: np.ndarray) -> Days:
    """The latest whole days of users `rows` (N,), ascending, until an instant."""
    zone, began = users.zone[rows], int(users.events["at"].min(initial=until))
    first = midnights_from(began, zone)
    length = max(int((until - first.max()) // DAY), 1)
    skipped = max(length - MOST_DAYS, 0)
    midnights = np.stack([midnights_from(began, zone, day) for day in range(skipped, length)], 1)
    place = np.full(len(users.user_ids), -1)
    place[rows] = np.arange(len(rows))
    mine = place[acts.owner] >= 0
    owner, kind = place[acts.owner[mine]], acts.kind[mine]
    opened = local_day(midnights[:, 0], zone)
    day = local_day(acts.at[mine], zone[owner]) - opened[owner]
    T = midnights.shape[1]
    inside = (day >= 0) & (day < T)

    def counted(which: np.ndarray) -> np.ndarray:
        some = inside & which
        return np.bincount(owner[some] * T + day[some], minlength=len(rows) * T).reshape(-1, T)

    begun = np.full(len(rows), T)
    np.minimum.at(begun, owner, day)
    return Days(
        met=counted(kind == Kind.VIEW).astype(np.float32),
        bought=counted(kind == Kind.PURCHASE).astype(np.float32),
        came=counted(np.ones(len(kind), bool)) > 0,
        known=np.arange(T) > begun[:, None],
        noons=midnights + DAY // 2,
    )


def weights_of(
    users: UserEvents, rows: np.ndarray, days: Days, half_lives: tuple[float, ...]
) -> np.ndarray:
    """What is remembered of purchases at the noons of days, of which that day's are not yet known
    (2, G, N, T) float32: of all items bought and of the latest, under G half-lives in days.

    The states are replayed as an episode lives them, so what they forget is forgotten here.
    """
    users = users.of_users(rows)
    acted = (users.events["kind"] <= Kind.PURCHASE) & (users.events["kind"] >= Kind.VIEW)
    owner, events = users.owner[acted], users.events[acted]
    N, T = days.noons.shape
    # Of the day before the first one, and of those before: 0.
    due = local_day(events["at"], users.zone[owner])
    due += 1 - local_day(days.noons[:, 0], users.zone)[owner]
    order = np.argsort(due, kind="stable")
    ends = np.searchsorted(due[order], np.arange(T), side="right")
    states, lives = new_histories(N), np.array(half_lives) * DAY
    out, begin = np.zeros((2, len(lives), N, T), np.float32), 0
    for t, end in enumerate(ends):
        some = order[begin:end]
        apply(states, owner[some], events[some])
        remembered_all(states["known"], days.noons[:, t], lives, out[..., t])
        begin = end
    return out


class _Found(NamedTuple):
    """What a search found."""

    gain: float
    """Nats by which a lull is likelier than none."""
    size: float
    place: _Place


def _searched(
    kind: Trials, weights: np.ndarray, where: Iterable[_Place], beside: list[np.ndarray]
) -> _Found:
    """The size under which what happened is likeliest, and the form and half-life of `where`.

    weights: (2, G, U, T), as `weights_of` gives them. beside: log-likelihoods (U, H) of other rates
    that users have, if any.
    """
    plain = kind.table(np.ones(len(kind.owner)))
    share = np.full([table.shape[1] for table in (plain, *beside)], 1.0)
    share, likelihood = distribution([plain, *beside], share / share.size, ROUNDS)

    def tried(place: _Place) -> _Found:
        heavy, near = weights[place][kind.owner, kind.day].astype(np.float64), share

        def height(size: float) -> float:
            nonlocal near
            tables = [kind.table(np.exp(-size * heavy)), *beside]
            near, likely = distribution(tables, near, MORE_ROUNDS)
            return likely - likelihood - size  # a size is exponentially distributed about 1

        size = _highest(height, 0.0, LARGEST) if height(FIRST) > 0 else 0.0
        return _Found(height(size) if size else 0.0, size, place)

    found = [tried(place) for place in where]
    form, middle = max(found).place
    if len(found) > 1:
        around = [n for n in (middle - 1, middle + 1) if 0 <= n < len(HALF_LIVES)]
        found += [tried((form, n)) for n in around]
    best = max(found)
    return best if best.gain >= CLEARLY else _Found(0.0, 0.0, best.place)


def _highest(height: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one summit is highest, by golden section."""
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    of_left, of_right = height(left), height(right)
    for _ in range(STEPS):
        if of_left > of_right:
            high, right, of_right = right, left, of_left
            left = high - GOLDEN * (high - low)
            of_left = height(left)
        else:
            low, left, of_left = left, right, of_right
            right = low + GOLDEN * (high - low)
            of_right = height(right)
    return (low + high) / 2
