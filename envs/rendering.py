"""A user's days as lines of text and as a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mdp.actions import decode
from mdp.observation import Requests
from simulator.description import Simulator
from simulator.month import Month, fate_of, figure_of
from simulator.payment import Step

HOLDS = "hold"


@dataclass(frozen=True)
class Day:
    """What was decided for one user, and what came of it."""

    date: str
    """The user's local date, with the weekday."""
    fate: str
    """What became of the push (`ingestion.fates.FATES`), or `HOLDS`."""
    hour: int
    """Local hour of the push, -1 for a hold."""
    item: str
    """Title of the item, "" for a hold."""
    style: str
    """Style of the copy, "" for a hold."""
    reward: float
    """Of the decision's whole window."""
    expected: float
    """Expected reward of the push."""
    revenue: float
    """Amount paid this day, organic purchases included."""


def day_of(simulator: Simulator, requests: Requests, at: np.ndarray, step: Step) -> Day:
    """The day of the first user, decided at instants (N,)."""
    K, V = simulator.lists
    k, v, h = (int(slot[0]) for slot in decode(step.executed, K, V))
    sent = k >= 0
    zone = simulator.users.zones[int(np.flatnonzero(simulator.users.codes == requests.zone[0])[0])]
    date = pd.Timestamp(int(at[0]), unit="us", tz="UTC").tz_convert(zone)
    return Day(
        date=date.strftime("%a %Y-%m-%d"),
        fate=fate_of(step) if sent else HOLDS,
        hour=h,
        item=simulator.catalog.items.titles[requests.items[0, k]] if sent else "",
        style=simulator.catalog.variants.styles[requests.variants[0, v]] if sent else "",
        reward=float(step.reward[0]),
        expected=float(step.expected[0]),
        revenue=float(step.revenue[0]),
    )


def text_of(days: list[Day]) -> str:
    """One line a day, and the sum of the rewards."""
    lines = []
    for number, day in enumerate(days):
        what = day.fate
        if day.fate != HOLDS:
            what = f"{day.hour:2d}:00 {day.item} ({day.style}): {day.fate}, {day.reward:+.2f}"
        spent = f", spends {day.revenue:.2f}" if day.revenue else ""
        lines.append(f"day {number:2d} {day.date}  {what}{spent}")
    return "\n".join([*lines, f"reward {sum(day.reward for day in days):+.2f}"])


def picture_of(name: str, days: list[Day]) -> np.ndarray:
    """The pushes by day and hour (H, W, 3) uint8, coloured by what became of them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    rows = [(number, day.hour, day.fate) for number, day in enumerate(days) if day.fate != HOLDS]
    month = Month(
        name,
        sum(day.expected for day in days),
        pd.DataFrame(rows, columns=["day", "hour", "fate"]),
        np.zeros((0, 2)),
    )
    canvas = FigureCanvasAgg(figure_of([month], max(len(days), 28)))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
