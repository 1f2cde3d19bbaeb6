"""uvicorn's HTTP, whose answers leave in one piece.

It writes an answer's head and body one after the other, and each write is a call of the system and
a segment on the wire, which together cost more than checking the request. Here a head waits for
what comes after it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

CONTINUE = b"HTTP/1.1 100"
"""What a client waits for before it sends a body."""


class Joined:
    """A transport that keeps the head of an answer until its body, or the answer's end, comes."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._head = transport, b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write, or keep what is a head."""
        if not self._head and data.startswith(b"HTTP/") and not data.startswith(CONTINUE):
            self._head = data
            return
        head, self._head = self._head, b""
        self._transport.write(head + data)

    def flush(self) -> None:
        """Write a head that nothing comes after."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        """Close after all is written."""
        if not self._transport.is_closing():
            self.flush()
        self._transport.close()


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol over such a transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin with a connection."""
        super().connection_made(Joined(transport))  # type: ignore[arg-type]

    def on_response_complete(self) -> None:
        """Go on after an answer."""
        self.transport.flush()  # type: ignore[attr-defined]
        super().on_response_complete()
