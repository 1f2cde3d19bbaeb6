"""What alerts go by, from the store: so it is of a nightly batch too, and of all machines."""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy import Connection, case, func, select

from mdp.clock import DAY
from mdp.observation import USER
from serving.commit import ids_from
from serving.snapshot import unpack
from serving.tables import DECISIONS, OUTCOMES, SNAPSHOTS

WATCHED = ("sends_7d", "opens_7d", "clicks_7d", "organic_views_7d", "days_since_send", "fatigue")
"""Features of users whose mean is watched for drift; none is ever negative."""
TINY = 0.001
"""A draw is tiny whose propensity is up to this share of an even one's over hold and the sends of
its lists. However many sends a policy makes so rare, right propensities add up: they let at most
this share of its draws be tiny, with any exploration floor."""
MOST = 2048
"""Snapshots that are read, at most."""
REWARDS = {"clicks": "clicked", "value": "purchased"}
"""By what a day's reward is watched, and the outcome that it comes with: clicks are counted, the
value of purchases is summed."""


Figures = dict[str, dict[str, float] | float]


def daily(connection: Connection, now: int) -> Figures:
    """Figures of the last day, and rewards of the one before.

    decided: in the last 24 hours, by action. draws: of these, what a policy drew, by whether the
    propensity is `tiny` (see `TINY`) or `usable`. features, sampled: means over the users in these
    decisions' snapshots, and over how many (without any there is no mean). settled: the sends whose
    hour was 24 to 48 hours ago, whose outcomes have come in. reward, rewarded: what they brought
    and by how many outcomes, by `REWARDS`.
    """
    return {
        **_decided(connection, now),
        **_features(connection, now),
        **_rewards(connection, now),
    }


def _decided(connection: Connection, now: int) -> Figures:
    action = case((DECISIONS.c.send_at.is_(None), "hold"), else_="send")
    undrawn = DECISIONS.c.reason.is_distinct_from("policy")
    chance = of_all = DECISIONS.c.propensity
    for listed in (DECISIONS.c.candidates, DECISIONS.c.variants, DECISIONS.c.hours):
        of_all = of_all * _listed(listed)  # as a float: so many sends may be no integer
    size = case(
        (undrawn, None),
        (chance > TINY, "usable"),  # whatever the lists: most need no counting
        (chance + of_all <= TINY, "tiny"),
        else_="usable",
    )
    lately = DECISIONS.c.decided_at.between(now - DAY, now)
    rows = connection.execute(
        select(action, size, func.count()).where(lately).group_by(action, size)
    )
    decided, draws = {"send": 0.0, "hold": 0.0}, {"tiny": 0.0, "usable": 0.0}
    for name, drawn, count in rows:
        decided[name] += count
        if drawn is not None:
            draws[drawn] += count
    return {"decided": decided, "draws": draws}


def _listed(column: Any) -> Any:
    """How many a decision's list names."""
    return func.length(column) - func.length(func.replace(column, "|", "")) + 1


def _rewards(connection: Connection, now: int) -> Figures:
    settled = DECISIONS.c.send_at.between(now - 2 * DAY, now - DAY)
    sends = connection.scalar(select(func.count()).where(settled)) or 0
    of = (
        select(OUTCOMES.c.outcome, func.count(), func.sum(OUTCOMES.c.value))
        .join(DECISIONS, DECISIONS.c.decision_id == OUTCOMES.c.decision_id)
        .where(settled, OUTCOMES.c.outcome.in_(REWARDS.values()))
        .group_by(OUTCOMES.c.outcome)
    )
    found: dict[str, Any] = {row[0]: row for row in connection.execute(of)}
    counts = {name: float(found[o][1]) if o in found else 0.0 for name, o in REWARDS.items()}
    value = found["purchased"][2] if "purchased" in found else None
    return {
        "settled": float(sends),
        "reward": {**counts, "value": float(value or 0.0)},
        "rewarded": counts,
    }


def _features(connection: Connection, now: int) -> Figures:
    """Ids end at random, so that those with a certain end are a sample, which an index finds."""
    key = SNAPSHOTS.c.decision_id
    lately = (key >= ids_from(now - DAY)) & (key < ids_from(now + 1000))
    count = connection.scalar(select(func.count()).where(lately)) or 0
    zeros = 0
    while count > MOST * 16**zeros:
        zeros += 1
    sample = select(key).where(lately, key.like("%" + "0" * zeros))
    rows = connection.scalars(select(SNAPSHOTS.c.data).where(key.in_(sample))).all()
    if not rows:
        return {"features": {}, "sampled": 0.0}
    users = np.array([unpack(data).user for data in rows])
    means = users[:, [USER.index(name) for name in WATCHED]].mean(0, dtype=np.float64)
    named = dict(zip(WATCHED, means.tolist(), strict=True))
    return {"features": named, "sampled": float(len(rows))}
