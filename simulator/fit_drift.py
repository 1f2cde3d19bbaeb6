"""Drift of tastes: how soon what a user looks for is no longer what it was.

Each week a user's taste either stays or becomes another user's. A taste is the probability of each
category, Dirichlet distributed over users about how popular categories are, and tilted in each week
as popularity then is; which weeks share one taste is summed out (Adams, MacKay, 2007. Bayesian
online changepoint detection. arXiv:0710.3742). One view of a week is looked at, so that a visit, or
a few days with one errand, say no more than once what was looked for.
"""

from __future__ import annotations

import numpy as np

from mdp.clock import DAY
from mdp.events import Kind
from simulator.habits import Acts

WEEK = 7 * DAY
MOST_WEEKS, MOST_USERS, MOST_CATEGORIES = 16, 2000, 12
"""The latest weeks, users drawn and most frequent categories that are looked at; the other
categories count as one."""
HALF_LIVES = tuple(float(x) for x in np.geomspace(7.0, 112.0, 9))
"""Days that are tried."""
CONCENTRATIONS = tuple(float(x) for x in np.geomspace(0.25, 64.0, 9))
"""How much alike users are: so many views; all are tried without drift, and the best and three
below it with."""
CLEARLY = 3.0
"""Nats by which drift must be likelier than none."""
SMOOTHED = 20.0
"""Views of the whole log that are added to each week's for its popularities."""
DRAWS = 4
"""Times that a view of each week is drawn; the mean likelihood counts."""


def half_life_of(acts: Acts, category: np.ndarray, until: int, seed: int) -> float | None:
    """Days after which half of the users have another taste, from what they viewed before `until`
    (bought, where no views are logged); None where tastes stay, or a log does not show otherwise.

    category: of the items (I,) int64, from 0 on.
    """
    views = acts.kind == Kind.VIEW
    met = views if views.any() else acts.kind == Kind.PURCHASE
    viewed, categories = _weeks(
        acts.owner[met], category[acts.item[met]], acts.at[met], until, seed
    )
    if not len(viewed) or categories < 2:
        return None
    popular = _popularity(viewed, categories)
    plain = [_likelihood(viewed, popular, each, 1.0) for each in CONCENTRATIONS]
    best = int(np.argmax(plain))
    drifting = {
        half_life: max(
            _likelihood(viewed, popular, each, float(np.exp2(-7.0 / half_life)))
            for each in CONCENTRATIONS[max(best - 3, 0) : best + 1]
        )
        for half_life in HALF_LIVES
    }
    found = max(drifting, key=drifting.__getitem__)
    return found if drifting[found] - plain[best] >= CLEARLY else None


def _weeks(
    owner: np.ndarray, category: np.ndarray, at: np.ndarray, until: int, seed: int
) -> tuple[np.ndarray, int]:
    """A view's category, the most frequent first, of each week (DRAWS · U, K) int64, -1 without
    any, by users with views in two weeks or more; and how many categories there are."""
    rng = np.random.default_rng([seed, 31])
    week = MOST_WEEKS - 1 - (until - 1 - at) // WEEK
    late = week >= 0
    owner, category, week = owner[late], category[late], week[late]
    often = np.argsort(-np.bincount(category, minlength=1), kind="stable")
    rank = np.argsort(often, kind="stable")[category].clip(max=MOST_CATEGORIES - 1)
    users, number = np.unique(
        np.unique(owner * MOST_WEEKS + week) // MOST_WEEKS, return_counts=True
    )
    users = users[number >= 2]
    if len(users) > MOST_USERS:
        users = np.sort(rng.choice(users, MOST_USERS, replace=False))
    mine = np.flatnonzero(np.isin(owner, users))
    place = np.searchsorted(users, owner[mine])
    out = np.full((DRAWS, len(users), MOST_WEEKS), -1)
    for draw in out:
        order = rng.permutation(len(mine))
        draw[place[order], week[mine[order]]] = rank[mine[order]]
    begin = week[mine].min(initial=MOST_WEEKS)
    return out.reshape(-1, MOST_WEEKS)[:, begin:], int(rank.max(initial=-1)) + 1


def _popularity(viewed: np.ndarray, categories: int) -> np.ndarray:
    """Share of each category in each week (K, C), and in all in a last row."""
    number = (viewed[:, :, None] == np.arange(categories)).sum(0) / DRAWS
    whole = (number.sum(0) + 1.0) / (number.sum() + categories)
    number = number + SMOOTHED * whole
    return np.concatenate([number / number.sum(1, keepdims=True), whole[None]])


def _likelihood(
    viewed: np.ndarray, popular: np.ndarray, concentration: float, stays: float
) -> float:
    """Log-likelihood of each week's view given those before it, where a taste outlives a week with
    probability `stays`."""
    (size, weeks), whole = viewed.shape, popular[-1]
    tastes = weeks if stays < 1 else 1
    # Each taste is known by the week in which it began, and by what was viewed since.
    weight = np.zeros((size, tastes))
    known = np.tile(concentration * whole, (size, tastes, 1))
    total = 0.0
    for week in range(weeks):
        weight *= stays
        if week < tastes:
            weight[:, week] = 1.0 - stays if week else 1.0
        there = np.flatnonzero(viewed[:, week] >= 0)
        view, begun = viewed[there, week], min(week + 1, tastes)
        tilted = known[there, :begun] * (popular[week] / whole)
        chance = tilted[np.arange(len(there)), :, view] / tilted.sum(2)
        joint = weight[there, :begun] * chance
        each = joint.sum(1, keepdims=True)
        total += float(np.log(each).sum())
        weight[there, :begun] = joint / each
        # What was in season says less of a taste.
        known[there, :begun, view] += np.minimum(1.0, (whole / popular[week])[view])[:, None]
    return total / DRAWS
