"""Splits of a log by time: what is learned from, and what is kept for evaluation."""

from __future__ import annotations

import numpy as np

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


_INSTANTS = {"events": "at", "decisions": "decided_at", "outcomes": "at"}


def before(log: Log, until: int) -> Log:
    """What the log knew at an instant (microseconds UTC): all rows of before it."""
    limit = time_column(np.array([until])).iloc[0]
    kept = {
        name: log.tables[name][log.tables[name][column] < limit].reset_index(drop=True)
        for name, column in _INSTANTS.items()
    }
    users = log.tables["users"]
    known = users["signed_up_at"].isna() | (users["signed_up_at"] < limit)
    return log.replace_tables(**kept, users=users[known].reset_index(drop=True))
