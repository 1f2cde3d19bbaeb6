"""What a log's own tables say of its decisions: features, measures, segments, holdout."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import numpy as np
import pandas as pd

from evaluation.diagnostics import HoldoutRatio
from evaluation.marginal import cell_weights
from evaluation.measures import measures
from evaluation.replayed import Replayed
from evaluation.sample import Labels, Measure, joint
from evaluation.table import SEGMENTS, labels
from mdp.attribution import Attributed
from mdp.errors import BadInput

_HOLD = "(hold)"
_DAYPARTS = ("night", "morning", "afternoon", "evening")
_ARMS = ("policy", "holdout")


def features_of(replay: Replayed, rows: np.ndarray) -> dict[str, Labels]:
    """Item, variant and hour of n decisions by index; holds are a name of their own."""
    table = _table(replay, rows)
    sent = replay.decisions.sent[rows]
    hour = pd.Series(np.where(sent, replay.decisions.h[rows].astype(str), _HOLD))
    return {
        "item": labels(table["item_id"].where(sent, _HOLD)),
        "variant": labels(table["variant_id"].where(sent, _HOLD)),
        "hour": labels(hour),
    }


def marginal_of(replay: Replayed, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Marginalised weights (n,) over the items' category, the variants' style and the part of the
    day."""
    tables, table = replay.log.tables, _table(replay, rows)
    sent = replay.decisions.sent[rows]
    category = tables["items"].set_index("item_id")["category"]
    style = tables["variants"].set_index("variant_id")["style"]
    part = pd.Series(np.array(_DAYPARTS)[replay.decisions.h[rows] // 6])
    kinds = (table["item_id"].map(category), table["variant_id"].map(style), part)
    return cell_weights(weights, joint(labels(kind.where(sent, _HOLD)) for kind in kinds))


def measures_of(replay: Replayed, rows: np.ndarray, found: Attributed) -> dict[str, Measure]:
    """Sends, opens, clicks, purchases, revenue, unsubscribes of n decisions."""
    counts = {
        "sent": replay.decisions.sent[rows],
        "opened": found.opened[rows],
        "clicked": found.clicked[rows],
        "purchased": found.value[rows] > 0,
        "revenue": found.value[rows],
        "unsubscribed": found.unsubscribed[rows],
    }
    return measures({name: values.astype(np.float64) for name, values in counts.items()})


def segments_of(replay: Replayed, rows: np.ndarray, column: str) -> dict[str, Labels]:
    """A column of the users table for n decisions; raises `BadInput` where there is none."""
    users = replay.log.tables["users"]
    if column not in users.columns or column == "user_id":
        have = ", ".join(name for name in users.columns if name != "user_id")
        raise BadInput(f"the users table has no column {column!r} to report by: it has {have}")
    of = users.set_index("user_id")[column]
    return {column: labels(_table(replay, rows)["user_id"].map(of), SEGMENTS)}


def late_of(replay: Replayed, rows: np.ndarray) -> np.ndarray:
    """Whether each of n decisions is of the log's second half (n,) bool."""
    at = replay.decisions.decided_at[rows]
    return at >= np.median(at)


def days_of(replay: Replayed, rows: np.ndarray) -> float:
    """Days that n decisions span, at least 1."""
    at = replay.decisions.decided_at[rows]
    return max(1.0, float(at.max() - at.min()) / 86_400e6) if len(at) else 1.0


def holdout_of(replay: Replayed) -> HoldoutRatio | None:
    """Whether as many users are held out as `log.json` says; None where it does not, or says that
    none are.

    A two-sided test of the share among users who were either held out or decided for by a policy,
    of decisions since that share was set.
    """
    table, meta = replay.log.tables["decisions"], replay.log.meta
    expected = meta.holdout_share
    if expected is None or not 0 < expected < 1:
        return None
    if meta.holdout_since is not None:
        table = table[table["decided_at"] >= meta.holdout_since]
    counted = table["arm"].isin(_ARMS) | table["arm"].str.startswith("challenger:")
    arms = table.loc[counted, ["user_id", "arm"]].drop_duplicates()
    users = int(arms["user_id"].nunique())
    held = int((arms["arm"] == "holdout").sum())
    if not users:
        return None
    spread = sqrt(users * expected * (1 - expected))
    off = max(abs(held - users * expected) - 0.5, 0.0) / spread
    return HoldoutRatio(held, held / users, expected, 2 * (1 - NormalDist().cdf(off)))


def _table(replay: Replayed, rows: np.ndarray) -> pd.DataFrame:
    decisions = replay.log.tables["decisions"]
    return decisions.iloc[replay.decisions.rows[rows]].reset_index(drop=True)
