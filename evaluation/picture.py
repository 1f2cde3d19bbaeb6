"""The picture of a report: what each estimator says against the logged value, and the weights."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from evaluation.assessment import Assessment
from evaluation.intervals import Interval

COLORS = {
    "better": "#1a7f37",
    "worse": "#c62828",
    "no_difference": "#0969da",
    "cannot_tell": "#9a6700",
}
_GREY = "#57606a"
_HEIGHT = 2.9
"""Inches of one policy's row."""


def draw(assessments: Sequence[Assessment]) -> bytes:
    """A PNG with a row for each policy: intervals on the left, weights on the right."""
    figure = Figure(figsize=(11, _HEIGHT * max(len(assessments), 1)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(max(len(assessments), 1), 2, squeeze=False, width_ratios=(3, 2))
    for (left, right), assessment in zip(grid, assessments, strict=False):
        _intervals(left, assessment)
        _weights(right, assessment)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=130)
    return out.getvalue()


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
    weights = assessment.weights
    if weights is None or assessment.diagnostics is None:
        axes.text(0.5, 0.5, "no propensities", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    size = assessment.diagnostics.effective_sample_size
    positive = weights[weights > 0]
    if len(positive):
        low, high = min(positive.min() * 0.99, 0.5), max(positive.max() * 1.01, 2.0)
        bins = np.geomspace(low, high, 40)
        axes.hist(positive, bins=list(bins), color="#8c959f")
        axes.set_xscale("log")
        steps = (1.0,) if high > 100 * low else (1.0, 2.0, 5.0)
        axes.xaxis.set_major_locator(LogLocator(subs=steps))
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.axvline(1.0, color=_GREY, linewidth=1, linestyle="--")
    axes.set_xlabel("importance weight (log scale)")
    axes.set_ylabel("decisions")
    zeros, largest = np.mean(weights == 0), weights.max()
    text = (
        f"weight 0: {zeros:.1%}\nlargest: {largest:.4g}\nworth {size:,.0f} of {len(weights):,} rows"
    )
    axes.text(
        0.97, 0.94, text, ha="right", va="top", transform=axes.transAxes, color=_GREY,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8},
    )  # fmt: skip
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.05)
