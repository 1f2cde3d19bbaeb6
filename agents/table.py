"""A comparison on the terminal and as a picture."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Group
from rich.table import Table

from agents.comparing import Row

ORACLE_COLOR, LEARNED_COLOR, BASELINE_COLOR = "#9a6700", "#1a7f37", "#57606a"


WIDTH = 100
"""Columns of a terminal that both tables fit into."""
Column = tuple[str, Callable[[Row], str]]
"""A heading, and what stands under it for a policy."""


def table(rows: Sequence[Row], title: str, caption: str) -> Group:
    """The rows for rich: what the policies are worth, and below it what they do."""
    worth = _table(rows, _worth(rows))
    worth.title, worth.title_justify = title, "left"
    doing = _table(rows, _DOING)
    doing.caption, doing.caption_justify = caption, "left"
    return Group(worth, doing)


def _table(rows: Sequence[Row], columns: Sequence[Column]) -> Table:
    out = Table()
    out.add_column("policy", no_wrap=True)
    for heading, _ in columns:
        out.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        out.add_row(row.policy, *(cell(row) for _, cell in columns))
    return out


def _worth(rows: Sequence[Row]) -> list[Column]:
    columns: list[Column] = [("value\nper user", lambda row: _within(row.value, row.high))]
    if any(row.members for row in rows):
        columns.append(("members", lambda row: f"±{row.margin:.3f}{'!' * row.unsure}"))
    columns.append(
        ("minus\ngreedy+thr.", lambda row: _within(row.difference, row.difference_high, "+"))
    )
    if any(row.share_of_oracle is not None for row in rows):
        columns.append(("of\noracle", lambda row: _percent(row.share_of_oracle)))
    if any(row.simulated_minus_true is not None for row in rows):
        columns.append(
            (
                "simulated\n- true",
                lambda row: _within(row.simulated_minus_true, row.simulated_minus_true_high, "+"),
            )
        )
    return columns


_DOING: tuple[Column, ...] = (
    ("sends/\nweek", lambda row: f"{row.sends_per_week:.2f}"),
    ("open", lambda row: _percent(row.open_rate)),
    ("click", lambda row: _percent(row.click_rate)),
    ("unsub/\n1000", lambda row: f"{row.unsubscribes:.0f}"),
    ("subscribed", lambda row: _percent(row.subscribed)),
    ("revenue -\nhold's", lambda row: f"{row.revenue_minus_hold:+.2f}"),
)


def _within(value: float | None, high: float | None, sign: str = "") -> str:
    return "-" if value is None or high is None else f"{value:{sign}.3f} ±{high - value:.3f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def picture(rows: Sequence[Row], learned: Sequence[str], title: str) -> bytes:
    """A PNG: each policy's value per user with its interval, trained ones in green."""
    figure = Figure(figsize=(9, 1.2 + 0.38 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for place, row in enumerate(rows):
        color = LEARNED_COLOR if row.policy in learned else BASELINE_COLOR
        if row.policy.startswith("oracle"):
            color = ORACLE_COLOR
        axes.plot([row.low, row.high], [place, place], color=color, linewidth=3, alpha=0.5)
        axes.plot(row.value, place, "o", color=color, markersize=7)
        share = "" if row.share_of_oracle is None else f"  ({_percent(row.share_of_oracle)})"
        axes.annotate(
            f"{row.value:.2f}{share}",
            (row.high, place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=color,
        )
    axes.axvline(0.0, color=BASELINE_COLOR, linewidth=0.8)
    axes.set_yticks(range(len(rows)), [row.policy for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.margins(x=0.15)
    shown = any(row.share_of_oracle is not None for row in rows)
    what = ", and the share of the oracle planner's" if shown else ""
    axes.set_xlabel(f"value per user with 95 % interval{what}")
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=130)
    return out.getvalue()
