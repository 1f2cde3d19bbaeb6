"""A small shop that has lived some days, and policies to step it with."""

import numpy as np
import pytest

from simulator.description import Simulator
from simulator.kernel import Kernel
from simulator.payment import Step
from simulator.worlds.base import lived
from simulator.worlds.logit import LogitShop


@pytest.fixture(scope="session")
def shop() -> Simulator:
    """60 users after 10 days under the logging policy."""
    return lived(LogitShop().simulator(60, 3), 10, 3)[0]


@pytest.fixture(scope="session")
def play():
    """Steps a kernel to its end with actions that depend on user and day only."""

    def actions_of(kernel: Kernel) -> np.ndarray:
        view = kernel.view()
        K, V = view.mask.item.shape[1], view.mask.variant.shape[1]
        out = np.zeros(kernel.N, np.int64)
        for n in range(kernel.N):
            hours = np.flatnonzero(view.mask.hour[n] == 0)
            items = np.flatnonzero(view.mask.item[n] == 0)
            turn = int(kernel.rows[n]) + int(kernel.day[n])
            if len(hours) and len(items) and turn % 3:
                pair = items[turn % len(items)] * V + turn % V
                out[n] = 1 + pair * 24 + hours[turn % len(hours)]
        assert out.max() < K * V * 24 + 1
        return out

    def run(kernel: Kernel) -> list[Step]:
        steps = []
        while not kernel.done:
            steps.append(kernel.step(actions_of(kernel), np.full(kernel.N, 0.5), "play"))
        return steps

    return run
