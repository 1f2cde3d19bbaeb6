"""Whether the process answers, whether it can decide, and its metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from sqlalchemy.exc import SQLAlchemyError

from mdp.errors import PushwiseError
from serving.answers import HealthOut, ReadyOut
from serving.problems import PROBLEMS, Problem
from serving.service import Here, reply
from serving.store import reading

router = APIRouter(tags=["health"], responses=PROBLEMS)


@router.get("/healthz", response_model=HealthOut)
async def healthz() -> Response:
    """The process answers."""
    return reply({"status": "ok"})


@router.get("/readyz", response_model=ReadyOut)
def readyz(service: Here) -> Response:
    """The store answers and its policy is loaded; 503 with the reason where that is not so.
    `left_out` says which challenger or shadow is not, and why; the active policy decides then."""
    try:
        with reading(service.engine) as connection:
            world = service.registry.world(connection)
    except PushwiseError as error:
        raise Problem(503, None, str(error)) from error
    except SQLAlchemyError as error:
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


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(service: Here) -> Response:
    """Prometheus metrics of all workers of this server, and the store's figures as they were
    counted last."""
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")
