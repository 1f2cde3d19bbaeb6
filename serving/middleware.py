"""What every request passes through: request id, API key, size of the body, timing."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access import Access
from serving.log_lines import REQUEST_ID
from serving.metrics import Metrics
from serving.patience import Patience
from serving.problems import Problem, as_problem
from serving.tracing import Tracing

GIVEN_ID = re.compile(r"[\w.:-]{1,100}")
OPEN = ("/healthz", "/readyz", "/docs", "/openapi.json")
"""Paths that need no key."""
KEYS_SECONDS = 1.0
"""How long the metrics wait for the keys to be read anew."""


class Gate:
    """Refuses callers who lack a key or its scope, and bodies that are too large or too slow."""

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        max_body_bytes: int,
        body_seconds: float,
        metrics: Metrics,
        tracing: Tracing,
    ) -> None:
        self._app, self._access, self._metrics, self._tracing = app, access, metrics, tracing
        self._patience = Patience(body_seconds, max_body_bytes)
        self._log = structlog.get_logger().bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if GIVEN_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"
        REQUEST_ID.set(request_id)

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        with self._tracing.request(scope) as span:
            try:
                if self._access.is_old and scope["path"] not in OPEN:
                    await self._read_keys(scope["path"])
                self._check(scope, headers)
                await self._app(scope, self._patience.within(receive), noting)
            except Exception as error:
                if status:  # the framework has answered, and logged it
                    raise
                problem = as_problem(error)
                self._metrics.count_problem(problem)
                await refuse(problem, noting)
            finally:
                self._note(scope, status or 500, time.perf_counter() - began, span)
                REQUEST_ID.set(None)

    async def _read_keys(self, path: str) -> None:
        """Read the keys anew, for which most requests wait, as they need the store anyway.

        The metrics don't: while it hangs or is gone they go on with the keys read before, so that
        they can be asked what is wrong. That is safe, as a key that was revoked since opens nothing
        else.
        """
        reading = asyncio.ensure_future(asyncio.to_thread(self._access.read))
        if path == "/metrics" and self._access.are_known:
            reading.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.wait([reading], timeout=KEYS_SECONDS)
        else:
            await reading

    def _note(self, scope: Scope, status: int, seconds: float, span: Any | None) -> None:
        """Metrics, log and trace of a request that was answered."""
        method, route = scope["method"], getattr(scope.get("route"), "path", "other")
        self._metrics.note_request(method, route, status, seconds)
        who = scope.get("state", {}).get("who")
        self._log.info(
            "request", method=method, route=route, status=status,
            ms=round(1000 * seconds, 2), who=who,
        )  # fmt: skip
        if span is not None:
            span.update_name(f"{method} {route}")
            span.set_attributes({
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
            })  # fmt: skip

    def _check(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        if "\x00" in scope["path"]:
            raise Problem(404, "path", "no path holds the character NUL")
        if scope["path"] not in OPEN:
            key = headers.get(b"authorization", b"").decode("latin-1")
            caller = self._access.check(scope["method"], scope["path"], key)
            scope.setdefault("state", {})["who"] = caller.name
        length = headers.get(b"content-length", b"0")
        if length.isdigit():
            self._patience.need(int(length))


async def refuse(problem: Problem, send: Send) -> None:
    """Answer with problem details."""
    more = [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    body = orjson.dumps(problem.to_mapping())
    await respond(send, problem.status, b"application/problem+json", body, more)


async def respond(
    send: Send, status: int, kind: bytes, body: bytes, more: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """Answer with a body of some media type, and more headers."""
    length = str(len(body)).encode()
    headers = [(b"content-type", kind), (b"content-length", length), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
