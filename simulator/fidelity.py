"""Fidelity card: how true a fitted simulator is to the shop it was fitted to.

The heads are judged on the latest pushes, predicted from the earlier ones. The whole is judged by
simulating the days that follow the fit under the estimated logging policy and comparing them with
what the log says of those days: rates of opening, value per user and day, pauses between visits,
and how well gradient boosting tells simulated user-weeks from real ones (an area under its curve of
0.5: not at all). Of more than `material.SAMPLE` users as many are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ingestion.catalog import catalog_of
from ingestion.log import Log, epoch_us
from ingestion.logged_decisions import attributed, decisions_of, requests_of
from ingestion.replay import to_events
from ingestion.splits import before, of_users
from mdp.clock import DAY
from mdp.local_time import local_day, next_local_midnight
from mdp.response import HEADS
from mdp.reward import Reward
from mdp.state import DISMISSED, SCHEDULED
from simulator.description import Simulator
from simulator.fidelity_heads import against_baselines
from simulator.fidelity_weeks import COUNTED, gaps_of, half_of, told_apart, weeks_of
from simulator.fit import Fit
from simulator.kernel import Kernel
from simulator.material import sample_of
from simulator.population import with_users

MOST_DAYS, LEAST_DAYS = 14, 3
"""Days after the fit that are compared; with fewer only the heads are judged."""
BINS = 8


@dataclass(frozen=True)
class Stretch:
    """Some days of a log."""

    sends: pd.DataFrame
    """Its pushes: opened, hour, weekday (0: Monday), variant, fatigue and week (pushes of the last
    three and seven days)."""
    value: np.ndarray
    """Each user's mean reward a day (U,) float64."""
    weeks: np.ndarray
    """Figures of each user's weeks (weeks × U, F) float64 (`weeks_of`)."""
    gaps: tuple[np.ndarray, np.ndarray]
    """Users and hours (M,) of pauses between visits."""


def card_of(log: Log, fitted: Fit, seed: int = 0) -> dict[str, Any]:
    """The card as plain values; `whole` is None where the log ends with the fit."""
    simulator = fitted.simulator
    users = len(simulator.users)
    card: dict[str, Any] = {
        "fitted_to": {
            "users": users,
            "pushes": fitted.pushes,
            "until": str(pd.Timestamp(simulator.start, unit="us", tz="UTC")),
        },
        "heads": fitted.metrics,
        "covariates": fitted.told,
        "baselines": {
            "later_days": against_baselines(
                fitted.known, fitted.held_out, fitted.held_out_probability, users
            ),
            "unseen_users": against_baselines(
                fitted.known, fitted.unseen_users, fitted.unseen_users_probability, users
            ),
        },
        "calibration": {name: _calibration(fitted, head) for head, name in enumerate(HEADS)},
        "whole": None,
    }
    if changes := changes_of(simulator):
        card["changes"] = changes
    last = epoch_us(log.tables["decisions"]["decided_at"].dropna()).max()
    days = min(int((last - simulator.start) / DAY) + 1, MOST_DAYS)
    if days < LEAST_DAYS:
        return card
    if (ids := judged_by(fitted, seed)) != simulator.users.ids:
        rows = sample_of(users, seed)
        simulator, log, users = with_users(simulator, rows, ids), of_users(log, ids), len(ids)
    # Not the seed itself: a demo shop may have been drawn with it.
    drawn_with = int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])
    kernel = Kernel(simulator, np.arange(len(simulator.users)), drawn_with, days, record=True)
    rng = np.random.default_rng(seed)
    while not kernel.done:
        actions, propensity = simulator.logging.act(kernel.view().observation, rng)
        kernel.step(actions, propensity, simulator.logging.name)
    known = before(log, simulator.start)
    real = _stretch(log.replace_tables(users=known.tables["users"]), simulator.start, days)
    drawn = _stretch(_followed_by(known, kernel.tables()), simulator.start, days)
    card["whole"] = {
        "days": days,
        "opened_by": {
            name: {"logged": _rates(real.sends, name), "simulated": _rates(drawn.sends, name)}
            for name in ("hour", "weekday", "variant", "fatigue", "week")
        },
        "value_per_user_day": {"logged": _mean(real.value), "simulated": _mean(drawn.value)},
        "value_inside_interval": _inside(real.value, drawn.value),
        "counts": _distances(real.weeks, drawn.weeks, users, seed),
        **_apart(real, drawn, users, seed),
    }
    return card


def judged_by(fitted: Fit, seed: int) -> tuple[str, ...]:
    """Ids of the users by whom the whole is judged; a card needs a log of no others."""
    ids = fitted.simulator.users.ids
    return tuple(ids[row] for row in sample_of(len(ids), seed))


def changes_of(simulator: Simulator) -> list[str]:
    """What the log shows to change as time goes by, in sentences; as much changes in episodes."""
    said, arrivals, drift = [], simulator.arrivals, simulator.drift
    if arrivals is not None:
        since = "all users"
        if arrivals.since is not None:
            since = f"those since {pd.Timestamp(arrivals.since, unit='us').date()}"
        if arrivals.rate:
            said.append(
                f"{arrivals.rate:.3g} users sign up a day; newcomers are taken to be like {since}."
            )
        if arrivals.items:
            said.append(f"{arrivals.items:.3g} items are listed a day.")
    if drift is not None:
        said.append(
            f"Half of the users have another taste after {drift.half_life:.0f} days or so: other "
            "items that they look for, and other pushes that they answer."
        )
    return said


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
    )


def _mean(values: np.ndarray) -> dict[str, float]:
    """Mean and its standard error, over users."""
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(values.mean()), "standard_error": spread / np.sqrt(len(values))}


def _inside(logged: np.ndarray, simulated: np.ndarray) -> bool:
    """Whether the simulated mean lies in the logged mean's 95 % interval."""
    real = _mean(logged)
    return bool(abs(simulated.mean() - real["mean"]) <= 1.96 * real["standard_error"])


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


def _rates(sends: pd.DataFrame, by: str) -> dict[str, list[float]]:
    """Share opened and number of pushes by group."""
    groups = sends.groupby(by)["opened"].agg(["mean", "size"])
    return {str(k): [float(r["mean"]), float(r["size"])] for k, r in groups.iterrows()}


def _calibration(fitted: Fit, head: int) -> list[list[float]]:
    """Mean prediction, observed rate and number in each of up to 8 equal groups."""
    asked = fitted.held_out.asked[:, head]
    p = fitted.held_out_probability[asked, head]
    outcome = fitted.held_out.outcome[asked, head]
    order = np.argsort(p, kind="stable")
    groups = [part for part in np.array_split(order, BINS) if len(part)]
    return [[float(p[g].mean()), float(outcome[g].mean()), float(len(g))] for g in groups]
