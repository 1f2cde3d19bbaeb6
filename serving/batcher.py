"""Micro-batching: requests that wait at the same time are decided together, in one transaction."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic

from serving.commit import Answer, Keyed

LARGEST = 1024
"""Requests after which a group is closed."""
PATIENCE = 0.002
"""Seconds that a request may wait for others to be decided with, where nobody is decided for."""
BESIDE = 0.005
"""Seconds that it may wait for the group before it, such as a large batch."""
FOREVER = float("inf")
Decide = Callable[[Sequence[Keyed]], list[Answer]]
"""What answers a group of requests, in their order."""
Job = tuple[list[Keyed], "asyncio.Future[list[Answer]]", float]
"""The requests of one call, who waits for their answers, and since when."""


class Batcher:
    """Threads that decide for all, one group after the other, or beside one that takes long.

    A group costs more than one more request in it. So it begins once as many wait as were under
    way lately, or the first of them has waited long enough: a client who is alone is answered at
    once, and the groups of many who ask again and again stay whole. Of the threads that have
    nothing to do the one that decided last is woken: the processor's caches are still its own.
    """

    def __init__(self, *deciders: Decide) -> None:
        """deciders: one a thread."""
        self._jobs: deque[Job] = deque()
        self._lock = threading.Lock()
        self._idle: list[threading.Condition] = []
        self._waiting = self._deciding = 0
        self._lately: deque[int] = deque([0], maxlen=2)
        self._free_since = 0.0
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, args=(decide,), name="decide", daemon=True)
            for decide in deciders
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, requests: list[Keyed]) -> asyncio.Future[list[Answer]]:
        """The answers to these requests, later; to be called where an event loop runs."""
        future: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._jobs.append((requests, future, monotonic()))
            self._waiting += len(requests)
            if self._idle and (len(self._jobs) == 1 or self._waiting >= max(self._lately)):
                self._idle.pop().notify()
        return future

    def close(self) -> None:
        """Decide what waits, then stop."""
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop().notify()
        for thread in self._threads:
            thread.join()

    def _run(self, decide: Decide) -> None:
        own = threading.Condition(self._lock)
        while group := self._next(own):
            self._serve(decide, group)
            with self._lock:
                self._deciding -= sum(len(job[0]) for job in group)
                self._free_since = monotonic()

    def _next(self, own: threading.Condition) -> list[Job]:
        """The jobs to decide together; none once all is done and closed. own: what wakes this
        thread."""
        with self._lock:
            while (left := self._left()) > 0:
                self._idle.append(own)
                own.wait(None if left == FOREVER else left)
                if own in self._idle:  # it was woken by time
                    self._idle.remove(own)
            group: list[Job] = []
            size = 0
            self._lately.append(self._waiting + self._deciding)
            while self._jobs and size < LARGEST:
                group.append(self._jobs.popleft())
                size += len(group[-1][0])
            self._waiting -= size
            self._deciding += size
            return group

    def _left(self) -> float:
        """Seconds until the next group begins, if nothing changes before."""
        if self._closed:
            return 0.0
        if not self._jobs:
            return FOREVER
        since = self._jobs[0][2]
        if self._deciding:
            return since + BESIDE - monotonic()
        if self._waiting >= min(max(self._lately), LARGEST):
            return 0.0
        return max(since, self._free_since) + PATIENCE - monotonic()

    @staticmethod
    def _serve(decide: Decide, group: list[Job]) -> None:
        # Whose client has gone by now is not decided for.
        group = [job for job in group if not job[1].cancelled()]
        answers: list[Answer] | Exception
        try:
            answers = decide([keyed for job in group for keyed in job[0]])
        except Exception as error:
            answers = error
        waiting: dict[asyncio.AbstractEventLoop, list[Job]] = defaultdict(list)
        given, start = {}, 0
        for job in group:
            waiting[job[1].get_loop()].append(job)
            if isinstance(answers, list):
                given[job[1]] = answers[start : start + len(job[0])]
            start += len(job[0])

        def deliver(jobs: list[Job]) -> None:
            for _, future, _ in jobs:
                if future.cancelled():
                    continue
                if isinstance(answers, Exception):
                    future.set_exception(answers)
                else:
                    future.set_result(given[future])

        for loop, jobs in waiting.items():  # a loop is woken once for the whole group
            with suppress(RuntimeError):  # it was closed: nobody waits there
                loop.call_soon_threadsafe(deliver, jobs)
