"""Pictures of a log: when users act, what becomes of pushes, prices, propensities, coverage."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd

from ingestion.log import Log, epoch_us
from ingestion.plausible import EARLIEST, latest
from ingestion.schema import SEPARATOR
from mdp.clock import DAY, HOUR, NEVER, NO_ZONE, zone_codes

INK, BACK = "#2b6cb0", "#a0aec0"
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def pictures(log: Log) -> dict[str, tuple[str, bytes]]:
    """Name → (what it shows, PNG) of every picture that the log has data for."""
    out = {}
    for name, (says, draw) in _PICTURES.items():
        png = _drawn(log, draw)
        if png is not None:
            out[name] = (says, png)
    return out


def _drawn(log: Log, draw: Callable[[Log, Any], bool]) -> bytes | None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    if not draw(log, axes):
        return None
    file = BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()


def _hours(log: Log, axes: Any) -> bool:
    from mdp.local_time import local_time  # which loads numba, as only pictures need

    zones = log.codes("users", "timezone")
    code = np.append(zone_codes(zones.distinct.to_pylist()), NO_ZONE).astype(np.int16)
    zone = code[np.append(zones.of, -1)[log.rows_of("events", "user_id")]]
    at = epoch_us(log.tables["events"]["at"])
    local = local_time(at, zone)[(zone != NO_ZONE) & (at != NEVER)]
    # 1970 began on a Thursday.
    day, hour = (local // DAY + 3) % 7, local // HOUR % 24
    grid = np.bincount(day * 24 + hour, minlength=7 * 24).reshape(7, 24)
    if not grid.any():
        return False
    image = axes.imshow(grid, aspect="auto", cmap="Blues")
    axes.set_yticks(range(7), DAYS)
    axes.set_xticks(range(0, 24, 3))
    axes.set_xlabel("hour on the user's clock")
    axes.figure.colorbar(image, label="events")
    return True


def _weeks(log: Log, axes: Any) -> bool:
    from matplotlib.dates import MO, DateFormatter, WeekdayLocator

    days = {}
    for name, column in (("events", "at"), ("decisions", "decided_at")):
        at = log.tables[name][column]
        at = at[(at >= EARLIEST) & (at <= latest())]
        if len(at):
            days[name] = at.dt.tz_localize(None).dt.floor("D")
    if not days:
        return False
    # A week that the log begins or ends in is not a whole one: so, rows a day.
    span = pd.date_range(min(map(min, days.values())), max(map(max, days.values())))
    length = span.to_period("W").to_series().value_counts().sort_index()
    for name, day in days.items():
        rows = day.dt.to_period("W").value_counts().reindex(length.index, fill_value=0)
        mean = rows.to_numpy() / length.to_numpy()
        axes.plot(pd.PeriodIndex(length.index).start_time, mean, label=name, marker=".")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("week from")
    axes.set_ylabel("rows a day")
    axes.xaxis.set_major_locator(WeekdayLocator(MO, interval=-(-len(length) // 8)))
    axes.xaxis.set_major_formatter(DateFormatter("%-d %b\n%Y"))
    axes.legend(frameon=False)
    return True


def _funnel(log: Log, axes: Any) -> bool:
    decisions, outcomes, events = (log.tables[n] for n in ("decisions", "outcomes", "events"))
    kinds = events["event"].value_counts()
    counts = {f"{kind}s": int(kinds.get(kind, 0)) for kind in ("view", "cart", "purchase")}
    if len(decisions):
        unique = outcomes.drop_duplicates(["decision_id", "outcome"])["outcome"].value_counts()
        sends = {"decisions": len(decisions), "sends": int(decisions["send_at"].notna().sum())}
        stages = ("opened", "clicked", "purchased", "dismissed", "unsubscribed")
        counts = sends | {kind: int(unique.get(kind, 0)) for kind in stages} | counts
    if not any(counts.values()):
        return False
    names = list(counts)[::-1]
    bars = axes.barh(names, [max(counts[name], 0) for name in names], color=INK)
    axes.bar_label(bars, [f"{counts[name]:,}" for name in names], padding=3)
    axes.margins(x=0.12)
    return True


def _prices(log: Log, axes: Any) -> bool:
    events = log.tables["events"]
    shown = {
        "items' prices": log.tables["items"]["price"],
        "purchases' values": events["value"][events["event"].eq("purchase")],
    }
    shown = {name: values[values > 0].dropna() for name, values in shown.items()}
    shown = {name: values for name, values in shown.items() if len(values)}
    if not shown:
        return False
    every = pd.concat(list(shown.values()))
    bins = np.geomspace(every.min() * 0.99, every.max() * 1.01, 41)
    for color, (name, values) in zip((INK, BACK), shown.items(), strict=False):
        weights = np.full(len(values), 100 / len(values))
        axes.hist(values, bins, weights=weights, alpha=0.6, color=color, label=name)
    axes.set_xscale("log")
    axes.set_xlabel(log.meta.currency or "currency units")
    axes.set_ylabel("%")
    axes.legend(frameon=False)
    return True


def _propensities(log: Log, axes: Any) -> bool:
    table = log.tables["decisions"]
    good = table["propensity"].gt(0) & table["propensity"].le(1)
    if not good.any():
        return False
    hold = table["send_at"].isna()
    least = np.log10(table["propensity"][good].min())
    bins = np.logspace(min(least - 0.01, -1), 0, 41)
    parts = [table["propensity"][good & ~hold], table["propensity"][good & hold]]
    axes.hist(parts, bins, stacked=True, color=[INK, BACK], label=["sends", "holds"])
    axes.set_xscale("log")
    axes.set_xlabel("propensity of the logged action")
    axes.set_ylabel("decisions")
    axes.legend(frameon=False)
    return True


def _coverage(log: Log, axes: Any) -> bool:
    table, items = log.tables["decisions"], log.tables["items"]
    listed = table["candidates"].dropna().str.split(SEPARATOR).explode().value_counts()
    if listed.empty or items.empty:
        return False
    sent = table["item_id"].value_counts()
    for color, name, counts in ((BACK, "offered", listed), (INK, "sent", sent)):
        share = counts.cumsum() / max(counts.sum(), 1)
        at = np.arange(1, len(counts) + 1) / len(items)
        label = f"{name}: {len(counts):,} of {len(items):,} items"
        axes.plot(100 * at, 100 * share.to_numpy(), color=color, label=label)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 102)
    axes.set_xlabel("% of the catalogue, most frequent first")
    axes.set_ylabel("% of the list places or sends")
    axes.legend(frameon=False, loc="lower right")
    return True


_PICTURES: dict[str, tuple[str, Callable[[Log, Any], bool]]] = {
    "activity": ("When users act, by weekday and hour", _hours),
    "weeks": ("Rows a day, week by week", _weeks),
    "funnel": ("From decisions to purchases", _funnel),
    "prices": ("Prices and values", _prices),
    "propensities": ("How probable the logged actions were", _propensities),
    "coverage": ("How much of the catalogue was offered and sent", _coverage),
}
