"""What a server process holds: store, policies, the decider and its queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import orjson
from fastapi import Depends, Request, Response
from sqlalchemy import Engine

from mdp.errors import BadArtifact, PushwiseError
from serving.batcher import Batcher, Decide
from serving.cache import CACHE, cache_of, open_cache
from serving.clock_watch import ClockWatch
from serving.clocks import Clock, wall_clock
from serving.commit import Answer, Keyed
from serving.decide import Decider
from serving.history import MENDED
from serving.in_flight import AtMost, InFlight
from serving.metrics import Metrics, keep_shared
from serving.partitions import keep_partitions
from serving.registry import Registry, World
from serving.scoring import Question, draw
from serving.senders import open_sender
from serving.sending import Dispatcher
from serving.settings import Settings
from serving.store import all_settings, open_store, reading
from serving.tracing import Tracing, open_tracing
from serving.users import new_user

DECIDERS = 2
"""Threads that decide: while one is at a long group, the other goes on with the next."""
REQUESTS = 16
"""Threads for requests other than single decisions and batches; see `store.CONNECTIONS`."""
EXPORTS = 2
"""Requests at once that read whole tables."""


@dataclass(frozen=True)
class Service:
    """Everything that the routes use."""

    settings: Settings
    engine: Engine
    registry: Registry
    batcher: Batcher
    metrics: Metrics
    clock: Clock
    watch: ClockWatch
    in_flight: InFlight
    dispatcher: Dispatcher | None
    tracing: Tracing
    exports: AtMost

    def close(self) -> None:
        """Finish what waits and close the store."""
        self.batcher.close()
        if self.dispatcher is not None:
            self.dispatcher.close()
        if (cache := cache_of(self.engine)) is not None:
            cache.close()
        self.engine.dispose()
        self.tracing.close()


def open_service(settings: Settings, clock: Clock = wall_clock) -> Service:
    """Open the store and make its policy ready, so that no request waits for that."""
    keep_shared()
    sender, metrics, tracing = open_sender(settings), Metrics(), open_tracing()
    engine = open_store(settings.store)
    keep_partitions(engine, settings, clock())
    engine.update_execution_options(**{MENDED: metrics.mended.inc})
    if settings.redis is not None:
        cache = open_cache(settings.redis, settings.store, metrics.count_cached)
        engine.update_execution_options(**{CACHE: cache})
    registry = Registry(currency=settings.currency)
    deciders = [
        Decider(
            engine,
            registry,
            settings,
            clock=clock,
            tracing=tracing,
            failed=metrics.count_failed,
        )
        for _ in range(DECIDERS)
    ]
    watch = ClockWatch(engine, clock, settings.clock_tolerance_seconds, metrics)
    dispatcher = None
    if sender is not None:
        dispatcher = Dispatcher(engine, registry, settings, sender, watch, metrics)
    batcher = Batcher(*(counted(decider.decide, metrics) for decider in deciders))
    service = Service(
        settings,
        engine,
        registry,
        batcher,
        metrics,
        clock,
        watch,
        InFlight(),
        dispatcher,
        tracing,
        AtMost(EXPORTS),
    )
    try:
        warm_up(service)
    except PushwiseError:
        service.close()
        raise
    return service


def counted(decide: Decide, metrics: Metrics) -> Decide:
    """What decides for a group, and counts its answers: at once, and beside those who ask."""

    def counting(requests: Sequence[Keyed]) -> list[Answer]:
        answers = decide(requests)
        metrics.count_answers(answers)
        return answers

    return counting


def warm_up(service: Service) -> None:
    """Load the active policy, if there is one, and compile by deciding once for nobody."""
    with reading(service.engine) as connection:
        if all_settings(connection).get("policy") is None:
            return
        world = service.registry.world(connection)
    smoke(world, service.clock())


def smoke(world: World, now: int) -> None:
    """Decide once for nobody; raises `BadArtifact` where that gives no probability."""
    nobody = new_user("", now, True, "UTC")
    (drawn,) = draw(world, [Question(nobody, now, None, None)], np.random.default_rng(0))
    if not 0 < drawn.propensity <= 1:
        raise BadArtifact(f"policy {world.name} gives a propensity of {drawn.propensity}")


async def service_of(request: Request) -> Service:
    """The service of the app that a request came to."""
    service: Service = request.app.state.service
    return service


Here = Annotated[Service, Depends(service_of)]


async def caller_of(request: Request) -> str:
    """The name of the API key that a request came with."""
    return str(request.state.who)


Who = Annotated[str, Depends(caller_of)]


def reply(content: Any, status: int = 200) -> Response:
    """A JSON response."""
    return Response(orjson.dumps(content), status, media_type="application/json")
