"""What users do in a week, real and simulated, and how well gradient boosting tells them apart."""

from __future__ import annotations

import lightgbm
import numpy as np
import pandas as pd

from ingestion.replay import UserEvents
from mdp.catalog import Items
from mdp.clock import DAY, HOUR, MINUTE
from mdp.events import ORGANIC, Kind
from mdp.local_time import local_day

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
FOLDS, ROUNDS = 5, 60
BLOCK, CATEGORIES = 4, 12
"""Hours that are counted together, and categories, the first by name, that are counted."""
SINCE = {"1": 1, "2–3": 2, "4–7": 4, "8–14": 8, "15–28": 15, "29 or more": 29}
"""Days since a user's last purchase, and the first of them."""
NEVER_BOUGHT = "none before"
VISIT = 30 * MINUTE
"""A pause as long begins another visit."""
BOOSTING = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 7,
    "min_data_in_leaf": 30,
    "lambda_l2": 5.0,
    "num_threads": 1,
    "deterministic": True,
    "force_col_wise": True,
    "verbose": -1,
}


def weeks_of(events: UserEvents, begins: np.ndarray, days: int, items: Items) -> np.ndarray:
    """Figures (weeks × U, F) float64 of each user's whole weeks from `begins` (U,) on; fewer days
    than a week count as one.

    First the counts of each kind (`COUNTED`), then of visits' acts by hours, weekday and category,
    days with an act, different items, and the mean and longest pause between visits in days (NaN
    without any).
    """
    weeks, size = max(days // 7, 1), len(begins)
    week = (events.events["at"] - begins[events.owner]) // (min(days, 7) * DAY)
    inside = (week >= 0) & (week < weeks)
    rows, happened = weeks * size, events.events[inside]
    place, owner = (week * size + events.owner)[inside], events.owner[inside]
    acts = np.isin(happened["kind"], list(ORGANIC.values()))
    day = local_day(happened["at"], events.zone[owner])
    order = np.argsort(items.hashes)
    known = order[np.searchsorted(items.hashes[order], happened["item"]).clip(max=len(order) - 1)]
    _, category = np.unique(items.categories, return_inverse=True)

    def counts(which: np.ndarray, number: int) -> list[np.ndarray]:
        return [np.bincount(place[acts & (which == n)], minlength=rows) for n in range(number)]

    def different(what: np.ndarray) -> np.ndarray:
        pairs = pd.DataFrame({"place": place[acts], "what": what[acts]}).drop_duplicates()
        return np.bincount(pairs["place"], minlength=rows)

    kinds = [np.bincount(place[happened["kind"] == one], minlength=rows) for one in COUNTED]
    pause = pd.DataFrame({"place": place[acts], "at": happened["at"][acts]})
    pause = pause.sort_values(["place", "at"])
    pause["gap"] = pause.groupby("place")["at"].diff()
    pause = pause[pause["gap"] >= VISIT]
    found = pause.groupby("place")["gap"].agg(["mean", "max"]).reindex(np.arange(rows)) / DAY
    return np.column_stack(
        [
            *kinds,
            *counts(happened["hour"] // BLOCK, 24 // BLOCK),
            *counts((day + 3) % 7, 7),
            *counts(category[known], CATEGORIES),
            different(day),
            different(happened["item"]),
            found.to_numpy(),
        ]
    ).astype(np.float64)


def gaps_of(events: UserEvents, begins: np.ndarray, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Owners (M,) and lengths in hours (M,) of the pauses between users' visits in the days from
    `begins` (U,) on."""
    at, owner = events.events["at"], events.owner
    since = at - begins[owner]
    mine = (since >= 0) & (since < days * DAY)
    mine &= np.isin(events.events["kind"], list(ORGANIC.values()))
    table = pd.DataFrame({"owner": owner[mine], "at": at[mine]}).sort_values(["owner", "at"])
    gap = table.groupby("owner")["at"].diff()
    between = (gap >= VISIT).to_numpy()
    return table["owner"].to_numpy()[between], gap.to_numpy()[between] / HOUR


def after_purchases(
    events: UserEvents, begins: np.ndarray, days: int
) -> dict[str, tuple[float, int]]:
    """Share of users' days with a purchase, and how many days there are, by days since the last
    purchase before (`SINCE`), over the days from `begins` (U,) on."""
    bought = events.events["kind"] == Kind.PURCHASE
    owner = events.owner[bought]
    day = (events.events["at"][bought] - begins[owner]) // DAY
    buys = np.zeros((len(begins), days), bool)
    inside = (day >= 0) & (day < days)
    buys[owner[inside], day[inside]] = True
    last = np.full((len(begins), days + 1), -np.inf)
    np.maximum.at(last, (owner, np.clip(day + 1, 0, days)), day)
    since = np.arange(days) - np.maximum.accumulate(last, 1)[:, :days]
    group = np.where(np.isinf(since), len(SINCE), np.digitize(since, list(SINCE.values())) - 1)
    count = np.bincount(group.ravel(), minlength=len(SINCE) + 1)
    share = np.bincount(group.ravel(), buys.ravel(), len(SINCE) + 1) / np.maximum(count, 1)
    names = (*SINCE, NEVER_BOUGHT)
    return {name: (float(share[n]), int(count[n])) for n, name in enumerate(names) if count[n]}


def half_of(users: int, seed: int) -> np.ndarray:
    """Users (U,) bool: a random half of them."""
    return np.random.default_rng([seed, 2]).permutation(users) % 2 == 0


def told_apart(weeks: np.ndarray, user: np.ndarray, label: np.ndarray, seed: int) -> float:
    """Cross-validated area under the curve of gradient boosting (LightGBM; Ke et al., 2017) that
    tells the weeks (n, F) of label (n,) True from the others. All weeks of a user (n,) fall into
    one fold, so that none gives another away. 0.5 where there is nothing to learn from."""
    fold = np.random.default_rng(seed).permutation(int(user.max()) + 1)[user] % FOLDS
    areas = []
    for n in range(FOLDS):
        known, asked = fold != n, fold == n
        if min(len(np.unique(label[part])) for part in (known, asked)) < 2:
            continue
        data = lightgbm.Dataset(weeks[known], label[known].astype(float))
        model = lightgbm.train({**BOOSTING, "seed": seed}, data, ROUNDS)
        areas.append(_area(np.asarray(model.predict(weeks[asked])), label[asked]))
    return float(np.mean(areas)) if areas else 0.5


def _area(score: np.ndarray, positive: np.ndarray) -> float:
    """Probability that a positive scores above another; there are some of both."""
    rank = pd.Series(score).rank().to_numpy()
    number = int(positive.sum())
    pairs = number * (len(positive) - number)
    return float((rank[positive].sum() - number * (number + 1) / 2) / pairs)
