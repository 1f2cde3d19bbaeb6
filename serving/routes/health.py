"""Whether the process answers, whether it can decide, and its metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy.exc import SQLAlchemyError

from mdp.errors import PushwiseError
from serving.problems import PROBLEMS, Problem
from serving.service import Here, Service, reply
from serving.store import reading

router = APIRouter(tags=["health"], responses=PROBLEMS)


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
    except SQLAlchemyError as error:
        raise Problem(503, None, "the store does not answer") from error
    return reply(
        {
            "status": "ready",
            "policy": world.name,
            "items": len(world.catalog.items),
            "killed": world.stopped.everything,
        }
    )


@router.get("/metrics", responses={200: {"content": {"text/plain": {}}}})
def metrics(service: Here) -> Response:
    """Prometheus metrics of all workers of this server, and the store's figures as they were
    counted last."""
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")
