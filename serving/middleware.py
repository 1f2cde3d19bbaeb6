"""What every request passes through: API key, size of the body, timing."""

from __future__ import annotations

import time
from hmac import compare_digest

import orjson
import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.metrics import Metrics
from serving.problems import Problem

OPEN = ("/healthz", "/readyz", "/docs", "/openapi.json")
"""Paths that need no key."""


class TooLarge(Problem):
    """A body of more bytes than are accepted."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, "body", f"the body is larger than {limit} bytes")


class Gate:
    """Refuses requests without a key where keys are configured, and bodies that are too large."""

    def __init__(
        self, app: ASGIApp, keys: frozenset[str], max_body_bytes: int, metrics: Metrics
    ) -> None:
        self._app, self._keys, self._limit, self._metrics = app, keys, max_body_bytes, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, self._counted(receive), noting)
        except Problem as problem:
            await refuse(problem, noting)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(scope["method"], route, str(status)).observe(seconds)
            structlog.get_logger().info(
                "request",
                method=scope["method"],
                route=route,
                status=status,
                ms=round(1000 * seconds, 2),
            )

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if "\x00" in scope["path"]:
            raise Problem(404, "path", "no path holds the character NUL")
        if self._keys and scope["path"] not in OPEN:
            scheme, _, key = headers.get("authorization", "").partition(" ")
            given = key.strip().encode()
            known = any(compare_digest(given, accepted.encode()) for accepted in self._keys)
            if scheme.lower() != "bearer" or not known:
                raise Problem(401, "Authorization", "send Authorization: Bearer with an API key")
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._limit:
            raise TooLarge(self._limit)

    def _counted(self, receive: Receive) -> Receive:
        seen = 0

        async def counting() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise TooLarge(self._limit)
            return message

        return counting


async def refuse(problem: Problem, send: Send) -> None:
    """Answer with problem details."""
    body = orjson.dumps(problem.to_mapping())
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
    ]
    headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
