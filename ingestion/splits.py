"""Splits of a log by time: what is learned from, and what is kept for evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ingestion.log import Log, epoch_us, time_column
from mdp.clock import DAY
from mdp.errors import NotEnoughData

KEPT = 0.2
"""Share of the days that is kept for evaluation."""


def split_time(log: Log) -> int:
    """Instant, microseconds UTC, from which the last fifth of the decisions' days is kept.

    Raises `NotEnoughData` for a log without two days of decisions.
    """
    at = epoch_us(log.tables["decisions"]["decided_at"].dropna())
    days = (at.max() - at.min()) / DAY if len(at) else 0.0
    if days < 2:
        raise NotEnoughData(
            f"the log's decisions span {days:.1f} days; at least 2 are needed to keep some for "
            "evaluation"
        )
    return int(at.min() + round(np.ceil(days) * (1 - KEPT)) * DAY)


def log_end(log: Log) -> int:
    """Until when, microseconds UTC, a log is complete: what `log.json` says, else its last
    instant; 0 for an empty one."""
    if log.meta.complete_until is not None:
        return int(epoch_us(pd.Series([log.meta.complete_until]))[0])
    instants = [epoch_us(log.tables[name][column].dropna()) for name, column in INSTANTS.items()]
    return max((int(times.max()) for times in instants if len(times)), default=0)


INSTANTS = {"events": "at", "decisions": "decided_at", "outcomes": "at"}
"""By table the column that says when a row came to be."""


def before(log: Log, until: int) -> Log:
    """What the log knew at an instant (microseconds UTC): all rows of before it.

    `changes` are kept whole: users, items and variants hold their last values, and a replay goes
    back from those.
    """
    limit = _timestamp(until)
    early = {
        name: (log.tables[name][column] < limit).to_numpy() for name, column in INSTANTS.items()
    }
    kept = {}
    for name, rows in early.items():
        table = log.tables[name]  # taking all rows of a large log would copy it for nothing
        kept[name] = (table if rows.all() else table[rows]).reset_index(drop=True)
    users = log.tables["users"]
    known = (users["signed_up_at"].isna() | (users["signed_up_at"] < limit)).to_numpy(copy=True)
    for name in ("events", "decisions"):
        seen = log.rows_of(name, "user_id")[early[name]]
        known[seen[seen >= 0]] = True
    return log.replace_tables(**kept, users=users[known].reset_index(drop=True))


def of_users(log: Log, user_ids: Sequence[str]) -> Log:
    """What a log says of some users alone, and the whole catalogue."""
    chosen = rows_of_users(log, user_ids)
    return log.replace_tables(
        **{name: log.tables[name][mine].reset_index(drop=True) for name, mine in chosen.items()}
    )


def rows_of_users(log: Log, user_ids: Sequence[str]) -> dict[str, np.ndarray]:
    """Which rows (n,) bool of a log's users, events, decisions and outcomes are of some users."""
    ids = pd.Index(np.array(user_ids, object))
    chosen = {
        name: ids.get_indexer(pd.Index(log.tables[name]["user_id"], dtype=object)) >= 0
        for name in ("users", "events", "decisions")
    }
    decisions = log.tables["decisions"]["decision_id"][chosen["decisions"]]
    chosen["outcomes"] = log.tables["outcomes"]["decision_id"].isin(decisions).to_numpy(bool)
    return chosen


def after(log: Log, since: int) -> Log:
    """What happened from an instant (microseconds UTC) on: events, and decisions with outcomes.

    Outcomes of earlier decisions are left out, however late they came; users and the catalogue
    are those of the whole log.
    """
    limit = _timestamp(since)
    events, decisions, outcomes = (log.tables[name] for name in INSTANTS)
    decisions = decisions[decisions["decided_at"] >= limit]
    return log.replace_tables(
        events=events[events["at"] >= limit].reset_index(drop=True),
        decisions=decisions.reset_index(drop=True),
        outcomes=outcomes[outcomes["decision_id"].isin(decisions["decision_id"])].reset_index(
            drop=True
        ),
    )


def _timestamp(instant: int) -> pd.Timestamp:
    return time_column(np.array([instant])).iloc[0]
