"""Whether the process answers, whether it can decide, and its metrics."""

from __future__ import annotations

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from sqlalchemy.exc import SQLAlchemyError

from mdp.errors import PushwiseError
from serving.answers import HealthOut, ReadyOut
from serving.problems import DAMAGED, PROBLEMS, Problem, StoreFault, words_of_damage
from serving.service import Here, reply
from serving.store import reading, store_file

router = APIRouter(tags=["health"], responses=PROBLEMS)


@router.get("/healthz", response_model=HealthOut)
async def healthz() -> Response:
    """The process answers."""
    return reply({"status": "ok"})


@router.get("/readyz", response_model=ReadyOut)
def readyz(service: Here) -> Response:
    """The store answers and its policy is loaded; 503 with the reason where that is not so.
    `left_out` says which challenger or shadow is not, and why; the active policy decides then.
    `damaged` says what SQLite found wrong with the store's file, where users whose rows lie in
    other pages of it are decided for."""
    try:
        with reading(service.engine) as connection:
            world = service.registry.world(connection)
    except StoreFault:
        raise
    except PushwiseError as error:
        raise Problem(503, None, str(error)) from error
    except SQLAlchemyError as error:
        words = words_of_damage(error)
        detail = f"{DAMAGED}: {words}" if words else "the store does not answer"
        raise Problem(503, None, detail) from error
    file = store_file(service.engine)
    return reply(
        {
            "status": "ready",
            "policy": world.name,
            "items": len(world.catalog.items),
            "killed": world.stopped.everything,
            "left_out": world.left_out,
            "damaged": None if file is None else file.damage,
        }
    )


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(service: Here) -> Response:
    """Prometheus metrics of all workers of this server, and the store's figures as they were
    counted last."""
    # In a thread of its own, as those of the requests may all wait for a store that hangs.
    text = await run_sync(service.metrics.text, limiter=CapacityLimiter(1))
    return Response(text, media_type="text/plain; version=0.0.4")
