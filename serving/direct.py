"""`POST /v1/decisions` past the framework's middleware and routing, which would take longer than
the decision.

Requests and answers are as the route in `serving.routes.decisions` has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from json import JSONDecodeError

import orjson
from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.commit import Replayed
from serving.middleware import respond
from serving.problems import Problem, malformed, problem_of
from serving.routes.decisions import decided
from serving.schemas import Ask
from serving.service import Service
from serving.strict_json import parsed

LONGEST_KEY = 200
"""Characters of an idempotency key."""
REPLAYED = (b"idempotent-replayed", b"true")
"""The header of an answer that was given before."""


class Direct:
    """Takes the requests for one decision; all else goes on to the app."""

    path = "/v1/decisions"

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; raises what is refused."""
        if scope.get("path") != self.path or scope.get("method") != "POST":
            await self._app(scope, receive, send)
            return
        scope["route"] = self  # whose path the metrics show
        body = await whole(receive)
        if body is None:
            return
        headers = dict(scope["headers"])
        answer = await decided(self._service, asked(headers, body), key_of(headers))
        more = [REPLAYED] if isinstance(answer, Replayed) else []
        await respond(send, 200, b"application/json", orjson.dumps(answer), more)


async def whole(receive: Receive) -> bytes | None:
    """The request's body; None where the client has gone."""
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def asked(headers: Mapping[bytes, bytes], body: bytes) -> Ask:
    """The request in a body; raises `Problem`."""
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/json":
        raise Problem(422, "body", "send JSON, with content-type: application/json")
    try:
        return Ask.model_validate(parsed(body))
    except JSONDecodeError as error:
        raise malformed(error.pos, error.msg) from error
    except ValidationError as error:
        raise problem_of(error.errors()) from error


def key_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The idempotency key; raises `Problem` for an empty or a long one."""
    key = headers.get(b"idempotency-key")
    if key is not None and not 1 <= len(key) <= LONGEST_KEY:
        raise Problem(422, "Idempotency-Key", f"a key has 1 to {LONGEST_KEY} characters")
    return None if key is None else key.decode("latin-1")
