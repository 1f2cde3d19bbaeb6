"""Micro-batching: requests that wait while others are decided are decided together, next."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress

from serving.commit import Answer, Keyed

LARGEST = 1024
"""Requests after which a group is closed."""
Job = tuple[list[Keyed], "asyncio.Future[list[Answer]]"]


class Batcher:
    """Threads that decide for all: each takes what waits, without waiting for more.

    So a lone request is answered at once, and under load one inference and one transaction serve
    a whole group. While one thread waits for the disk another draws.
    """

    def __init__(self, *deciders: Callable[[Sequence[Keyed]], list[Answer]]) -> None:
        """deciders: one a thread."""
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, args=(decide,), name="decide", daemon=True)
            for decide in deciders
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, requests: list[Keyed]) -> asyncio.Future[list[Answer]]:
        """The answers to these requests, later; to be called where an event loop runs."""
        future: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        self._jobs.put((requests, future))
        return future

    def close(self) -> None:
        """Decide what waits, then stop."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self, decide: Callable[[Sequence[Keyed]], list[Answer]]) -> None:
        while (job := self._jobs.get()) is not None:
            group, closing = [job], False
            while sum(len(requests) for requests, _ in group) < LARGEST:
                try:
                    another = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if another is None:
                    closing = True
                    break
                group.append(another)
            self._serve(decide, group)
            if closing:
                return

    @staticmethod
    def _serve(decide: Callable[[Sequence[Keyed]], list[Answer]], group: list[Job]) -> None:
        # Whose client has gone by now is not decided for.
        group = [job for job in group if not job[1].cancelled()]
        answers: list[Answer] | Exception
        try:
            answers = decide([keyed for requests, _ in group for keyed in requests])
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
            for _, future in jobs:
                if future.cancelled():
                    continue
                if isinstance(answers, Exception):
                    future.set_exception(answers)
                else:
                    future.set_result(given[future])

        for loop, jobs in waiting.items():  # a loop is woken once for the whole group
            with suppress(RuntimeError):  # it was closed: nobody waits there
                loop.call_soon_threadsafe(deliver, jobs)
