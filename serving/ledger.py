"""The ledger: every decision and every outcome is counted in exactly one place."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, case, exists, func, select

from mdp.clock import DAY
from serving.tables import ARCHIVED, ARCHIVES, COUNTERS, DECISIONS, OUTBOX, OUTCOMES, USERS

MOVES = OUTCOMES.alias("moves")


def ledger(connection: Connection, now: int) -> dict[str, Any]:
    """Counts of decisions by what became of them, and of outcomes by how they were taken.

    decisions = sent + held + cancelled + failed + pending + archived;
    outcomes received = orphan + duplicate + late + joined + archived, where received ones are
    counted for themselves as they come in. Outcomes that come for archived decisions are late.
    `numbered` are the decisions that servers of this version made and that are here still, by
    their rows and by the count that each user's row keeps of them, written in one transaction: a
    row that is lost, or comes twice, is off. The states of decisions are of the same rows as their
    total, so that sum says only that each row has one state.
    `unbalanced` is by how much these counts are off, which is never. `moved` are sends that left at
    another time than decided; they stand among `sent` too. `last_day` are the sends whose hour was
    in the last 24.
    """

    def became(outcome: str) -> Any:
        """Told, and no later `moved` says that the send went out after all."""
        after_all = exists().where(
            MOVES.c.decision_id == OUTCOMES.c.decision_id,
            MOVES.c.outcome == "moved",
            MOVES.c.at > OUTCOMES.c.at,
        )
        return exists().where(
            OUTCOMES.c.decision_id == DECISIONS.c.decision_id,
            OUTCOMES.c.outcome == outcome,
            ~after_all,
        )

    waiting = exists().where(
        OUTBOX.c.decision_id == DECISIONS.c.decision_id, OUTBOX.c.state == "waiting"
    )
    state = case(
        (DECISIONS.c.send_at.is_(None), "held"),
        (became("cancelled"), "cancelled"),
        (became("failed"), "failed"),
        (DECISIONS.c.send_at > now, "pending"),
        (waiting, "pending"),
        else_="sent",
    )
    lately = DECISIONS.c.send_at.between(now - DAY, now)
    recent = case((lately, 1), else_=0)
    by_state = select(state, recent, func.count()).select_from(DECISIONS).group_by(state, recent)
    decisions = dict.fromkeys(("sent", "held", "cancelled", "failed", "pending"), 0)
    last_day = dict.fromkeys(("sent", "cancelled", "failed", "pending", "moved"), 0)
    for name, is_recent, number in connection.execute(by_state):
        decisions[name] += number
        if is_recent:
            last_day[name] += number
    counters = {row.name: row.count for row in connection.execute(select(COUNTERS))}
    left = select(func.sum(ARCHIVES.c.decisions), func.sum(ARCHIVES.c.outcomes))
    decisions["archived"], archived = (int(n or 0) for n in connection.execute(left).one())
    joined = select(OUTCOMES.c.joined, func.count()).group_by(OUTCOMES.c.joined)
    stored = {row[0]: row[1] for row in connection.execute(joined)}
    outcomes = {
        "orphan": counters.get("orphan", 0),
        "duplicate": counters.get("duplicate", 0),
        "late": stored.get(0, 0) + counters.get("late", 0),
        "joined": stored.get(1, 0),
        "archived": archived,
    }
    received = counters.get("received", 0)
    total = connection.scalar(select(func.count()).select_from(DECISIONS)) or 0
    total += connection.scalar(select(func.count()).select_from(ARCHIVED)) or 0
    moved = (
        select(recent, func.count(OUTCOMES.c.decision_id.distinct()))
        .join(DECISIONS, DECISIONS.c.decision_id == OUTCOMES.c.decision_id)
        .where(OUTCOMES.c.outcome == "moved")
        .group_by(recent)
    )
    moves = {row[0]: row[1] for row in connection.execute(moved)}
    last_day["moved"] = moves.get(1, 0)
    numbered = connection.scalar(select(func.count(DECISIONS.c.nth))) or 0
    counted = int(connection.scalar(select(func.sum(USERS.c.decisions))) or 0)
    off = (
        abs(numbered - counted)
        + abs(total - sum(decisions.values()))
        + abs(received - sum(outcomes.values()))
    )
    return {
        "decisions": {"total": total, **decisions},
        "outcomes": {"received": received, **outcomes},
        "moved": sum(moves.values()),
        "last_day": last_day,
        "numbered": {"decisions": numbered, "users": counted},
        "unbalanced": off,
    }
