"""A picture of one user's month under two policies, in the same simulator with the same draws."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ingestion.fates import FATES, fate
from ingestion.log import epoch_us
from mdp.clock import DAY, HOUR
from mdp.local_time import local_time
from policies.base import Policy
from simulator.description import Simulator
from simulator.kernel import Kernel
from simulator.payment import Step

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Month:
    """What one user lived."""

    name: str
    """The policy's name."""
    value: float
    """Expected reward of its pushes."""
    pushes: pd.DataFrame
    """day, hour (float, local) and fate of each push."""
    visits: np.ndarray
    """Day and local hour (M, 2) float of what the user did unprompted."""


def month_of(
    simulator: Simulator, policy: Policy, row: int, seed: int = 0, days: int = 28
) -> Month:
    """Let a policy decide for one user of a simulator."""
    kernel = Kernel(simulator, np.array([row]), seed, days, record=True)
    rng = np.random.default_rng(seed)
    value = 0.0
    fates = []
    while not kernel.done:
        actions, propensity = policy.act(kernel.view().observation, rng)
        step = kernel.step(actions, propensity, policy.name)
        value += float(step.expected[0])
        if step.sent[0]:
            fates.append(fate_of(step))
    tables = kernel.tables()
    sends = tables["decisions"].dropna(subset=["send_at"]).sort_values("decided_at")
    zone = simulator.users.codes[row]
    place = _place(sends["send_at"], zone, simulator.start)
    pushes = pd.DataFrame({"day": place[:, 0], "hour": place[:, 1], "fate": fates})
    return Month(policy.name, value, pushes, _place(tables["events"]["at"], zone, simulator.start))


def fate_of(step: Step) -> str:
    """What became of the first user's push, a name of `FATES`."""
    return fate(step, step.bought)


def _place(times: pd.Series, zone: int, start: int) -> np.ndarray:
    """Day of the month and local hour (M, 2) float of instants."""
    at = epoch_us(times)
    zones = np.full(len(at), zone, np.int16)
    local = local_time(at, zones)
    first = local_time(np.array([start]), zones[:1] if len(zones) else np.array([zone], np.int16))
    return np.stack([local // DAY - first[0] // DAY, (local % DAY) / HOUR], 1)


def draw_months(file: Path | str, months: list[Month], days: int = 28) -> None:
    """Draw months beside one another into a PNG."""
    figure_of(months, days).savefig(file, dpi=110)


def figure_of(months: list[Month], days: int = 28) -> Figure:
    """Months beside one another as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(months), sharey=True))
    for axis, month in zip(axes, months, strict=True):
        for low, high in ((0, 8), (22, 24)):
            axis.axhspan(low, high, color="0.93", zorder=0)
        if len(month.visits):
            axis.scatter(*month.visits.T, s=8, color="0.72", label="own visits", zorder=1)
        for name, (marker, colour) in FATES.items():
            mine = month.pushes[month.pushes["fate"] == name]
            size = 150 if marker == "*" else 55
            axis.scatter(
                mine["day"], mine["hour"], s=size, marker=marker, color=colour, label=name, zorder=2
            )
        gone = month.pushes[month.pushes["fate"] == "unsubscribed"]["day"]
        if len(gone):
            axis.axvspan(gone.iloc[0] + 0.5, days + 0.7, color="#b2182b", alpha=0.08, zorder=0)
        axis.set(
            title=f"{month.name}: {len(month.pushes)} pushes, worth {month.value:.2f}",
            xlabel="day",
            xlim=(-0.7, days + 0.7),
            ylim=(24, 0),
            yticks=range(0, 25, 4),
        )
    axes[0].set_ylabel("hour on the user's clock")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure
