"""Parts of a piece of work as Ray tasks, on this machine's cores or on a cluster's."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ingestion.spread import Spread
from mdp.errors import BadSetting

AHEAD = 2
"""Parts for each core that are under way or wait to be taken; more would fill memory."""


@contextmanager
def running() -> Iterator[None]:
    """The cluster that RAY_ADDRESS names, or one started on this machine, while the context lasts.

    Raises `BadSetting` where it does not answer or does not start.
    """
    import ray

    address = os.environ.get("RAY_ADDRESS", "")
    try:
        _reach(address)
        ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
    # A plain Exception is what Ray raises where its processes don't come up in time.
    except Exception as error:
        ray.shutdown()
        what = (
            f"the Ray cluster {address} (RAY_ADDRESS) can't be joined"
            if address
            else "Ray does not start here; this machine may be too busy for it: try again, or "
            "leave --ray out"
        )
        raise BadSetting(f"{what} ({first_words(error)})") from error
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Raises `OSError` where nobody listens at HOST:PORT, which Ray would try again for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def first_words(error: Exception) -> str:
    """What Ray says in its first sentence; pages may follow."""
    return str(error).strip().partition("\n")[0].partition(". ")[0]


@contextmanager
def on_ray() -> Iterator[Spread]:
    """A `Spread` over the cluster that RAY_ADDRESS names, or over all cores of this machine.

    pushwise must be installed on every machine of the cluster, and files that are read must lie
    there under the same path.
    """
    import ray
    from ray.exceptions import RayTaskError

    def spread(work: Callable[[Any, Any], Any], shared: Any, parts: Sequence[Any]) -> Iterator[Any]:
        place, task = ray.put(shared), ray.remote(work)
        most = AHEAD * max(int(ray.cluster_resources().get("CPU", 1)), 1)
        waiting = []
        for part in parts:
            waiting.append(task.remote(place, part))
            if len(waiting) >= most:
                yield ray.get(waiting.pop(0))
        while waiting:
            yield ray.get(waiting.pop(0))

    with running():
        try:
            yield spread
        except RayTaskError as error:
            # What went wrong is said as it would be without Ray.
            if error.cause is None:
                raise
            raise error.cause from error
