"""Progress on standard error: a bar on a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import Progress, TaskID

EVERY = 30.0
"""Seconds at least from one plain line to the next."""


class Shown(Progress):
    """Rich's bar where standard error is a terminal; plain lines where it is a file or a pipe."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        super().__init__(
            console=console,
            transient=True,
            disable=not console.is_terminal,
            get_time=lambda: time.monotonic(),
        )
        self._said_at = time.monotonic()

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """As rich's, but for the lines."""
        super().update(task_id, **changes)
        if not self.disable or time.monotonic() - self._said_at < EVERY:
            return
        self._said_at = time.monotonic()
        task = next(task for task in self.tasks if task.id == task_id)
        far = "" if task.total is None else f", {task.completed:,.0f} of {task.total:,.0f}"
        if task.time_remaining:
            far += f", about {timedelta(seconds=round(task.time_remaining))} left"
        self.console.print(f"{task.description}{far}", highlight=False, soft_wrap=True)


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Says what is being done: beside a spinner on a terminal, elsewhere in a line."""
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(what, highlight=False, soft_wrap=True)
        yield
        return
    with console.status(what):
        yield
