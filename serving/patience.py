"""How long a request may take to arrive, and how large it may be: one timer for all of them, as one
each would take longer than checking a request does."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import Message, Receive

from serving.problems import Problem

NEVER = float("inf")


class TooSlow(Problem):
    """A body that does not arrive."""

    def __init__(self, seconds: float) -> None:
        super().__init__(408, "body", f"the body did not arrive within {seconds:g} s")


class TooLarge(Problem):
    """A body of more bytes than are accepted."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, "body", f"the body is larger than {limit} bytes")


class Patience:
    """Gives up on requests whose body does not arrive, or is too large."""

    def __init__(self, seconds: float, most: int) -> None:
        """most: bytes of a body."""
        self._seconds, self._most = seconds, most
        self._ends: dict[asyncio.Task[Any], float] = {}
        self._next = NEVER
        self._loop: asyncio.AbstractEventLoop | None = None

    def within(self, receive: Receive) -> Receive:
        """`receive` of a request that begins now, which raises `TooSlow` or `TooLarge`."""
        seen, whole = 0, False
        end = asyncio.get_running_loop().time() + self._seconds

        async def within() -> Message:
            nonlocal seen, whole
            if whole:  # what comes now is the end of the connection
                return await receive()
            task = asyncio.current_task()
            assert task is not None
            self._ends[task] = end
            if end < self._next or task.get_loop() is not self._loop:
                self._look_at(end)
            try:
                message = await receive()
            except asyncio.CancelledError as error:
                if task in self._ends:  # somebody else gave up
                    raise
                task.uncancel()
                raise TooSlow(self._seconds) from error
            finally:
                self._ends.pop(task, None)
            whole = not message.get("more_body", False)
            seen += len(message.get("body", b""))
            self.need(seen)
            return message

        return within

    def need(self, size: int) -> None:
        """Raises `TooLarge` for more bytes than a body may have."""
        if size > self._most:
            raise TooLarge(self._most)

    def _look_at(self, end: float) -> None:
        self._loop, self._next = asyncio.get_running_loop(), end
        self._loop.call_at(end, self._look)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        for task in [task for task, end in self._ends.items() if end <= now]:
            del self._ends[task]
            task.cancel()
        self._next = NEVER
        if self._ends:
            self._look_at(min(self._ends.values()))
