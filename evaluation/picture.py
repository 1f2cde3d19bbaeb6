"""The pictures of a report: what each estimator says against the logged value, the weights, and the
overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from evaluation.assessment import Assessment
from evaluation.drawing import png
from evaluation.intervals import Interval
from evaluation.overlap import Level
from evaluation.tally import WEIGHT_EDGES, Tally
from mdp.actions import HOURS

COLORS = {
    "better": "#1a7f37",
    "worse": "#c62828",
    "no_difference": "#0969da",
    "cannot_tell": "#9a6700",
}
_GREY, _LIGHT = "#57606a", "#8c959f"
_HEIGHT, _LINE = 1.6, 0.28
"""Inches of one policy's row, and of each line in it."""
_BARS = 12
"""Most names of a feature in the picture; of hours all."""


def draw(assessments: Sequence[Assessment]) -> bytes:
    """A PNG with a row for each policy: intervals on the left, weights on the right."""
    heights = [_HEIGHT + _LINE * (1 + len(each.estimates)) for each in assessments] or [_HEIGHT]
    figure = Figure(figsize=(11, sum(heights)), layout="constrained")
    grid = figure.subplots(
        len(heights), 2, squeeze=False, width_ratios=(3, 2), height_ratios=heights
    )
    for (left, right), assessment in zip(grid, assessments, strict=False):
        _intervals(left, assessment)
        _weights(right, assessment)
    return png(figure, dpi=130)


def draw_overlap(assessment: Assessment) -> bytes | None:
    """A PNG of what the log did and what the policy would do, by feature; None without features."""
    overlap = {} if assessment.diagnostics is None else assessment.diagnostics.overlap
    if not overlap:
        return None
    lines = max(min(len(x), HOURS if name == "hour" else _BARS) for name, x in overlap.items())
    figure = Figure(figsize=(11, 1.3 + _LINE * lines), layout="constrained")
    axes = figure.subplots(1, len(overlap), squeeze=False)[0]
    for ax, (name, levels) in zip(axes, overlap.items(), strict=True):
        _bars(ax, name, levels)
    axes[0].legend(frameon=False, loc="lower right")
    return png(figure, dpi=130)


def _bars(axes: Axes, name: str, levels: Sequence[Level]) -> None:
    most = HOURS if name == "hour" else _BARS
    shown = sorted(levels, key=lambda level: -max(level.target, level.logged))[:most]
    if name == "hour":
        shown.sort(key=lambda level: (not level.name.isdigit(), level.name.zfill(2)))
    place = np.arange(len(shown))
    axes.barh(place - 0.2, [x.logged for x in shown], 0.38, color=_LIGHT, label="in the log")
    axes.barh(place + 0.2, [x.target for x in shown], 0.38, color="#0969da", label="the policy")
    axes.set_yticks(place, [x.name if len(x.name) < 22 else x.name[:20] + "…" for x in shown])
    axes.invert_yaxis()
    axes.set_title(f"by {name}", loc="left")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    _plain(axes)


def _intervals(axes: Axes, assessment: Assessment) -> None:
    answer = assessment.verdict.answer
    axes.set_title(f"{assessment.name}: {answer}", loc="left", color=COLORS[answer])
    rows: list[tuple[str, Interval, str]] = []
    if assessment.logged is not None:
        rows.append(("logged", assessment.logged, _GREY))
        axes.axvline(assessment.logged.value, color=_GREY, linewidth=1, linestyle="--")
    rows += [(each.estimator, each.value, COLORS[answer]) for each in assessment.estimates]
    for place, (_, interval, color) in enumerate(rows):
        if not np.isfinite(interval.value):
            continue
        axes.plot([interval.low, interval.high], [place, place], color=color, linewidth=2.5)
        axes.plot(interval.value, place, "o", color=color, markersize=7)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("reward per decision, with 95 % intervals")
    _plain(axes)


def _weights(axes: Axes, assessment: Assessment) -> None:
    axes.set_title("how much each logged decision counts", loc="left")
    found = assessment.tally
    if found is None:
        axes.text(0.5, 0.5, "no propensities", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    if found.weights.any():
        _histogram(axes, found)
    axes.set_xlabel("importance weight (log scale)")
    axes.set_ylabel("decisions")
    text = (
        f"weight 0: {found.zeros / found.rows:.1%}\nlargest: {found.max_weight:.4g}\n"
        f"worth {found.effective_size:,.0f} of {found.rows:,} rows"
    )
    axes.text(
        0.97, 0.94, text, ha="right", va="top", transform=axes.transAxes, color=_GREY,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8},
    )  # fmt: skip
    _plain(axes)


def _histogram(axes: Axes, found: Tally) -> None:
    """Bars of the weights above 0; the first and the last bin are open."""
    edges = WEIGHT_EDGES.copy()
    edges[0], edges[-1] = edges[1] / 10**0.1, edges[-2] * 10**0.1
    axes.bar(
        edges[:-1], found.weights, np.diff(edges), align="edge", color=_LIGHT, edgecolor="white",
        linewidth=0.4,
    )  # fmt: skip
    filled = np.flatnonzero(found.weights)
    low, high = min(edges[filled[0]], 0.5), max(edges[filled[-1] + 1], 2.0)
    axes.set_xscale("log")
    axes.set_xlim(low / 1.1, high * 1.1)
    steps = (1.0,) if high > 100 * low else (1.0, 2.0, 5.0)
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.axvline(1.0, color=_GREY, linewidth=1, linestyle="--")


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.05)
