"""Whether the process answers, whether it can decide, and its metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from mdp.errors import PushwiseError
from serving.ledger import ledger
from serving.problems import PROBLEMS, Problem
from serving.routes.policies import experiment_of
from serving.service import Here, Service, reply
from serving.store import reading
from serving.tables import OUTBOX

router = APIRouter(tags=["health"], responses=PROBLEMS)


@router.get("/healthz")
async def healthz() -> Response:
    """The process answers."""
    return reply({"status": "ok"})


@router.get("/readyz")
def readyz(service: Here) -> Response:
    """The store answers and its policy is loaded; 503 with the reason where that is not so.
    `left_out` says which challenger or shadow is not, and why; the active policy decides then."""
    try:
        with reading(service.engine) as connection:
            world = service.registry.world(connection)
    except PushwiseError as error:
        raise Problem(503, None, str(error)) from error
    except DBAPIError as error:
        raise Problem(503, None, "the store does not answer") from error
    return reply(
        {
            "status": "ready",
            "policy": world.name,
            "items": len(world.catalog.items),
            "killed": world.stopped.everything,
            "left_out": world.left_out,
        }
    )


@router.get("/metrics", responses={200: {"content": {"text/plain": {}}}})
def metrics(service: Here) -> Response:
    """Prometheus metrics of all workers of this server, and the ledger of the store."""
    service.metrics.refresh(lambda: state_of(service))
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")


def state_of(service: Service) -> dict[str, Any]:
    """What only the store knows."""
    now = service.clock()
    with reading(service.engine) as connection:
        state = ledger(connection, now)
        by_state = select(OUTBOX.c.state, func.count()).group_by(OUTBOX.c.state)
        outbox = {row[0]: row[1] for row in connection.execute(by_state)}
        oldest = select(func.min(OUTBOX.c.due_at)).where(OUTBOX.c.state == "waiting")
        due_at = connection.scalar(oldest)
        try:
            world = service.registry.world(connection)
        except PushwiseError:
            tried, killed, left_out = None, False, {}
        else:
            tried = experiment_of(connection, world)["sample_ratio"]
            killed, left_out = world.stopped.everything, dict(world.left_out)
    return {
        **state,
        "outbox": outbox,
        "overdue": 0.0 if due_at is None else max(0.0, (now - due_at) / 1e6),
        "sample_ratio_p": 1.0 if tried is None else tried["p"],
        "killed": int(killed),
        "left_out": {role: int(role in left_out) for role in ("challenger", "shadow")},
    }
