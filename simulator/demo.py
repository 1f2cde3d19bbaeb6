"""A demo shop: a known-truth world lived under its logging policy, as a log and as its truth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ingestion.log import LOGGED, LogMeta
from mdp.clock import DAY
from mdp.errors import BadSetting
from simulator.description import Simulator
from simulator.kernel import Kernel

EVALUATED = 0.2
"""Share of the days, the last ones, that a fit leaves to evaluation."""


@dataclass(frozen=True)
class Demo:
    """What `pushwise demo` writes."""

    tables: dict[str, pd.DataFrame]
    """The log's tables by name."""
    meta: LogMeta
    truth: Simulator
    """The known truth, its users as they stand where the last fifth of the log's days begins:
    there a fit's own simulator starts by default."""


def demo(simulator: Simulator, days: int, seed: int) -> Demo:
    """The log of `days` under the simulator's logging policy, from its start on."""
    if days < 1:
        raise BadSetting(f"--days is {days}; a demo needs at least 1")
    kernel = Kernel(simulator, np.arange(len(simulator.users)), seed, days, record=True)
    fitted_days = days - max(1, round(EVALUATED * days))
    rng = np.random.default_rng([seed, 17])
    histories = simulator.histories
    for day in range(days):
        if day == fitted_days:
            histories = kernel.histories.copy()
        actions, propensity = simulator.logging.act(kernel.view().observation, rng)
        kernel.step(actions, propensity, simulator.logging.name)
    assert kernel.recording is not None
    truth = replace(simulator, start=simulator.start + fitted_days * DAY, histories=histories)
    meta = LogMeta(
        complete_until=pd.Timestamp(int(kernel.at.min()), unit="us", tz="UTC"),
        propensities=LOGGED,
        candidates=LOGGED,
        default_timezone="UTC",
        source=f"pushwise demo: known-truth world {simulator.world}",
    )
    return Demo(kernel.recording.tables(), meta, truth)
