"""Pictures of a fidelity card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdp.response import HEADS
from simulator.fidelity_days import FOLLOWS, PAUSES
from simulator.fidelity_goals import PLACES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOGGED, SIMULATED, GRID = "#57606a", "#0969da", "#d8dee4"
Z = 1.96
GROUPED = {
    "hour": "local hour of the push",
    "week": "pushes in the seven days before",
    "fatigue": "pushes in the three days before",
    "weekday": "local weekday of the decision",
    "variant": "variant",
}
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MOST_VARIANTS, LONGEST = 10, 12
"""Variants that are drawn, those sent most, and letters of their names."""
LEAST = 30
"""Pushes below which a group's rate is left out."""


def draw_pictures(path: Path, card: dict[str, Any]) -> list[str]:
    """Write the pictures of a card to a directory; returns the files' names."""
    figures = {"calibration.png": _calibrations(card["calibration"])}
    if card["whole"] is not None:
        figures["rates.png"] = _every_rate(card["whole"]["rates"])
        figures["distributions.png"] = _distributions(card["whole"])
    for name, figure in figures.items():
        figure.savefig(path / name, dpi=120)
    return list(figures)


def _axes(rows: int, columns: int, height: float) -> tuple[Figure, np.ndarray]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.ravel():
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color=GRID, linewidth=0.6)
        axis.set_axisbelow(True)
    return figure, axes


def _calibrations(calibration: Mapping[str, Mapping[str, Sequence[Sequence[float]]]]) -> Figure:
    """Predicted against observed rates: a row for what heads are judged on, a column a head."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = _axes(len(PLACES), len(HEADS), 5.6)
    for row, (where, title) in zip(axes, PLACES.items(), strict=True):
        row[0].set_ylabel(f"{title}\nobserved", fontsize=11)
        for axis, head in zip(row, HEADS, strict=True):
            predicted, rate, number = np.array(calibration[where][head]).reshape(-1, 3).T
            top = _points(axis, predicted, rate, number, color=SIMULATED, fmt="o")
            top = max(top, float(predicted.max(initial=0.0)), 0.005) * 1.05
            axis.plot([0, top], [0, top], color=LOGGED, linewidth=1, zorder=1)
            axis.set(title=head, xlim=(0, top), ylim=(0, top))
            for each in (axis.xaxis, axis.yaxis):
                each.set_major_locator(MaxNLocator(4))
                each.set_major_formatter(_percent)
    for axis in axes[-1]:
        axis.set_xlabel("predicted")
    return figure


def _every_rate(rates: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Shares of pushes that something followed, logged and simulated: a row a grouping."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = _axes(len(GROUPED), len(FOLLOWS), 15)
    for row, (by, label) in zip(axes, GROUPED.items(), strict=True):
        for axis, what in zip(row, FOLLOWS, strict=True):
            both = rates[what][by]
            names = _names(by, both)
            top = 0.0
            for kind, colour, shift in (("logged", LOGGED, -0.06), ("simulated", SIMULATED, 0.06)):
                mine = [(at + shift, *both[kind][name]) for at, name in names if name in both[kind]]
                points = np.array([each for each in mine if each[-1] >= LEAST]).reshape(-1, 3).T
                top = max(top, _points(axis, *points, color=colour, fmt="o-", label=kind))
            axis.set(xlabel=label, ylim=(0, max(top, 0.002) * 1.05))
            axis.yaxis.set_major_locator(MaxNLocator(5))
            axis.yaxis.set_major_formatter(_percent)
            _ticks(axis, by, names)
    for axis, what in zip(axes[0], FOLLOWS, strict=True):
        axis.set_title(f"{what}\n", fontsize=14, fontweight="bold")
    return _finished(figure, axes, "share of pushes")


def _finished(figure: Figure, axes: np.ndarray, label: str) -> Figure:
    """The figure with a label at the left of each row, and one legend."""
    for axis in axes[:, 0]:
        axis.set_ylabel(label)
    lines = axes[0, 0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside upper right", ncols=len(lines[0]), frameon=False)
    return figure


def _percent(share: float, _: int) -> str:
    return f"{100 * share:.4g}%"


def _names(by: str, both: Mapping[str, Mapping[str, Sequence[float]]]) -> list[tuple[float, str]]:
    """Groups with their places on the axis."""
    if by != "variant":
        return [(float(name), name) for name in sorted(set().union(*both.values()), key=int)]
    sent = {name: number for name, (_, number) in both["logged"].items()}
    most = sorted(sent, key=lambda name: -sent[name])[:MOST_VARIANTS]
    return [(float(place), name) for place, name in enumerate(sorted(most))]


def _ticks(axis: Axes, by: str, names: Sequence[tuple[float, str]]) -> None:
    if by == "weekday":
        axis.set_xticks(range(len(DAYS)), DAYS)
    elif by == "hour":
        axis.set_xticks(range(0, 25, 3))
        first, last = (names[0][0], names[-1][0]) if names else (0.0, 24.0)
        axis.set_xlim(first - 0.8, last + 0.8)
    elif by == "variant":
        shown = [name if len(name) <= LONGEST else name[: LONGEST - 1] + "…" for _, name in names]
        rotation = 30 if max(map(len, shown), default=0) > 4 else 0
        axis.set_xticks(range(len(shown)), shown, rotation=rotation)
    else:
        axis.set_xticks([place for place, _ in names])


def _distributions(whole: dict[str, Any]) -> Figure:
    """Distribution functions of counts per user-week and of pauses, logged and simulated."""
    from matplotlib.ticker import MaxNLocator

    curves = whole["distributions"]
    rows = -(-len(curves) // 3)
    figure, axes = _axes(rows, 3, 3.1 * rows)
    for axis in axes.ravel()[len(curves) :]:
        axis.set_visible(False)
    for axis, (name, curve) in zip(axes.ravel(), curves.items(), strict=False):
        pauses = name == PAUSES
        for kind, colour, style in (("logged", LOGGED, "-"), ("simulated", SIMULATED, "--")):
            axis.step(
                curve["at"], curve[kind], style, where="post", color=colour, linewidth=2, label=kind
            )
        found = whole["pauses"] if pauses else whole["counts"][name]
        floor = found["of_halves" if pauses else "of_resampled"]
        title = f"{_TITLES.get(name, name)}: KS {found['distance']:.3f}"
        if floor is not None:
            title += f" (floor {floor:.3f})"
        axis.set_title(title, fontsize=11)
        axis.set_xlabel("hours, at most" if pauses else "in a user's week, at most")
        axis.yaxis.set_major_formatter(_percent)
        if pauses:
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter("{x:g}")
        else:
            axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return _finished(figure, axes, "share of user-weeks, or pauses")


_TITLES = {
    "view": "views",
    "cart": "carts",
    "purchase": "purchases",
    "send": "pushes",
    PAUSES: "pauses between visits",
}


def _points(axis: Axes, x: np.ndarray, rate: np.ndarray, number: np.ndarray, **style: Any) -> float:
    """Rates with their 95 % intervals (Wilson, 1927); returns the top of the highest."""
    if not len(rate):
        return 0.0
    low, high = wilson(rate, number)
    error = np.stack([rate - low, high - rate]).clip(0)
    axis.errorbar(x, rate, yerr=error, elinewidth=1, markersize=4, linewidth=1.2, **style)
    return float(high.max())


def wilson(rate: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals (n,) of rates (n,) of so many trials (n,), which stay between 0 and 1.

    Wilson (1927). Probable inference, the law of succession, and statistical inference. Journal of
    the American Statistical Association 22.
    """
    middle = (rate + Z**2 / (2 * number)) / (1 + Z**2 / number)
    half = np.sqrt(rate * (1 - rate) / number + Z**2 / (4 * number**2)) * Z / (1 + Z**2 / number)
    return middle - half, middle + half
