"""Fidelity card: how true a fitted simulator is to the shop it was fitted to.

The heads are judged on the latest pushes, predicted from the earlier ones. The whole is judged by
simulating the days that follow the fit under the estimated logging policy and comparing them with
what the log says of those days: rates of opening, value per user and day, and how well a classifier
tells simulated user-weeks from real ones (an area under its curve of 0.5: not at all).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from ingestion.catalog import catalog_of
from ingestion.log import Log, epoch_us
from ingestion.replay import UserEvents, attributed, decisions_of, requests_of, to_events
from ingestion.splits import before
from mdp.clock import DAY, local_day, next_local_midnight
from mdp.events import Kind
from mdp.response import HEADS
from mdp.reward import Reward
from mdp.state import CLICKED, DISMISSED, OPENED, SENT
from simulator.fidelity_heads import against_baselines
from simulator.fit import Fit
from simulator.kernel import Kernel

MOST_DAYS, LEAST_DAYS = 14, 3
"""Days after the fit that are compared; with fewer only the heads are judged."""
BINS, FOLDS = 8, 5
WAS_SENT = (SENT, OPENED, CLICKED, DISMISSED)
COUNTED = (
    Kind.VIEW,
    Kind.CART,
    Kind.PURCHASE,
    Kind.SEND,
    Kind.OPENED,
    Kind.CLICKED,
    Kind.DISMISSED,
    Kind.UNSUBSCRIBED,
)


@dataclass(frozen=True)
class Stretch:
    """Some days of a log."""

    sends: pd.DataFrame
    """Its pushes: opened, hour, weekday (0: Monday), variant, fatigue and week (pushes of the last
    three and seven days)."""
    value: np.ndarray
    """Each user's mean reward a day (U,) float64."""
    weeks: np.ndarray
    """Counts of each user's events in each week (weeks × U, F) float64."""


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
    last = epoch_us(log.tables["decisions"]["decided_at"].dropna()).max()
    days = min(int((last - simulator.start) / DAY) + 1, MOST_DAYS)
    if days < LEAST_DAYS:
        return card
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
        "auc": _auc(real.weeks, drawn.weeks, users, seed),
        "auc_of_resampled": _auc(real.weeks, _resampled(real.weeks, users, seed), users, seed),
    }
    return card


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
    counted = (ring["status"] > 0) & (ring["status"] <= SENT + 3)
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
    return Stretch(sends, value, _weeks(events, begins, days - 1))


def _weeks(events: UserEvents, begins: np.ndarray, days: int) -> np.ndarray:
    """Counts (weeks × U, F) of what happened in each user's whole weeks from `begins` (U,) on;
    fewer days than a week count as one."""
    weeks, size = max(days // 7, 1), len(begins)
    week = (events.events["at"] - begins[events.owner]) // (min(days, 7) * DAY)
    inside = (week >= 0) & (week < weeks)
    place, kind = (week * size + events.owner)[inside], events.events["kind"][inside]
    counts = [np.bincount(place[kind == one], minlength=weeks * size) for one in COUNTED]
    return np.stack(counts, 1).astype(np.float64)


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


def _auc(real: np.ndarray, simulated: np.ndarray, users: int, seed: int) -> float:
    """Cross-validated area under the curve of a logistic regression that tells the two apart,
    on counts, their logarithms and whether they are 0."""
    counts = np.concatenate([real, simulated])
    x = np.concatenate([np.log1p(counts), counts > 0, np.sqrt(counts)], 1)
    x = (x - x.mean(0)) / np.maximum(x.std(0), 1e-9)
    y = np.repeat([0.0, 1.0], [len(real), len(simulated)])
    # All weeks of a user fall into one fold, so that none gives another away.
    own = np.random.default_rng(seed).permutation(users) % FOLDS
    fold = np.tile(own, len(y) // users)
    score = np.zeros(len(y))
    for n in range(FOLDS):
        score[fold == n] = _logistic(x[fold != n], y[fold != n], x[fold == n])
    rank = pd.Series(score).rank().to_numpy()
    positive = y > 0
    pairs = positive.sum() * (~positive).sum()
    return float((rank[positive].sum() - positive.sum() * (positive.sum() + 1) / 2) / pairs)


def _logistic(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Logits (m,) of new rows by ridge logistic regression."""
    data, target = torch.from_numpy(x), torch.from_numpy(y)
    weight = torch.zeros(x.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        total = torch.nn.functional.binary_cross_entropy_with_logits(
            data @ weight[1:] + weight[0], target, reduction="sum"
        )
        total = total + weight[1:].square().sum() / 2
        total.backward()
        return total

    optimizer.step(loss)
    fitted = weight.detach().numpy()
    return new @ fitted[1:] + fitted[0]
