"""Rows of the outbox: put there with the decision, and taken back when it is cancelled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, update

from serving.tables import OUTBOX


def enqueue(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Put the sends among decisions' rows into the outbox."""
    new = [
        {
            "decision_id": row["decision_id"],
            "user_id": row["user_id"],
            "due_at": row["send_at"],
            "state": "waiting",
            "attempts": 0,
            "next_at": row["send_at"],
        }
        for row in rows
        if row["send_at"] is not None
    ]
    if new:
        connection.execute(insert(OUTBOX), new)


def withdraw(connection: Connection, decision_ids: Sequence[str], reason: str) -> None:
    """Have those of some sends that wait not leave any more."""
    for start in range(0, len(decision_ids), 500):
        some = OUTBOX.c.decision_id.in_(decision_ids[start : start + 500])
        change = update(OUTBOX).where(some, OUTBOX.c.state == "waiting")
        connection.execute(change.values(state="cancelled", reason=reason))
