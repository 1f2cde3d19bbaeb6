"""What a policy has learned, told by what it would do with the decisions of a log.

Nothing is estimated of its value here. The users are met as the log's own policy left them, which
is not how they would be under the policy; and days that it was trained on are among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evaluation.choices import Chosen, Names, faced, logged, names_of
from evaluation.replayed import Replayed
from ingestion.fates import fate
from mdp.clock import DAY, NEVER
from mdp.errors import NotEnoughData
from mdp.local_time import local_day
from mdp.reward import Reward
from policies.saved import PolicyBundle

MOST = 20_000
"""Decisions that are faced at most."""
LATE = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, np.inf)
"""Edges of pushes of late: counted with a half-life of 7 days."""
SEGMENTS = 8
"""Segments that are told apart at most; users of others are taken together."""
ITEMS = 12
"""Items that are told, those pushed most."""
MONTH = 28
"""Days of a user's month."""


def explain(replay: Replayed, bundles: dict[str, PolicyBundle], seed: int = 0) -> dict[str, Any]:
    """What each of some policies would do, beside what the log did, as JSON can hold it.

    The first policy is the one explained. Raises `NotEnoughData` for a log without decisions, and
    `BadInput` for that of another shop than a policy's.
    """
    size = len(replay.decisions.rows)
    if not size:
        raise NotEnoughData("the log has no drawn decisions: there is nothing to explain by")
    rows = np.arange(size)
    if size > MOST:
        rows = np.sort(np.random.default_rng([seed, 18]).choice(size, MOST, replace=False))
    names = names_of(replay)
    chosen = {"logged": logged(replay, rows, names)}
    first = next(iter(bundles.values()))
    for name, bundle in bundles.items():
        replay.need_shop_of(bundle, name)
        chosen[name] = faced(replay, bundle, rows, names)
    seen = next(each for name, each in chosen.items() if name != "logged")
    group, groups = _segments(replay, rows, seen.views)
    titles = replay.catalog.items.titles
    pushed = {name: _by_item(each, len(titles)) for name, each in chosen.items()}
    top = np.argsort(-sum(pushed.values()), kind="stable")[:ITEMS]
    return {
        "decisions": len(rows),
        "segments": list(groups),
        "categories": list(names.categories),
        "styles": list(names.styles),
        "items": [titles[n] for n in top.tolist()],
        "policies": {
            name: _told(each, group, groups, seen.late) | {"items": pushed[name][top].tolist()}
            for name, each in chosen.items()
        },
        "price": {name: price_of(each) for name, each in chosen.items() if name != "logged"},
        "month": _month(replay, bundles, names, first.reward),
    }


def _segments(
    replay: Replayed, rows: np.ndarray, views: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Each decision's segment (n,) and their names: the users' column `segment`, else by how often
    they visit by themselves."""
    users = replay.log.people
    if "segment" in users and users["segment"].notna().any():
        own = users["segment"].fillna("none").astype(str)
        counts = own.iloc[replay.decisions.owner[rows]].value_counts()
        if len(counts) > SEGMENTS:
            own = own.where(own.isin(counts.index[: SEGMENTS - 1]), "all others")
        names, code = np.unique(own.to_numpy(object), return_inverse=True)
        return code[replay.decisions.owner[rows]], tuple(names.tolist())
    edges = np.quantile(views, [1 / 3, 2 / 3])
    return np.searchsorted(edges, views), ("seldom here", "now and then", "often here")


def _told(
    chosen: Chosen, group: np.ndarray, groups: Sequence[str], late: np.ndarray
) -> dict[str, Any]:
    """Shares of one policy's sends, by segment where it says for whom."""
    at = np.searchsorted(LATE, late, "right") - 1

    def shares(parts: np.ndarray) -> list[list[float | None]]:
        """Of a segment's sends (segments, M)."""
        sums = np.stack([parts[group == n].sum(0) for n in range(len(groups))])
        total = sums.sum(1, keepdims=True)
        return [
            (row / all_).tolist() if all_ > 0 else [None] * len(row)
            for row, all_ in zip(sums, total[:, 0], strict=True)
        ]

    def mean(which: np.ndarray) -> float | None:
        return float(chosen.send[which].mean()) if which.any() else None

    return {
        "sends": float(chosen.send.mean()),
        "sends_by_segment": [mean(group == n) for n in range(len(groups))],
        "sends_by_late": [mean(at == n) for n in range(len(LATE) - 1)],
        "hours": shares(chosen.hour),
        "categories": shares(chosen.category),
        "styles": shares(chosen.style),
    }


def _by_item(chosen: Chosen, items: int) -> np.ndarray:
    """Shares (I,) of one policy's sends by item."""
    offered = np.maximum(chosen.offered, 0)  # below 0 where fewer are offered
    sums = np.bincount(offered.ravel(), chosen.item.ravel(), items)
    shares: np.ndarray = sums / max(sums.sum(), 1e-300)
    return shares


def price_of(chosen: Chosen) -> dict[str, Any] | None:
    """What a policy would pay for one more send, in currency; None where its scores don't rise
    with what a send is predicted to earn.

    Scores have units of their own. By how much the margin of the best send over a hold rises with
    the best send's predicted reward says what one unit is worth, and the margin in currency, taken
    from that reward, leaves the reward at which the policy would be in two minds: the price.
    """
    known = np.isfinite(chosen.margin)
    margin, best = chosen.margin[known], chosen.best[known]
    if len(best) < 30 or best.std() < 1e-9:
        return None
    slope = float(np.cov(margin, best)[0, 1] / best.var(ddof=1))
    if slope <= 0 or np.corrcoef(margin, best)[0, 1] < 0.3:
        return None
    worth = margin / slope
    price = best - worth
    inside = np.clip(price, *np.quantile(price, [0.005, 0.995]))
    return {
        "margin": _spread(worth),
        "price": _spread(price),
        "margins": _histogram(np.clip(worth, *np.quantile(worth, [0.005, 0.995]))),
        "prices": _histogram(inside),
    }


def _spread(values: np.ndarray) -> dict[str, float]:
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    return {"p10": float(low), "median": float(middle), "p90": float(high)}


def _histogram(values: np.ndarray) -> dict[str, list[float]]:
    # A constant price has no width of its own.
    count, edges = np.histogram(values, bins=30, range=(values.min() - 0.01, values.max() + 0.01))
    return {"edges": edges.tolist(), "share": (count / count.sum()).tolist()}


def _month(
    replay: Replayed, bundles: dict[str, PolicyBundle], names: Names, reward: Reward
) -> dict[str, Any]:
    """The month of a user at the upper quartile of how many pushes were answered, among those with
    as many decisions as most: what the log did, what came of it, and what each policy would have
    done on the same days."""
    found = replay.attributed(reward)
    decisions = replay.decisions
    answers = np.bincount(decisions.owner, found.opened + found.clicked)
    length = np.bincount(decisions.owner)
    users = np.flatnonzero(length >= np.median(length[length > 0]))
    user = int(users[np.argsort(answers[users], kind="stable")[(3 * len(users)) // 4]])
    rows = np.flatnonzero(decisions.owner == user)
    rows = rows[np.argsort(decisions.decided_at[rows], kind="stable")]
    day = local_day(decisions.decided_at[rows], replay.users.zone[decisions.owner[rows]])
    rows, day = rows[day < day[0] + MONTH], day[day < day[0] + MONTH] - day[0]
    pushes: dict[str, list[dict[str, Any]]] = {"logged": []}
    for row, when in zip(rows.tolist(), day.tolist(), strict=True):
        if decisions.send_at[row] != NEVER:
            late = (decisions.send_at[row] - decisions.decided_at[row]) // DAY
            became = fate(found, found.value, row)
            pushes["logged"].append(
                {"day": int(when + late), "hour": int(decisions.h[row]), "fate": became}
            )
    for name, bundle in bundles.items():
        chosen = faced(replay, bundle, rows, names)
        pushes[name] = [
            {"day": int(when), "hour": int(chosen.hour[n].argmax()), "send": float(chosen.send[n])}
            for n, when in enumerate(day.tolist())
            if chosen.send[n] >= 0.05
        ]
    return {"user_id": replay.users.user_ids[user], "days": MONTH, "lived": False, "pushes": pushes}
