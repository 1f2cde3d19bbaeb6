"""Where blocks of users are lived: here, one after the other, or as Ray tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from policies.base import Policy
from simulator.description import Simulator
from simulator.population import Lived, live

AHEAD = 2
"""Blocks for each core that are under way or wait to be written; more would fill memory."""


def lived_in_turn(
    simulator: Simulator,
    policy: Policy,
    seed: int,
    days: int,
    blocks: Sequence[tuple[int, int]],
    record: bool,
) -> Iterator[Lived]:
    """What the blocks lived, in order."""
    for first, last in blocks:
        yield live(simulator, policy, seed, days, first, last, record)


def lived_on_ray(
    simulator: Simulator,
    policy: Policy,
    seed: int,
    days: int,
    blocks: Sequence[tuple[int, int]],
    record: bool,
) -> Iterator[Lived]:
    """The same from Ray tasks; pushwise must be installed on every machine of the cluster."""
    import ray

    ray.init(log_to_driver=False, include_dashboard=False)
    try:
        place, decider = ray.put(simulator), ray.put(policy)
        task = ray.remote(live)
        most = AHEAD * max(int(ray.cluster_resources().get("CPU", 1)), 1)
        waiting = []
        for first, last in blocks:
            waiting.append(task.remote(place, decider, seed, days, first, last, record))
            if len(waiting) >= most:
                yield ray.get(waiting.pop(0))
        while waiting:
            yield ray.get(waiting.pop(0))
    finally:
        ray.shutdown()
