"""Rules about what is possible but unlikely, and what is said twice: duplicates, outliers, bots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ingestion.codes import repeated
from ingestion.log import Log, epoch_us, time_column
from ingestion.plain_text import name_key, plain_texts, trimmed
from ingestion.schema import TABLES, Type
from ingestion.usual import ENOUGH, FAR, beyond, spreads
from mdp.clock import HOUR, NEVER

Found = Iterator[tuple[str, str, Any]]
"""Column, rule and mask (n,) bool of the rows."""


@dataclass(frozen=True)
class Finder:
    """Finds the breaches of some rules in one table at a time."""

    rules: tuple[str, ...]
    """the rules"""
    tables: tuple[str, ...]
    """the tables that they look at; none of them is empty when it is looked at"""
    find: Callable[[Log, str], Found]
    """the breaches in the table of that name"""


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
SAME_VIEW, SAME_PURCHASE = 1_000_000, 60_000_000
"""Microseconds."""
VIEWS_AN_HOUR = 300


def latest() -> pd.Timestamp:
    """The instant after which a time is impossible."""
    return pd.Timestamp.now("UTC") + pd.Timedelta(days=366)


def _times(log: Log, name: str) -> Found:
    soon, last = pd.Timestamp.now("UTC") + pd.Timedelta(days=1), latest()
    for column in INSTANTS[name]:
        at = log.tables[name][column]
        impossible = (at < EARLIEST) | (at > last)
        yield column, "impossible_time", impossible.to_numpy()
        yield column, "future", ((at > soon) & ~impossible).to_numpy()


def first_activity(log: Log) -> pd.Series:
    """The first event or decision of each user in the table of users; impossible times aside."""
    users = log.tables["users"]
    own = log.rows_of("users", "user_id")
    never = np.iinfo(np.int64).max
    first = np.full(len(users) + 1, never)
    low, high = (epoch_us(pd.Series([at]))[0] for at in (EARLIEST, latest()))
    for name, column in (("events", "at"), ("decisions", "decided_at")):
        at = epoch_us(log.tables[name][column])
        possible = (at >= low) & (at <= high)
        np.minimum.at(first, log.rows_of(name, "user_id")[possible], at[possible])
    # The last place is that of acts whose user is not there, and of users without an id.
    first[-1] = never
    return time_column(np.where(first == never, NEVER, first)[own]).set_axis(users.index)


def _signups(log: Log, name: str) -> Found:
    late = first_activity(log) < log.tables["users"]["signed_up_at"]
    yield "signed_up_at", "before_signup", late.to_numpy()


def _listings(log: Log, name: str) -> Found:
    listed = np.append(epoch_us(log.tables["items"]["listed_at"]), NEVER)
    column = "at" if name == "events" else "send_at"
    at = epoch_us(log.tables[name][column])
    # A missing time is the least there is: before no listing, and after none.
    yield column, "before_listing", (at != NEVER) & (at < listed[log.rows_of(name, "item_id")])


def _texts(log: Log, name: str) -> Found:
    for column in TEXTS[name]:
        texts = log.tables[name][column]
        changed = texts.notna() & (plain_texts(texts).fillna("") != texts.fillna(""))
        yield column, "markup", changed.to_numpy()


def _spellings(log: Log, name: str) -> Found:
    for column in NAMES:
        names = log.tables["items"][column]
        changed = names.notna() & (spelled(names).fillna("") != names.fillna(""))
        yield column, "spelling", changed.to_numpy()


def _blanks(log: Log, name: str) -> Found:
    for column in TABLES[name].columns:
        if column.type in (Type.ID, Type.IDS):
            ids = log.tables[name][column.name]
            short = trimmed(ids)
            if short is not ids:
                mask = ids.notna() & (short.fillna("") != ids.fillna(""))
                yield column.name, "blank_around", mask.to_numpy()


def spelled(names: pd.Series) -> pd.Series:
    """Each name (n,) in the most frequent of its spellings, of equals the first."""
    counts = names.value_counts()
    forms = pd.DataFrame({"form": counts.index, "count": counts.to_numpy()})
    forms["key"] = [name_key(form) for form in forms["form"]]
    forms = forms.sort_values(["key", "count", "form"], ascending=[True, False, True])
    best = forms.drop_duplicates("key").set_index("key")["form"]
    # An empty mapping would give numbers.
    return names.map(dict(zip(forms["form"], best.loc[forms["key"]], strict=True))).astype("str")


def _repeated_rows(log: Log, name: str) -> Found:
    table = log.tables[name]
    yield str(table.columns[0]), "repeated_row", repeated(table, _same_key(log, name))


def _same_key(log: Log, name: str) -> np.ndarray | None:
    key = TABLES[name].key
    return None if key is None else log.alike(name, key)


def _twice(log: Log, name: str) -> Found:
    events = log.tables["events"]
    at, value = epoch_us(events["at"]), events["value"].fillna(-1.0).to_numpy()
    acts = np.zeros(len(events), np.int64)
    for column in ("user_id", "item_id", "event"):
        codes = log.codes("events", column)
        acts = acts * (len(codes.distinct) + 1) + codes.of + 1
    rows = np.flatnonzero(pd.Series(acts).duplicated(keep=False).to_numpy() & (at != NEVER))
    rows = rows[np.lexsort((at[rows], value[rows], acts[rows]))]
    same = (acts[rows[1:]] == acts[rows[:-1]]) & (value[rows[1:]] == value[rows[:-1]])
    since = np.full(len(events), np.iinfo(np.int64).max)
    since[rows[1:][same]] = np.diff(at[rows])[same]
    bought = events["event"].eq("purchase").to_numpy(bool)
    near, double = (since <= SAME_VIEW) & ~bought, (since <= SAME_PURCHASE) & bought
    if near.any() or double.any():
        exact = repeated(events, _same_key(log, name))
        near, double = near & ~exact, double & ~exact
    yield "at", "near_duplicate", near
    yield "at", "double_purchase", double


def _rates(log: Log, name: str) -> Found:
    events, users = log.tables["events"], log.codes("events", "user_id")
    at = epoch_us(events["at"])
    looks = log.codes("events", "event").each(lambda word: word in ("view", "cart"))
    looks &= (at != NEVER) & (users.of >= 0)
    busy = np.bincount(users.of[looks], minlength=len(users.distinct) + 1) > VIEWS_AN_HOUR
    rows = np.flatnonzero(looks & busy[users.of])
    acts = pd.DataFrame({"user": users.of[rows], "hour": at[rows] // HOUR})
    out = np.zeros(len(events), bool)
    out[rows] = acts.groupby(["user", "hour"])["hour"].transform("size") > VIEWS_AN_HOUR
    yield "user_id", "inhuman_rate", out


def _currencies(log: Log, name: str) -> Found:
    events, own = log.tables["events"], log.meta.currency
    if "currency" in events and own is not None:
        said = events["currency"].astype("str").str.strip().str.upper()
        paid = said.notna() & (said != "") & events["value"].notna()
        yield "currency", "other_currency", (paid & (said != own.upper())).to_numpy(bool)


def _odd_prices(log: Log, name: str) -> Found:
    price, category = (log.tables["items"][column] for column in ("price", "category"))
    logs = np.log(price.where((price > 0) & (price < np.inf)).to_numpy(np.float64))
    group = pd.factorize(category.fillna(""))[0]
    there = np.isfinite(logs)
    # Small categories are judged together: each alone says too little.
    few = np.bincount(group[there], minlength=group.max(initial=-1) + 1) < ENOUGH
    group = np.where(few[group], -1, group)
    usual = spreads(logs[there], group[there])
    yield "price", "odd_price", np.abs(beyond(logs, group, usual)) > FAR


FINDERS = (
    Finder(("impossible_time", "future"), tuple(INSTANTS), _times),
    Finder(("before_signup",), ("users",), _signups),
    Finder(("before_listing",), ("events", "decisions"), _listings),
    Finder(("markup",), tuple(TEXTS), _texts),
    Finder(("spelling",), ("items",), _spellings),
    Finder(("blank_around",), tuple(TABLES), _blanks),
    Finder(("near_duplicate", "double_purchase"), ("events",), _twice),
    Finder(("odd_price",), ("items",), _odd_prices),
    Finder(("other_currency",), ("events",), _currencies),
    Finder(("inhuman_rate",), ("events",), _rates),
    Finder(("repeated_row",), tuple(TABLES), _repeated_rows),
)
"""How breaches of these rules are found."""
