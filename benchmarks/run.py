"""Speed of the hot paths, as rates; run with `make bench`.

    python -m benchmarks.run

Timings on shared machines are noisy: compare rows of one run, not runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from mdp.state import apply, new_histories
from policies.baselines import Greedy
from simulator.kernel import Kernel
from simulator.worlds import known_world
from simulator.worlds.base import lived


def rate(size: int, work: Callable[[], object]) -> float:
    """Units a second, the best of three after one to warm up."""
    work()
    best = np.inf
    for _ in range(3):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return size / best


def main() -> None:
    """Measure and print."""
    simulator = known_world("logit").simulator(1000, 0)
    simulator, kernel = lived(simulator, 14, 0, record=True)
    seen = simulator.believing(simulator)
    policy, rng = Greedy(threshold=0.2), np.random.default_rng(0)
    rows = np.arange(1000)
    recording = kernel.recording
    assert recording is not None
    owner = np.concatenate([part[0] for part in recording.applied])
    events = np.concatenate([part[1] for part in recording.applied])

    def step() -> None:
        live = Kernel(seen, rows, 0, 7)
        while not live.done:
            live.step(policy.act(live.view().observation, rng)[0])

    observation = Kernel(seen, rows, 0, 7).view().observation
    figures = {
        "user-days simulated under fitted greedy": rate(7000, step),
        "decisions by fitted greedy, in batches of 1,000": rate(
            1000, lambda: policy.act(observation, rng)
        ),
        "events applied to histories": rate(
            len(events), lambda: apply(new_histories(1000), owner, events)
        ),
    }
    for name, value in figures.items():
        print(f"{value:14,.0f} a second  {name}")


if __name__ == "__main__":
    main()
