"""Newcomers: users whom nobody knows yet, drawn from those whom a simulator has.

A newcomer is another user, the donor, once more: with the donor's zone, locale and attributes, true
traits and habits, under an id of its own and with nothing behind them. Beliefs and recommender do
not know the id, so that both treat a newcomer as they would in the shop.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from mdp.clock import DAY
from mdp.errors import BadSetting
from mdp.local_time import midnights_from
from mdp.state import new_histories, put
from simulator.description import Arrivals, Simulator
from simulator.randomness import ARRIVAL, keys, words

RECENT = 56.0
"""Days before the fit whose sign-ups and listings count; in a log of less than twice as many, its
second half."""
LEAST_DONORS = 30
"""Users who signed up then, below which newcomers are like all users."""


def arrivals_of(
    signed_up: np.ndarray, listed: np.ndarray, began: int, until: int
) -> Arrivals | None:
    """How users and items arrive, from instants of signing up (U,) and of listing (I,) in a log
    from `began` to `until`; None where none did of late.

    Its first half tells nothing where signing up is the first thing that a log shows of a user:
    old customers seem to arrive there.
    """
    days = min((until - began) / DAY / 2, RECENT)
    since = until - int(days * DAY)
    users, items = (int(((at >= since) & (at < until)).sum()) for at in (signed_up, listed))
    if not users + items:
        return None
    return Arrivals(users / days, since if users >= LEAST_DONORS else None, items / days)


def arriving(rate: float, days: int, seed: int) -> list[int]:
    """Newcomers on each of the days, of whom there are `rate` on average."""
    return np.random.default_rng([seed, 23]).poisson(rate, days).tolist()


def newcomers(simulator: Simulator, day: int, first: int, last: int, seed: int) -> Simulator:
    """The simulator of those alone who arrive on a day after its start, number `first` to
    `last - 1` of that day."""
    donors, ids = _drawn(simulator, day, first, last, seed)
    return _of(simulator, donors, ids, day, 0)


def with_newcomers(simulator: Simulator, share: float) -> Simulator:
    """The simulator with newcomers after its users: that share of all who may be pushed, or so.

    1 leaves newcomers alone, as many as there were users. Raises `BadSetting` for a share that is
    none.
    """
    if not isinstance(share, int | float) or not 0 <= share <= 1:
        raise BadSetting(f"newcomers is {share!r}; it is a share, from 0 to 1")
    if share == 0:
        return simulator
    if share == 1:
        return newcomers(simulator, 0, 0, len(simulator.users), 0)
    number = round(int(simulator.pushable.sum()) * share / (1 - share))
    donors, ids = _drawn(simulator, 0, 0, number, 0)
    size = len(simulator.users)
    rows = np.concatenate([np.arange(size), donors])
    return _of(simulator, rows, (*simulator.users.ids, *ids), 0, size)


def _drawn(
    simulator: Simulator, day: int, first: int, last: int, seed: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Rows of the donors of a day's newcomers, and the newcomers' ids."""
    since = None if simulator.arrivals is None else simulator.arrivals.since
    signed_up = simulator.users.signed_up
    donors = np.arange(len(signed_up)) if since is None else np.flatnonzero(signed_up >= since)
    number = np.arange(first, last)
    key = keys(
        np.full(len(number), seed, np.uint64), ARRIVAL, number.astype(np.uint64), 0 * number + day
    )
    rows = donors[(words(key, 0) % np.uint64(len(donors))).astype(np.int64)]
    date = pd.Timestamp(simulator.start + day * DAY, unit="us").date()
    return rows, tuple(f"new-{date}-{n + 1}" for n in number.tolist())


def _of(
    simulator: Simulator, rows: np.ndarray, ids: tuple[str, ...], day: int, known: int
) -> Simulator:
    """The simulator of its users `rows` (N,) under ids (N,), all but the first `known` of whom
    arrive on a day after its start."""
    new, some = np.arange(known, len(rows)), simulator.of_users(rows, ids)
    put(some.histories, new, new_histories(len(new), some.histories["consent"][new]))
    some.users.signed_up[new] = midnights_from(simulator.start, some.users.codes[new], day)
    # They come for certain, and stay as little as anybody.
    if some.organic.alive is not None:
        some.organic.alive[new] = 1.0
    if some.organic.staying is not None and simulator.organic.staying is not None:
        some.organic.staying[new] = simulator.organic.staying.min()
    return some
