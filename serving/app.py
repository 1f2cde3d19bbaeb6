"""The HTTP app: routes, problem details, start and stop."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import orjson
from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from mdp.errors import PushwiseError
from serving.access import Access, scope_of
from serving.clocks import Clock, wall_clock
from serving.direct import Direct
from serving.log_lines import configure_logging
from serving.middleware import OPEN, Gate
from serving.observing import COUNT_SECONDS, GLANCE_SECONDS, REST, Observer
from serving.problems import Problem, as_problem, problem_of
from serving.routes import (
    catalog,
    control,
    decisions,
    feeds,
    health,
    logs,
    outbox,
    policies,
    users,
)
from serving.service import REQUESTS, open_service
from serving.settings import Settings, read_settings
from serving.store import checkpoint
from serving.upkeep import Every, prune

NEW_OBJECTS = 50_000
"""After how many the collector of cycles looks through them: a batch of 1,000 holds 18,000 at once,
none in a cycle, which by Python's own 700 were looked through 25 times."""


class App(FastAPI):
    """FastAPI behind a gate, in which single decisions are answered past its middleware too."""

    gate: Gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self.gate(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The API's description: FastAPI's, with the keys that the gate asks for."""
        described = self.openapi_schema is not None
        schema = super().openapi()
        if not described:
            add_security(schema)
        return schema

    async def routed(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request by the framework."""
        await super().__call__(scope, receive, send)


KEY = "API key"


def add_security(schema: dict[str, Any]) -> None:
    """Say in an OpenAPI description that calls need a key, and with which scope."""
    said = "A key made by `pushwise keys`; where there is none, and on loopback, none is asked for."
    scheme = {"type": "http", "scheme": "bearer", "description": said}
    schema.setdefault("components", {})["securitySchemes"] = {KEY: scheme}
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if path not in OPEN:
                operation["security"] = [{KEY: []}]
                scope = f"Needs a key with the scope `{scope_of(method.upper(), path)}`."
                operation["description"] = f"{operation['description']}\n\n{scope}"


def create_app(settings: Settings | None = None, clock: Clock = wall_clock) -> App:
    """The app over the store that the settings name (default: the environment's)."""
    settings = settings or read_settings()
    configure_logging(settings.log_level)
    service = open_service(settings, clock)

    observer = Observer(service)

    def prune_by_the_clock() -> None:
        now, is_right = service.watch.read()
        if is_right:  # days ahead it would delete what is to be kept
            prune(service.engine, settings, now)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        threads = [
            Every("upkeep", 60, prune_by_the_clock),
            Every("clock", 1, service.watch.look, 1.0),
            Every("checkpoint", 1, lambda: checkpoint(service.engine)),
            Every("store", 1, observer.look),
            Every("glance", GLANCE_SECONDS, observer.glance, REST),
            Every("count", COUNT_SECONDS, observer.count, REST),
        ]
        if service.dispatcher is not None:
            threads.append(Every("outbox", 1, service.dispatcher.run))
        for thread in threads:
            thread.start()
        current_default_thread_limiter().total_tokens = REQUESTS
        settle()
        yield
        for thread in threads:
            thread.close()
        observer.close()
        service.close()

    app = App(
        title="pushwise",
        summary="Decides which item to push, with which copy, at which hour, or to hold.",
        lifespan=lifespan,
        redoc_url=None,
    )
    app.state.service, app.state.observer = service, observer
    for module in (decisions, feeds, users, catalog, control, policies, outbox, logs, health):
        app.include_router(module.router)
    app.gate = Gate(
        Direct(app.routed, service),
        access=Access(service.engine, settings.keys, settings.rate_per_second),
        max_body_bytes=settings.max_body_bytes,
        body_seconds=settings.body_seconds,
        metrics=service.metrics,
        tracing=service.tracing,
    )
    add_problem_handlers(app)
    return app


@cache
def settle() -> None:
    """Have the collector of cycles pass over what a process holds when it begins to serve, which
    lives as long as it, and what a batch holds: looking through all of that holds up requests. Once
    a process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error with problem details."""

    def problem_response(problem: Problem) -> Response:
        app.state.service.metrics.count_problem(problem)
        return as_response(problem)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return problem_response(problem_of(error.errors(), skip=1))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        if isinstance(error.__cause__, Problem):  # while the body was read
            return problem_response(error.__cause__)
        field = {400: "body", 404: "path", 405: "method"}.get(error.status_code)
        return problem_response(Problem(error.status_code, field, str(error.detail)))

    @app.exception_handler(PushwiseError)
    @app.exception_handler(SQLAlchemyError)
    async def wrong(request: Request, error: PushwiseError | SQLAlchemyError) -> Response:
        return problem_response(as_problem(error))

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        return problem_response(as_problem(error))


def as_response(problem: Problem) -> Response:
    """The problem as a response."""
    return Response(
        orjson.dumps(problem.to_mapping()),
        problem.status,
        problem.headers,
        media_type="application/problem+json",
    )
