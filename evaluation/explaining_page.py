"""What a policy has learned, as pictures on one page that needs no other file."""

from __future__ import annotations

import base64
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from evaluation.drawing import png
from evaluation.explaining import LATE
from evaluation.report import dumps
from ingestion.fates import FATES

COLORS = ("#8c959f", "#1a7f37", "#0969da")
"""Of the log, of the policy explained, and of the one beside it."""
_LOGGED = (
    "Left: what the log sent and what became of it. Beside it: on which of the same days a push "
    "would be worth it, each met as the log left the user, so that the policy's own pushes tire "
    "nobody; a pale mark is an unlikely push. For a month as lived give the simulator, --simulator."
)
_LIVED = (
    "The same simulated user with the same draws under each policy, from the end of the log on; "
    "the estimated logging policy on the left."
)
_ABREAST = 4
"""Most panels in a row."""
_MOST = 14
"""Most categories in a picture."""


def write_explanation(directory: Path, values: dict[str, Any], title: str) -> list[Path]:
    """`explanation.html` and `explanation.json` in a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    page, plain = directory / "explanation.html", directory / "explanation.json"
    page.write_text(page_of(values, title))
    plain.write_text(dumps(values) + "\n")
    return [page, plain]


def page_of(values: dict[str, Any], title: str) -> str:
    """The page."""
    names = list(values["policies"])
    sections = [
        ("How often", _often(values), _said_often(values)),
        (
            "At which hour",
            _by_segment(values, "hours", [str(hour) for hour in range(24)]),
            "Share of each segment's pushes at each hour of the user's clock.",
        ),
        (
            "What, for whom",
            _by_segment(values, "categories", values["categories"]),
            f"Share of each segment's pushes by category of the item (the {_MOST} most frequent).",
        ),
        (
            "Which items",
            _items(values),
            f"Share of all its pushes by item (the {len(values['items'])} most frequent).",
        ),
        (
            "Which copy, for whom",
            _by_segment(values, "styles", values["styles"]),
            "Share of each segment's pushes by style of the copy.",
        ),
        ("One more push", _price(values), _said_price(values)),
        (
            f"A month of {values['month']['user_id']}",
            _month(values["month"]),
            _LIVED if values["month"]["lived"] else _LOGGED,
        ),
    ]
    body = "\n".join(
        f"<section><h2>{escape(head)}</h2><p>{escape(text)}</p>"
        f'<img alt="{escape(head)}" src="data:image/png;base64,'
        f'{base64.b64encode(png(figure, dpi=120)).decode()}"></section>'
        for head, figure, text in sections
        if figure is not None
    )
    legend = " · ".join(
        f'<b style="color:{color}">{escape(name)}</b>'
        for name, color in zip(names, COLORS, strict=False)
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'>"
        f"<title>{escape(title)}</title><style>body{{font:16px/1.5 system-ui,sans-serif;"
        "max-width:1080px;margin:2rem auto;padding:0 1rem;color:#1f2328}"
        "img{max-width:100%}h1{margin-bottom:0}section{margin-top:2.5rem}</style>"
        f"<h1>{escape(title)}</h1><p>What it would do with {values['decisions']:,} decisions of "
        "the log, without exploration: the users as the log's own policy left them. This says what "
        f"was learned, not what it is worth. {legend}</p>{body}</html>\n"
    )


def _said_often(values: dict[str, Any]) -> str:
    shares = ", ".join(
        f"{name} {100 * told['sends']:.0f} %" for name, told in values["policies"].items()
    )
    return (
        f"Share of decisions that are a push: {shares}. Left: by pushes of late, counted with a "
        "half-life of 7 days. Right: by segment of the users."
    )


def _said_price(values: dict[str, Any]) -> str:
    said = []
    for name, price in values["price"].items():
        if price is None:
            said.append(f"{name}: its scores don't follow predicted rewards, so no price is known.")
            continue
        worth, cost = price["margin"], price["price"]
        said.append(
            f"{name}: a push must be predicted to earn {cost['median']:.2f} at once (80 % of "
            f"decisions: {cost['p10']:.2f} to {cost['p90']:.2f}); that is what it counts for "
            f"fatigue and lost subscribers. The best push is worth {worth['median']:+.2f} beside "
            f"that ({worth['p10']:+.2f} to {worth['p90']:+.2f})."
        )
    return " ".join(said)


def _often(values: dict[str, Any]) -> Figure:
    figure, (left, right) = _figure(3.6, 2)
    names = [
        f"{low:g}+" if np.isinf(high) else f"{low:g} to {high:g}" for low, high in pairwise(LATE)
    ]
    policies = values["policies"]
    for color, (name, told) in zip(COLORS, policies.items(), strict=False):
        shares = [np.nan if s is None else s for s in told["sends_by_late"]]
        left.plot(names, shares, "o-", color=color, label=name)
    _bars(right, values["segments"], [t["sends_by_segment"] for t in policies.values()])
    left.set(xlabel="pushes of late", ylabel="share of decisions that push", ylim=(0, None))
    left.legend(frameon=False)
    right.set(ylim=(0, None))
    return figure


def _by_segment(values: dict[str, Any], what: str, names: list[str]) -> Figure:
    segments = values["segments"]
    lists = [told[what] for told in values["policies"].values()]
    figure, axes = _figure(3.4, len(segments))
    total = np.nansum([[_numbers(row) for row in rows] for rows in lists], axis=(0, 1))
    kept = np.arange(len(names))
    if what == "categories":
        kept = np.sort(np.argsort(-total)[:_MOST])
    for segment, axis in enumerate(axes):
        rows = [_numbers(each[segment])[kept] for each in lists]
        if what == "hours":
            for color, row in zip(COLORS, rows, strict=False):
                axis.step(kept, row, where="mid", color=color, linewidth=2)
            axis.set(xticks=range(0, 24, 4), xlabel="hour")
        else:
            _bars(axis, [names[n] for n in kept], rows)
        axis.set(title=segments[segment], ylim=(0, None))
    for axis in axes[::_ABREAST]:
        axis.set_ylabel("share of its pushes")
    return figure


def _items(values: dict[str, Any]) -> Figure:
    figure, (axis,) = _figure(3.8, 1)
    _bars(axis, values["items"], [told["items"] for told in values["policies"].values()])
    axis.set(ylim=(0, None), ylabel="share of its pushes")
    return figure


def _bars(axis: Any, names: list[str], rows: list[Any]) -> None:
    width = 0.8 / len(rows)
    for n, (color, row) in enumerate(zip(COLORS, rows, strict=False)):
        at = np.arange(len(names)) + (n - (len(rows) - 1) / 2) * width
        axis.bar(at, _numbers(row), width, color=color)
    long = max((len(name) for name in names), default=0) * len(names) > 40
    axis.set_xticks(range(len(names)), names, rotation=60 if long else 0)
    if long:
        for label in axis.get_xticklabels():
            label.set_ha("right")
            label.set_rotation_mode("anchor")


def _price(values: dict[str, Any]) -> Figure | None:
    known = {name: price for name, price in values["price"].items() if price is not None}
    if not known:
        return None
    figure, axes = _figure(3.2, 2)
    order = list(values["policies"])
    for name, price in known.items():
        color = COLORS[order.index(name)]
        for axis, what in zip(axes, ("prices", "margins"), strict=True):
            found = price[what]
            axis.stairs(found["share"], found["edges"], color=color, fill=True, alpha=0.45)
    axes[0].set(xlabel="price of a push: predicted reward that it must exceed", ylabel="decisions")
    axes[1].set(xlabel="worth of the best push over a hold")
    axes[1].axvline(0, color="0.3", linewidth=1)
    return figure


def _month(month: dict[str, Any]) -> Figure:
    figure, axes = _figure(4.2, len(month["pushes"]), sharey=True)
    for axis, (name, color), pushes in zip(
        axes,
        zip(month["pushes"], COLORS, strict=False),
        month["pushes"].values(),
        strict=True,
    ):
        for push in pushes:
            marker, colour = FATES[push["fate"]] if "fate" in push else ("o", color)
            size, alpha = 120 if marker == "*" else 45, push.get("send", 1.0)
            axis.scatter(
                push["day"], push["hour"], s=size, marker=marker, color=colour, alpha=alpha
            )
        count = sum(push.get("send", 1.0) for push in pushes)
        what = "pushes" if "fate" in (pushes or [{"fate": 0}])[0] else "days worth a push"
        axis.set(title=f"{name}, {what}: {count:.0f}", xlabel="day", ylim=(24, 0))
        axis.set(xlim=(-1, month["days"] + 0.7), yticks=range(0, 25, 4))
    axes[0].set_ylabel("hour on the user's clock")
    met = {push.get("fate") for pushes in month["pushes"].values() for push in pushes}
    for fate, (marker, colour) in FATES.items():
        if fate in met:
            axes[0].scatter([], [], s=45, marker=marker, color=colour, label=fate)
    if met & set(FATES):
        figure.legend(loc="outside lower center", ncols=len(FATES), frameon=False)
    return figure


def _numbers(row: Any) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in row], np.float64)


def _figure(height: float, panels: int, **options: Any) -> tuple[Figure, list[Any]]:
    """Panels in rows of at most `_ABREAST`, each row so high."""
    rows = -(-panels // _ABREAST)
    figure = Figure(figsize=(11, height * rows), layout="constrained")
    axes = figure.subplots(rows, -(-panels // rows), squeeze=False, **options).ravel()
    for axis in axes[panels:]:
        axis.remove()
    for axis in axes[:panels]:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, list(axes[:panels])
