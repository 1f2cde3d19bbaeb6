"""Whether the process answers, whether it can decide, and its metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy.exc import DBAPIError

from mdp.errors import PushwiseError
from serving.problems import Problem
from serving.service import Here, reply
from serving.store import reading

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> Response:
    """The process answers."""
    return reply({"status": "ok"})


@router.get("/readyz")
def readyz(service: Here) -> Response:
    """The store answers and its policy is loaded; 503 with the reason where that is not so."""
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
        }
    )


@router.get("/metrics")
def metrics(service: Here) -> Response:
    """Prometheus metrics of this process, and the ledger of the store."""
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")
