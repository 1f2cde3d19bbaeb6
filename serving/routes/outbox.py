"""The outbox: what waits, what went wrong, and sending a dead letter once more."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from sqlalchemy import func, select

from serving import sending
from serving.access import audit
from serving.answers import OutboxOut, ResumeOut, RetryOut
from serving.clock_watch import confirm, paused
from serving.problems import PROBLEMS, Problem
from serving.schemas import iso
from serving.service import Here, Who, reply
from serving.store import reading, writing
from serving.strict_json import StrictRoute
from serving.tables import OUTBOX

router = APIRouter(tags=["sending"], route_class=StrictRoute, responses=PROBLEMS)


@router.get("/v1/outbox", response_model=OutboxOut)
def show(
    service: Here,
    state: Literal["waiting", "sent", "dead", "cancelled"] = "dead",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
) -> Response:
    """How many sends are in each state, and those of one state with why (default: dead ones).

    `paused` are machines that send nothing, as their clocks jumped.
    """
    with reading(service.engine) as connection:
        counts = select(OUTBOX.c.state, func.count()).group_by(OUTBOX.c.state)
        totals = {row[0]: row[1] for row in connection.execute(counts)}
        some = select(OUTBOX).where(OUTBOX.c.state == state).order_by(OUTBOX.c.due_at).limit(limit)
        rows = connection.execute(some).all()
        machines = paused(connection)
    return reply(
        {
            "totals": totals,
            "paused": machines,
            "sends": [
                {
                    "decision_id": row.decision_id,
                    "user_id": row.user_id,
                    "due_at": iso(row.due_at),
                    "attempts": row.attempts,
                    "reason": row.reason,
                }
                for row in rows
            ],
        }
    )


@router.post("/v1/outbox/{decision_id}:retry", response_model=RetryOut)
def retry(service: Here, who: Who, decision_id: str) -> Response:
    """Try a dead send again, which takes its place among the caps again; 409 with the reason where
    it is too late for it, or a guardrail does not allow it any more."""
    now = service.clock()
    dead = (OUTBOX.c.decision_id == decision_id) & (OUTBOX.c.state == "dead")
    with reading(service.engine) as connection:
        users = connection.scalars(select(OUTBOX.c.user_id).where(dead)).all()
    with writing(service.engine, users) as connection:
        row = connection.execute(select(OUTBOX).where(dead)).first()
        if row is None or not users:
            raise Problem(404, "decision_id", f"no dead send is of decision {decision_id!r}")
        sending.retry(connection, service.registry.world(connection), service.settings, row, now)
        # With the user, so that erasing finds the row.
        detail = {"decision_id": decision_id, "user_id": row.user_id}
        audit(connection, now, who, "retry send", detail)
    return reply({"decision_id": decision_id, "state": "waiting"})


@router.post("/v1/outbox:resume", response_model=ResumeOut)
def resume(service: Here, who: Who) -> Response:
    """Say that the clocks of paused machines are right as they are now, so that they send again.

    What was due meanwhile leaves now, where it is not too late for it and the guardrails allow it.
    """
    with writing(service.engine) as connection:
        machines = confirm(connection)
        if machines:
            audit(connection, service.clock(), who, "confirm clocks", {"machines": machines})
    return reply({"resumed": machines})
