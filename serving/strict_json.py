"""Bodies as strict JSON: what the store can't keep or JSON does not know is refused at the door.

Python's own reader lets NaN, Infinity and half surrogate pairs in; a guardrail of Infinity would
be stored as null and stop every decision. NUL characters no PostgreSQL text can hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from json import JSONDecodeError
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute

NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class StrictRequest(Request):
    """A request whose body is read by orjson."""

    async def json(self) -> Any:
        """The body; raises `json.JSONDecodeError`."""
        return parsed(await self.body())


def parsed(body: bytes) -> Any:
    """A body's value; raises `json.JSONDecodeError`."""
    if b"\\u0000" in body and (nul := NUL.search(body)):
        raise JSONDecodeError("a text holds the character NUL", "", nul.start())
    return orjson.loads(body)


class StrictRoute(APIRoute):
    """A route whose handler gets a `StrictRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with the request replaced."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strict
