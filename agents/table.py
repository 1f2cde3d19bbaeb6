"""A comparison on the terminal and as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.table import Table

from agents.comparing import Row

ORACLE_COLOR, LEARNED_COLOR, BASELINE_COLOR = "#9a6700", "#1a7f37", "#57606a"


def table(rows: Sequence[Row], title: str, caption: str) -> Table:
    """The rows as a table for rich."""
    known = any(row.share_of_oracle is not None for row in rows)
    out = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    out.add_column("policy", no_wrap=True)
    heads = ["value per user", "minus greedy+thr.", *(["of oracle"] if known else [])]
    heads += ["sends/week", "open", "click", "unsub/1000", "subscribed", "revenue - hold's"]
    for head in heads:
        out.add_column(head, justify="right")
    for row in rows:
        share = [] if not known else [_percent(row.share_of_oracle)]
        out.add_row(
            row.policy,
            f"{row.value:.3f} ±{row.high - row.value:.3f}",
            f"{row.difference:+.3f} ±{row.difference_high - row.difference:.3f}",
            *share,
            f"{row.sends_per_week:.2f}",
            _percent(row.open_rate),
            _percent(row.click_rate),
            f"{row.unsubscribes:.0f}",
            _percent(row.subscribed),
            f"{row.revenue_minus_hold:+.2f}",
        )
    return out


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
