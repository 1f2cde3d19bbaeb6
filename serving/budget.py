"""The shop's budget of sends: so many in an hour, so many in a day (of UTC), over all users.

Hours whose budget is spent are ruled out before a policy draws, so that propensities are exact;
what is drawn is reserved in the transaction that records it. Where others were faster, the
decision is made again. A budget that begins at run time counts what is scheduled already.

With `pace` a day's budget is released hour by hour: by the end of hour h, counted from 0, at most
(h + 1) / 24 of it may have left. What is not used stays for the hours after. So a rush at night
cannot spend what the evening needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Connection, delete, exists, func, insert, select, update

from mdp.clock import DAY, HOUR, NEVER
from mdp.errors import BadSetting
from serving.rows import inserting
from serving.tables import BUDGET, DECISIONS, OUTCOMES

SPENT = 200
"""Reason code of an hour whose budget is spent; beside those of `mdp.guardrails.Reason`."""
LENGTH = {"day": DAY, "hour": HOUR}
KEYS = {"per_hour": "hour", "per_day": "day"}
MOST = 10**12
"""Most sends of a limit: no shop gets there, and 24 times as many can be counted in int64."""
Period = tuple[str, int]
"""`hour` or `day`, and where it starts."""
RESERVES = (DECISIONS.c.arm != "critical") & ~exists().where(
    OUTCOMES.c.decision_id == DECISIONS.c.decision_id, OUTCOMES.c.outcome == "cancelled"
)
"""Whether a row of the decisions holds a place of the budget, where it is a send: all but critical
and cancelled ones."""


def periods(send_at: int) -> list[Period]:
    """The day and the hour that a send falls into."""
    return [(period, send_at // length * length) for period, length in LENGTH.items()]


@dataclass(frozen=True)
class Budget:
    """What may be sent, and what is reserved of it."""

    limits: Mapping[str, int]
    """Most sends by period."""
    pace: bool
    """Whether a day's budget is released hour by hour."""
    taken: dict[Period, int] = field(default_factory=dict)
    """Sends reserved."""

    def open(self, send_at: int) -> bool:
        """Whether one more send may leave at an instant."""
        day, hour = periods(send_at)
        for place in (day, hour):
            most = self.limits.get(place[0])
            if most is not None and self.taken.get(place, 0) >= most:
                return False
        if not self.pace:
            return True
        # A send counts for all hours of the day that follow, and none of them may be over.
        first, most = (hour[1] - day[1]) // HOUR, self.limits["day"]
        hourly = [self.taken.get(("hour", day[1] + h * HOUR), 0) for h in range(24)]
        left = most * np.arange(1, 25) // 24 - np.cumsum(hourly)
        return bool(left[first:].min() > 0)

    def take(self, send_at: int) -> None:
        """Count one send."""
        for place in periods(send_at):
            self.taken[place] = self.taken.get(place, 0) + 1

    def spent(self, send_at: np.ndarray) -> np.ndarray:
        """Whether no send is left at each instant (N, 24) int64; False where that is `NEVER`."""
        starts, place = np.unique(send_at // HOUR, return_inverse=True)
        closed = [start != NEVER // HOUR and not self.open(start * HOUR) for start in starts]
        return np.array(closed)[place].reshape(send_at.shape)


def checked(table: Any) -> dict[str, int | bool | None]:
    """The `[budget]` table of a guardrail file; raises `BadSetting`."""
    if not isinstance(table, Mapping):
        raise BadSetting(f"budget is {table!r}; use a table with {', '.join(KEYS)} and pace")
    out: dict[str, int | bool | None] = {}
    for key, value in table.items():
        if key == "pace":
            if not isinstance(value, bool):
                raise BadSetting(f"budget.pace is {value!r}; use true or false")
            out[key] = value
            continue
        whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST
        if key not in KEYS:
            known = ", ".join((*KEYS, "pace"))
            raise BadSetting(f"unknown guardrail budget.{key}; known there: {known}")
        if value != "none" and not whole:
            raise BadSetting(
                f"budget.{key} is {value!r}; use a whole number from 0 to {MOST}, or 'none'"
            )
        out[key] = None if value == "none" else value
    return out


def budget_of(values: Mapping[str, Any]) -> Budget | None:
    """The budget of a store's settings, nothing of it taken; None where there is none."""
    table = values.get("budget", {})
    # A store may hold a limit of before there was a bound.
    limits = {KEYS[key]: min(table[key], MOST) for key in KEYS if table.get(key) is not None}
    if not limits:
        return None
    return Budget(limits, bool(table.get("pace")) and "day" in limits)


def budget_table(values: Mapping[str, Any]) -> dict[str, Any]:
    """The `[budget]` table in force."""
    table = values.get("budget", {})
    limits = {key: "none" if table.get(key) is None else table[key] for key in KEYS}
    return {**limits, "pace": bool(table.get("pace"))}


def read_budget(connection: Connection, values: Mapping[str, Any], since: int) -> Budget | None:
    """What is left from a day before an instant on; None where there is no budget.

    since: the earliest one that is decided for.
    """
    budget = budget_of(values)
    if budget is not None:
        rows = connection.execute(select(BUDGET).where(BUDGET.c.start > since - 2 * DAY))
        budget.taken.update({(row.period, row.start): row.taken for row in rows})
    return budget


def reserve(
    connection: Connection, values: Mapping[str, Any], send_at: Sequence[int | None]
) -> list[bool]:
    """Reserve sends in their order; whether each (None: a hold) is still within the budget."""
    budget = budget_of(values)
    if budget is None:
        return [True] * len(send_at)
    wanted = {place for at in send_at if at is not None for place in periods(at)}
    # Days first and in order: whoever holds a day's row is the only one to count in its hours.
    for place in sorted(wanted):
        budget.taken[place] = _locked(connection, *place)
        if place[0] == "day" and budget.pace:
            budget.taken.update(_hours_of(connection, place[1]))
    before = dict(budget.taken)
    kept = []
    for at in send_at:
        within = at is None or budget.open(at)
        if within and at is not None:
            budget.take(at)
        kept.append(within)
    for place in sorted(wanted):
        if budget.taken[place] > before[place]:
            _add(connection, *place, budget.taken[place] - before[place])
    return kept


def release(connection: Connection, send_at: Iterable[int]) -> None:
    """Give back what sends that are cancelled had reserved."""
    taken = Counter(place for at in send_at for place in periods(at))
    for place in sorted(taken):
        _add(connection, *place, -taken[place])


def recount(connection: Connection, now: int) -> None:
    """Count what is reserved of today (of UTC) and of what follows, where a budget begins: every
    send that was decided, but critical and cancelled ones, and those of users who were erased."""
    begin = now // DAY * DAY
    hour = (DECISIONS.c.send_at - DECISIONS.c.send_at % HOUR).label("hour")
    counted = (DECISIONS.c.send_at >= begin) & RESERVES
    taken: Counter[Period] = Counter()
    for start, count in connection.execute(
        select(hour, func.count()).where(counted).group_by("hour")
    ):
        for place in periods(start):
            taken[place] += count
    connection.execute(delete(BUDGET).where(BUDGET.c.start >= begin))
    rows = [{"period": p, "start": start, "taken": n} for (p, start), n in taken.items()]
    if rows:
        connection.execute(insert(BUDGET), rows)


def _locked(connection: Connection, period: str, start: int) -> int:
    """What is taken of a period, which nobody else can change before this transaction ends."""
    row = {"period": period, "start": start, "taken": 0}
    connection.execute(inserting(connection, BUDGET).on_conflict_do_nothing(), row)
    of = (BUDGET.c.period == period) & (BUDGET.c.start == start)
    return int(connection.scalar(select(BUDGET.c.taken).where(of).with_for_update()) or 0)


def _hours_of(connection: Connection, day: int) -> dict[Period, int]:
    """What is taken of a day's hours."""
    hours = (BUDGET.c.period == "hour") & BUDGET.c.start.between(day, day + DAY - 1)
    rows = connection.execute(select(BUDGET.c.start, BUDGET.c.taken).where(hours))
    return {("hour", row.start): row.taken for row in rows}


def _add(connection: Connection, period: str, start: int, count: int) -> None:
    of = (BUDGET.c.period == period) & (BUDGET.c.start == start) & (BUDGET.c.taken + count >= 0)
    connection.execute(update(BUDGET).where(of).values(taken=BUDGET.c.taken + count))
