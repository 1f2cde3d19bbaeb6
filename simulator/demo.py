"""A demo shop: a known-truth world lived under its logging policy, as a log and as its truth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ingestion.log import LOGGED, Log, LogMeta, time_column
from ingestion.splits import split_time
from mdp.clock import DAY
from mdp.errors import BadSetting
from mdp.local_time import next_local_midnight
from simulator.description import Simulator
from simulator.kernel import Kernel

AHEAD = 60
"""Days after its last one that a log's calendar knows."""


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
    start = _split(kernel)
    rng = np.random.default_rng([seed, 17])
    histories, waiting = simulator.histories.copy(), np.ones(kernel.N, bool)
    while not kernel.done:
        begins = waiting & (kernel.at >= start)
        histories[begins] = kernel.histories[begins]
        waiting &= ~begins
        actions, propensity = simulator.logging.act(kernel.view().observation, rng)
        kernel.step(actions, propensity, simulator.logging.name)
    truth = replace(simulator, start=start, histories=histories)
    meta = LogMeta(
        complete_until=pd.Timestamp(int(kernel.at.min()), unit="us", tz="UTC"),
        propensities=LOGGED,
        candidates=LOGGED,
        default_timezone="UTC",
        currency="GBP",
        source=f"pushwise demo: known-truth world {simulator.world}",
    )
    tables = kernel.tables()
    if "calendar" in tables:
        known = tables["calendar"]["date"]
        until = np.datetime64(int(kernel.at.min()) // DAY + AHEAD, "D")
        tables["calendar"] = tables["calendar"][known < str(until)]
    return Demo(tables, meta, truth)


def _split(kernel: Kernel) -> int:
    """Where a fit of the log to come starts by default; the first decision in a log too short."""
    first, last = kernel.at, kernel.at
    for _ in range(kernel.days - 1):
        last = next_local_midnight(last, kernel.zone)
    span = np.array([first.min(), last.max()])
    log = Log({"decisions": pd.DataFrame({"decided_at": time_column(span)})})
    return split_time(log) if span[1] - span[0] >= 2 * DAY else int(span[0])
