"""Micro-batching: requests that wait while others are decided are decided together, next."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from serving.commit import Answer, Keyed

LARGEST = 1024
"""Requests after which a group is closed."""
Job = tuple[list[Keyed], "Future[list[Answer]]"]


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

    def submit(self, requests: list[Keyed]) -> Future[list[Answer]]:
        """The answers to these requests, later."""
        future: Future[list[Answer]] = Future()
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
        # Whose client has gone by now is not decided for; from here on nobody can cancel.
        group = [job for job in group if job[1].set_running_or_notify_cancel()]
        try:
            answers = decide([keyed for requests, _ in group for keyed in requests])
        except Exception as error:
            for _, future in group:
                future.set_exception(error)
            return
        start = 0
        for requests, future in group:
            future.set_result(answers[start : start + len(requests)])
            start += len(requests)
