"""Parts of a piece of work as Ray tasks, on this machine's cores or on a cluster's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from agents.cluster import running
from ingestion.spread import Spread

AHEAD = 2
"""Parts for each core that are under way or wait to be taken; more would fill memory."""


@contextmanager
def on_ray() -> Iterator[Spread]:
    """A `Spread` over the cluster that RAY_ADDRESS names, or over all cores of this machine.

    pushwise must be installed on every machine of the cluster, and files that are read must lie
    there under the same path.
    """
    import ray
    from ray.exceptions import RayTaskError

    def spread(work: Callable[[Any, Any], Any], shared: Any, parts: Iterable[Any]) -> Iterator[Any]:
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
