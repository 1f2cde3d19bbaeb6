"""The days after a fit, as the log has them and as its simulator lives them under the estimated
logging policy: rates of what follows a push, value, counts, pauses between visits, and how well
gradient boosting tells simulated user-weeks from real ones (an area under its curve of 0.5: not at
all)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ingestion.catalog import catalog_of
from ingestion.log import Log
from ingestion.logged_decisions import attributed, decisions_of, requests_of
from ingestion.replay import to_events
from ingestion.splits import before
from mdp.clock import DAY
from mdp.local_time import local_day, next_local_midnight
from mdp.reward import Reward
from mdp.state import DISMISSED, SCHEDULED
from simulator.description import Simulator
from simulator.fidelity_weeks import (
    COUNTED,
    after_purchases,
    gaps_of,
    half_of,
    told_apart,
    weeks_of,
)
from simulator.kernel import Kernel
from simulator.payment import Step

FOLLOWS = ("opened", "dismissed", "unsubscribed")
"""What may follow a push, as rates of it are compared."""
GROUPED = ("hour", "weekday", "variant", "fatigue", "week")
"""By what they are: local hour, weekday of the decision (0: Monday), variant, and pushes of the
three and of the seven days before."""
PAUSES = "pauses"
PLACES = 60
"""Lengths at which the distribution of pauses is told."""


@dataclass(frozen=True)
class Stretch:
    """Some days of a log."""

    sends: pd.DataFrame
    """Its pushes, with `FOLLOWS` and `GROUPED` as columns."""
    value: np.ndarray
    """Each user's mean reward a day (U,) float64."""
    weeks: np.ndarray
    """Figures of each user's weeks (weeks × U, F) float64 (`weeks_of`)."""
    gaps: tuple[np.ndarray, np.ndarray]
    """Users and hours (M,) of pauses between visits."""
    bought: dict[str, tuple[float, int]]
    """Share of users' days with a purchase, by days since the last (`after_purchases`)."""


def whole_of(log: Log, simulator: Simulator, days: int, seed: int) -> dict[str, Any]:
    """Figures of some days after a simulator's start, logged and simulated; of the same users."""
    users = len(simulator.users)
    # Not the seed itself: a demo shop may have been drawn with it.
    drawn_with = int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])
    kernel = Kernel(simulator, np.arange(users), drawn_with, days, record=True)
    for _ in _lived(kernel, seed):
        pass
    known = before(log, simulator.start)
    real = _stretch(log.replace_tables(users=known.tables["users"]), simulator.start, days)
    drawn = _stretch(_followed_by(known, kernel.tables()), simulator.start, days)
    both = {"logged": real, "simulated": drawn}
    value: dict[str, Any] = {name: _mean(one.value) for name, one in both.items()}
    value["members"] = _under_members(simulator, days, drawn_with, seed)
    value["expected"] = float(np.mean(value["members"]))
    return {
        "days": days,
        "rates": {
            what: {
                by: {name: _rates(one.sends, what, by) for name, one in both.items()}
                for by in GROUPED
            }
            for what in FOLLOWS
        },
        "value_per_user_day": value,
        "after_purchases": {name: one.bought for name, one in both.items()},
        "value_inside_interval": _inside(value["logged"], value["expected"]),
        "counts": _distances(real.weeks, drawn.weeks, users, seed),
        "distributions": _distributions(real, drawn),
        **_apart(real, drawn, users, seed),
    }


def _lived(kernel: Kernel, seed: int) -> Iterator[Step]:
    """The days of a kernel under its estimated logging policy."""
    logging, rng = kernel.simulator.logging, np.random.default_rng(seed)
    while not kernel.done:
        actions, propensity = logging.act(kernel.view().observation, rng)
        yield kernel.step(actions, propensity, logging.name)


def _under_members(simulator: Simulator, days: int, drawn_with: int, seed: int) -> list[float]:
    """Expected reward per user and day under each member of the ensemble, with the same draws."""
    out = []
    for member in simulator.members:
        alone = replace(simulator, members=(member,))
        kernel = Kernel(alone, np.arange(len(simulator.users)), drawn_with, days - 1)
        out.append(float(np.mean([step.expected.mean() for step in _lived(kernel, seed)])))
    return out


def _followed_by(log: Log, tables: dict[str, pd.DataFrame]) -> Log:
    """A log and the days that a kernel lived after it."""
    joined = {}
    for name in ("events", "decisions", "outcomes"):
        own = log.tables[name]
        new = tables.get(name, own.iloc[:0]).reindex(columns=own.columns)
        for column in ("decision_id", "event_id"):
            if column in new:  # a name of its own, whatever the log's ids look like
                new[column] = "simulated " + new[column].astype(str)
        new = new.astype({column: own[column].dtype for column in own.columns})
        joined[name] = pd.concat([own, new], ignore_index=True) if len(own) else new
    return log.replace_tables(**joined)


def _stretch(log: Log, start: int, days: int) -> Stretch:
    catalog, events = catalog_of(log), to_events(log)
    decisions = decisions_of(log, catalog, events)
    followed = attributed(log, catalog, events, decisions, Reward())
    # Users begin at their own midnight, and the last day's outcomes are still to come.
    begins = next_local_midnight(np.full(len(events.user_ids), start - 1), events.zone)
    decided = decisions.decided_at - begins[decisions.owner]
    mine = (decided >= 0) & (decided < (days - 1) * DAY)
    sent = mine & decisions.sent
    some = decisions.only(sent)
    ring = requests_of(log, catalog, events, some).histories["ring"]
    age = some.decided_at[:, None] - ring["send_at"]
    counted = (ring["status"] >= SCHEDULED) & (ring["status"] <= DISMISSED)
    variants = np.array(catalog.variants.ids, object)
    sends = pd.DataFrame(
        {
            "opened": (followed.opened | followed.clicked)[sent],
            "dismissed": followed.dismissed[sent],
            "unsubscribed": followed.unsubscribed[sent],
            "hour": some.h,
            "variant": variants[some.variants[np.arange(len(some.v)), some.v]],
            "weekday": (local_day(some.decided_at, events.zone[some.owner]) + 3) % 7,
            "fatigue": (counted & (age < 3 * DAY)).sum(1),
            "week": (counted & (age < 7 * DAY)).sum(1),
        }
    )
    value = np.bincount(decisions.owner[mine], followed.reward[mine], len(begins)) / (days - 1)
    return Stretch(
        sends,
        value,
        weeks_of(events, begins, days - 1, catalog.items),
        gaps_of(events, begins, days - 1),
        after_purchases(events, begins, days - 1),
    )


def _mean(values: np.ndarray) -> dict[str, float]:
    """Mean and its standard error, over users."""
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(values.mean()), "standard_error": spread / len(values) ** 0.5}


def _inside(logged: dict[str, float], expected: float) -> bool:
    """Whether what a fit expects lies in the logged mean's 95 % interval; one simulated life has
    luck of its own, and would leave the interval of a right fit every sixth time."""
    return abs(expected - logged["mean"]) <= 1.96 * logged["standard_error"]


def _resampled(weeks: np.ndarray, users: int, seed: int) -> np.ndarray:
    """The weeks (weeks × U, F) of users drawn with replacement."""
    drawn = np.random.default_rng(seed).integers(0, users, users)
    return weeks.reshape(-1, users, weeks.shape[1])[:, drawn].reshape(weeks.shape)


def _apart(real: Stretch, drawn: Stretch, users: int, seed: int) -> dict[str, Any]:
    """How far simulated weeks and pauses are from real ones, and a random half of the real users
    from the other."""
    half = half_of(users, seed)
    user = np.tile(np.arange(users), len(real.weeks) // users)
    label = np.repeat([False, True], len(user))
    both = np.concatenate([real.weeks, drawn.weeks])
    owner, hours = real.gaps
    some = len(hours) > 0 and len(drawn.gaps[1]) > 0
    ours = half[owner]
    return {
        "auc": told_apart(both, np.tile(user, 2), label, seed),
        "auc_of_halves": told_apart(real.weeks, user, half[user], seed),
        "pauses": {
            "distance": _distance(hours, drawn.gaps[1]) if some else None,
            "of_halves": _distance(hours[ours], hours[~ours])
            if 0 < ours.sum() < len(ours)
            else None,
        },
    }


def _distances(
    real: np.ndarray, simulated: np.ndarray, users: int, seed: int
) -> dict[str, dict[str, float]]:
    """Kolmogorov and Smirnov's distance of each kind's counts per user-week, and that of the real
    log from itself resampled."""
    again = _resampled(real, users, seed)
    return {
        kind.name.lower(): {
            "distance": _distance(real[:, n], simulated[:, n]),
            "of_resampled": _distance(real[:, n], again[:, n]),
        }
        for n, kind in enumerate(COUNTED)
    }


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Largest difference of two samples' distribution functions."""
    at = np.union1d(one, other)
    below = [np.searchsorted(np.sort(x), at, side="right") / len(x) for x in (one, other)]
    return float(np.abs(below[0] - below[1]).max())


def _rates(sends: pd.DataFrame, what: str, by: str) -> dict[str, list[float]]:
    """Share of the pushes that something followed, and their number, by group."""
    groups = sends.groupby(by)[what].agg(["mean", "size"])
    return {str(k): [float(r["mean"]), float(r["size"])] for k, r in groups.iterrows()}


def _distributions(real: Stretch, drawn: Stretch) -> dict[str, dict[str, list[float]]]:
    """Shares of user-weeks with at most so many events of each kind, and of pauses at most so many
    hours long, logged and simulated."""
    out = {}
    for n, kind in enumerate(COUNTED):
        pair = real.weeks[:, n], drawn.weeks[:, n]
        most = int(max(np.quantile(one, 0.999) for one in pair))
        out[kind.name.lower()] = _below(pair, np.arange(most + 2.0))
    pair = real.gaps[1], drawn.gaps[1]
    if min(map(len, pair)):
        lengths = np.concatenate(pair)
        out[PAUSES] = _below(pair, np.geomspace(lengths.min(), lengths.max(), PLACES))
    return out


def _below(pair: tuple[np.ndarray, np.ndarray], at: np.ndarray) -> dict[str, list[float]]:
    shares = (np.searchsorted(np.sort(one), at, side="right") / len(one) for one in pair)
    logged, simulated = (share.round(5).tolist() for share in shares)
    return {"at": at.round(3).tolist(), "logged": logged, "simulated": simulated}
