"""The shop's budget of sends: so many in an hour, so many in a day (of UTC), over all users.

Hours whose budget is spent are ruled out before a policy draws, so that propensities are exact;
what is drawn is reserved in the transaction that records it. Where others were faster, the
decision is made again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, select, update

from mdp.clock import DAY, HOUR, NEVER
from mdp.errors import BadSetting
from serving.store import inserting
from serving.tables import BUDGET

SPENT = 200
"""Reason code of an hour whose budget is spent; beside those of `mdp.guardrails.Reason`."""
LENGTH = {"hour": HOUR, "day": DAY}
KEYS = {"per_hour": "hour", "per_day": "day"}


@dataclass(frozen=True)
class Budget:
    """What is left, as read."""

    limits: Mapping[str, int]
    """Most sends by period."""
    taken: Mapping[tuple[str, int], int]
    """Sends reserved by period and its start."""

    def spent(self, send_at: np.ndarray) -> np.ndarray:
        """Whether no send is left at each instant (N, 24) int64; False where that is `NEVER`."""
        out = np.zeros(send_at.shape, bool)
        for period, most in self.limits.items():
            start = send_at // LENGTH[period] * LENGTH[period]
            full = [at for (of, at), count in self.taken.items() if of == period and count >= most]
            out |= np.isin(start, full) if most else True
        return out & (send_at != NEVER)


def checked(table: Any) -> dict[str, int | None]:
    """The `[budget]` table of a guardrail file; raises `BadSetting`."""
    if not isinstance(table, Mapping):
        raise BadSetting(f"budget is {table!r}; use a table with {' and '.join(KEYS)}")
    out: dict[str, int | None] = {}
    for key, value in table.items():
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if key not in KEYS:
            raise BadSetting(f"unknown guardrail budget.{key}; known there: {', '.join(KEYS)}")
        if value != "none" and not whole:
            raise BadSetting(f"budget.{key} is {value!r}; use a whole number from 0, or 'none'")
        out[key] = None if value == "none" else value
    return out


def limits_of(values: Mapping[str, Any]) -> dict[str, int]:
    """Most sends by period, of a store's settings."""
    table = values.get("budget", {})
    return {KEYS[key]: most for key, most in table.items() if most is not None}


def read_budget(connection: Connection, values: Mapping[str, Any], now: int) -> Budget | None:
    """What is left from a day ago on; None where there is no budget."""
    limits = limits_of(values)
    if not limits:
        return None
    rows = connection.execute(select(BUDGET).where(BUDGET.c.start > now - 2 * DAY))
    return Budget(limits, {(row.period, row.start): row.taken for row in rows})


def reserve(
    connection: Connection, values: Mapping[str, Any], send_at: Sequence[int | None]
) -> list[bool]:
    """Reserve sends in their order; whether each (None: a hold) is still within the budget."""
    limits = limits_of(values)
    kept = [True] * len(send_at)
    for period, most in sorted(limits.items()):
        wanted: dict[int, list[int]] = {}
        for n, at in enumerate(send_at):
            if at is not None and kept[n]:
                wanted.setdefault(at // LENGTH[period] * LENGTH[period], []).append(n)
        for start, some in sorted(wanted.items()):
            left = most - _locked(connection, period, start)
            for n in some[max(left, 0) :]:
                kept[n] = False
    for period in sorted(limits):
        starts: dict[int, int] = {}
        for n, at in enumerate(send_at):
            if at is not None and kept[n]:
                start = at // LENGTH[period] * LENGTH[period]
                starts[start] = starts.get(start, 0) + 1
        for start, count in sorted(starts.items()):
            _add(connection, period, start, count)
    return kept


def release(connection: Connection, send_at: int) -> None:
    """Give back what a send that is cancelled had reserved."""
    for period in sorted(LENGTH):
        _add(connection, period, send_at // LENGTH[period] * LENGTH[period], -1)


def _locked(connection: Connection, period: str, start: int) -> int:
    """What is taken of a period, which nobody else can change before this transaction ends."""
    row = {"period": period, "start": start, "taken": 0}
    connection.execute(inserting(connection, BUDGET).on_conflict_do_nothing(), row)
    of = (BUDGET.c.period == period) & (BUDGET.c.start == start)
    return int(connection.scalar(select(BUDGET.c.taken).where(of).with_for_update()) or 0)


def _add(connection: Connection, period: str, start: int, count: int) -> None:
    of = (BUDGET.c.period == period) & (BUDGET.c.start == start) & (BUDGET.c.taken + count >= 0)
    connection.execute(update(BUDGET).where(of).values(taken=BUDGET.c.taken + count))
