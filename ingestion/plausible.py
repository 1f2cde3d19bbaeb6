"""Rules about what is possible but unlikely, and what is said twice: duplicates, outliers, bots."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ingestion.log import Log
from ingestion.plain_text import name_key, plain_texts
from ingestion.schema import TABLES, Type

Found = Iterator[tuple[str, str, str, np.ndarray]]
"""Table, column, rule and mask (n,) bool of the rows."""

INSTANTS = {
    "users": ("signed_up_at",),
    "events": ("at",),
    "decisions": ("decided_at", "send_at"),
    "outcomes": ("at",),
    "reviews": ("at",),
}
"""Columns that say when something happened."""
EARLIEST = pd.Timestamp("1995-01-01", tz="UTC")
TEXTS = {
    "items": ("title", "description"),
    "variants": ("title", "body"),
    "reviews": ("text",),
}
"""Columns that people read."""
NAMES = ("category", "brand")
SAME_VIEW, SAME_PURCHASE = pd.Timedelta("1s"), pd.Timedelta("1min")
FAR = 6.0
"""Robust standard deviations that make an outlier."""
LEAST_SPREAD = 0.25
"""Of logarithms: where all prices are alike, one is far out from 4.5 times them on."""
ENOUGH = 30
"""Values that it takes to say what is usual."""
VIEWS_AN_HOUR = 300
NIGHT, NIGHT_SHARE = (1, 2, 3, 4), 0.4
"""Hours of the night, and the share of a zone's events in them (uniform: 0.17) that is too much."""


def unlikely(log: Log) -> Found:
    """Every breach of these rules."""
    yield from _times(log)
    yield from _signups(log)
    yield from _texts(log)
    yield from _twice(log)
    yield from _outliers(log)
    yield from _rates(log)
    yield from _nights(log)
    for name, table in log.tables.items():
        if len(table):
            yield name, table.columns[0], "repeated_row", comparable(table).duplicated().to_numpy()


def comparable(table: pd.DataFrame) -> pd.DataFrame:
    """The table with lists and structures, which can't be compared, as text."""
    nested = [name for name in table.columns if table[name].dtype == object]
    if not nested:
        return table
    return table.assign(**{name: table[name].map(repr) for name in nested})


def latest() -> pd.Timestamp:
    """The instant after which a time is impossible."""
    return pd.Timestamp.now("UTC") + pd.Timedelta(days=366)


def _times(log: Log) -> Found:
    soon, last = pd.Timestamp.now("UTC") + pd.Timedelta(days=1), latest()
    for name, columns in INSTANTS.items():
        for column in columns if len(log.tables[name]) else ():
            at = log.tables[name][column]
            impossible = (at < EARLIEST) | (at > last)
            yield name, column, "impossible_time", impossible.to_numpy()
            yield name, column, "future", ((at > soon) & ~impossible).to_numpy()


def first_activity(log: Log) -> pd.Series:
    """The first event or decision of each user, by user id; impossible times aside."""
    parts = [
        log.tables[name][["user_id", at]].rename(columns={at: "at"})
        for name, at in (("events", "at"), ("decisions", "decided_at"))
    ]
    acts = pd.concat(parts, ignore_index=True)
    acts = acts[(acts["at"] >= EARLIEST) & (acts["at"] <= latest())]
    return acts.groupby("user_id")["at"].min()


def of_each(keys: pd.Series, values: pd.Series) -> pd.Series:
    """The value of each key (n,), typed as the values, which are indexed by key; else missing."""
    return values[values.index.notna()].reindex(keys).set_axis(keys.index)


def _signups(log: Log) -> Found:
    users = log.tables["users"]
    first = of_each(users["user_id"], first_activity(log))
    yield "users", "signed_up_at", "before_signup", (first < users["signed_up_at"]).to_numpy()


def _texts(log: Log) -> Found:
    for name, columns in TEXTS.items():
        for column in columns if len(log.tables[name]) else ():
            texts = log.tables[name][column]
            changed = texts.notna() & (plain_texts(texts).fillna("") != texts.fillna(""))
            yield name, column, "markup", changed.to_numpy()
    for column in NAMES:
        names = log.tables["items"][column]
        changed = names.notna() & (spelled(names).fillna("") != names.fillna(""))
        yield "items", column, "spelling", changed.to_numpy()
    for table in TABLES.values():
        for each in table.columns if len(log.tables[table.name]) else ():
            if each.type in (Type.ID, Type.IDS):
                ids = log.tables[table.name][each.name]
                mask = ids.notna() & (trimmed(ids).fillna("") != ids.fillna(""))
                yield table.name, each.name, "blank_around", mask.to_numpy()


def spelled(names: pd.Series) -> pd.Series:
    """Each name (n,) in the most frequent of its spellings, of equals the first."""
    counts = names.value_counts()
    forms = pd.DataFrame({"form": counts.index, "count": counts.to_numpy()})
    forms["key"] = [name_key(form) for form in forms["form"]]
    forms = forms.sort_values(["key", "count", "form"], ascending=[True, False, True])
    best = forms.drop_duplicates("key").set_index("key")["form"]
    # An empty mapping would give numbers.
    return names.map(dict(zip(forms["form"], best.loc[forms["key"]], strict=True))).astype("str")


def trimmed(ids: pd.Series) -> pd.Series:
    """Ids or lists of ids (n,) without white space around each; what is left empty is missing."""
    suspect = ids.fillna("").str.contains(r"\s", regex=True)
    if not suspect.any():
        return ids
    short = ids.astype(object).copy()
    short[suspect] = [
        "|".join(part.strip() for part in text.split("|")) or None for text in ids[suspect]
    ]
    return short.astype("str")


def _twice(log: Log) -> Found:
    events = log.tables["events"]
    order = events.sort_values("at", kind="stable")
    same = [order[name].fillna("") for name in ("user_id", "item_id", "event")]
    since = order["at"].groupby([*same, order["value"].fillna(-1.0)]).diff().sort_index()
    bought = events["event"].eq("purchase")
    exact = comparable(events).duplicated() if len(events) else bought
    near = since.le(SAME_VIEW) & ~bought & ~exact
    yield "events", "at", "near_duplicate", near.to_numpy(bool)
    double = since.le(SAME_PURCHASE) & bought & ~exact
    yield "events", "at", "double_purchase", double.to_numpy(bool)


def far_out(values: pd.Series, group: pd.Series) -> np.ndarray:
    """Whether each positive value (n,) is more than `FAR` robust standard deviations from the
    median of its group, by logarithms; groups of fewer than `ENOUGH` say nothing. bool (n,)."""
    logs = pd.Series(np.log(values.where(values > 0).to_numpy(np.float64)), values.index)
    of = logs.groupby(group)
    off = (logs - of.transform("median")).abs()
    spread = (1.4826 * off.groupby(group).transform("median")).clip(lower=LEAST_SPREAD)
    return ((off > FAR * spread) & (of.transform("count") >= ENOUGH)).to_numpy(bool)


def _outliers(log: Log) -> Found:
    items, events = log.tables["items"], log.tables["events"]
    price = far_out(items["price"], items["category"].fillna(""))
    yield "items", "price", "odd_price", price
    category = items.drop_duplicates("item_id").set_index("item_id")["category"]
    bought = events["event"].eq("purchase")
    value = events["value"].where(bought)
    yield (
        "events",
        "value",
        "odd_value",
        far_out(value, of_each(events["item_id"], category).fillna("")),
    )
    users = log.tables["users"]
    spent = of_each(users["user_id"], value.groupby(events["user_id"]).sum())
    many = far_out(spent, pd.Series("", users.index)) & (spent > spent.median()).to_numpy()
    yield "users", "user_id", "reseller", many


def _rates(log: Log) -> Found:
    events = log.tables["events"]
    looks = events["event"].isin(["view", "cart"]) & events["at"].notna()
    hour = events["at"].dt.floor("h")
    count = hour[looks].groupby([events["user_id"], hour]).transform("size").reindex(hour.index)
    yield "events", "user_id", "inhuman_rate", (count > VIEWS_AN_HOUR).to_numpy()


def _nights(log: Log) -> Found:
    users, events = log.tables["users"], log.tables["events"]
    zones = users.drop_duplicates("user_id").set_index("user_id")["timezone"]
    zone = of_each(events["user_id"], zones)
    wrong = set()
    for name, at in events["at"].groupby(zone):
        try:
            hours = at.dropna().dt.tz_convert(str(name)).dt.hour
        except (ValueError, KeyError, OSError):
            continue  # not a zone: another rule says so
        enough = len(hours) >= ENOUGH and events.loc[at.index, "user_id"].nunique() >= 10
        if enough and hours.isin(NIGHT).mean() > NIGHT_SHARE:
            wrong.add(name)
    yield "users", "timezone", "zone_at_night", users["timezone"].isin(wrong).to_numpy()
