"""What is being answered in this process: idempotency keys, and what takes long."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from serving.problems import Problem


class InFlight:
    """Refuses a key that is in flight here, as the IETF's draft of `Idempotency-Key` has it (409).

    Of two workers who get the same key at the same time one decides; the other finds its answer
    in the store when it commits, and gives that. So no key is ever decided for twice.
    """

    def __init__(self) -> None:
        self._keys: set[str] = set()

    def only(self, key: str | None) -> AbstractContextManager[None]:
        """While a request with this key (None: without any) is answered; raises `Problem`."""
        return nullcontext() if key is None else self._only(key)

    @contextmanager
    def _only(self, key: str) -> Iterator[None]:
        if key in self._keys:
            detail = "a request with this key is being answered: try again"
            raise Problem(409, "Idempotency-Key", detail, in_flight=True)
        self._keys.add(key)
        try:
            yield
        finally:
            self._keys.discard(key)


class AtMost:
    """Lets only so many requests at once do what takes long, so that the others have threads,
    processor and connections left."""

    def __init__(self, most: int) -> None:
        self._most, self._free = most, threading.BoundedSemaphore(most)

    @contextmanager
    def one(self) -> Iterator[None]:
        """While one more is answered; raises `Problem` (503) where there are as many already."""
        if not self._free.acquire(blocking=False):
            detail = f"this worker makes {self._most} exports at once: try again later"
            raise Problem(503, None, detail)
        try:
            yield
        finally:
            self._free.release()
