"""The facts of a log's items at one instant."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from generation.copy.aspects import lexicon
from generation.copy.copywriter import Reader
from generation.copy.facts import MANY_BUYERS, WINDOW_DAYS, Facts
from generation.copy.formatting import LOCALES, MONTHS, tidy
from generation.copy.labels import LABELS
from generation.copy.reviews import aspects_of
from generation.copy.templates import plain_words
from generation.copy.verify import Verifier
from generation.copy.vocabulary import Vocabulary
from ingestion.log import Log
from ingestion.schema import TABLES

_KNOWN = frozenset(column.name for column in TABLES["items"].columns)
_WHOLE = re.compile(r"(?<=\d)\.0+$")
_WINDOW = pd.Timedelta(days=WINDOW_DAYS)


def end_of(log: Log) -> pd.Timestamp:
    """The log's last event, or the present where it has none."""
    last = log.tables["events"]["at"].max()
    return pd.Timestamp.now(tz="UTC") if pd.isna(last) else last


def facts_of(log: Log, at: pd.Timestamp | None = None) -> dict[str, Facts]:
    """Item → its facts at an instant (default: the log's end), in the order of the ids.

    Prices, stock and attributes are those of the tables; buyers, novelty and reviews are of what
    happened before `at`. Dates are in the shop's time zone (`default_timezone`, else UTC).
    """
    now = end_of(log) if at is None else at
    zone = ZoneInfo(log.meta.default_timezone or "UTC")
    events = log.tables["events"]
    events = events[events["at"] <= now]
    bought = events[(events["event"] == "purchase") & (events["at"] > now - _WINDOW)]
    buyers = bought.groupby("item_id")["user_id"].nunique()
    first = events.groupby("item_id")["at"].min()
    # A log that is younger than that can't know what is new in the shop.
    old_enough = bool(len(events)) and events["at"].min() <= now - 2 * _WINDOW
    reviews = log.tables["reviews"]
    reviews = reviews[~(reviews["at"] > now)]
    aspects = aspects_of(reviews)
    counted = reviews.groupby("item_id").size()
    items = log.tables["items"].drop_duplicates("item_id").sort_values("item_id")
    leading = _leading(items, buyers)
    rows = items.to_dict("records")
    return {
        str(row["item_id"]): Facts(
            item_id=str(row["item_id"]),
            title=tidy(_text(row["title"])),
            brand=_text(row["brand"]),
            category=_text(row["category"]),
            kind=_text(row["kind"]) or "product",
            price=_number(row["price"]),
            list_price=_number(row["list_price"]),
            currency=log.meta.currency,
            stock=None if pd.isna(row["stock"]) else int(row["stock"]),
            available_until=_instant(row["available_until"], zone),
            at=_instant(now, zone),
            rating=_number(row["rating"]),
            reviews=int(counted.get(row["item_id"], 0)),
            buyers=int(buyers.get(row["item_id"], 0)),
            leads=row["item_id"] in leading,
            new=old_enough and first.get(row["item_id"], now - 2 * _WINDOW) > now - _WINDOW,
            description=_text(row["description"]),
            attributes=_attributes(row),
            aspects=aspects.get(row["item_id"], ()),
        )
        for row in rows
    }


def reader_of(log: Log, user_id: str, item_id: str, at: pd.Timestamp | None = None) -> Reader:
    """What a log lets a text say of one user about one item."""
    events = log.tables["events"]
    mine = events[(events["user_id"] == user_id) & (events["at"] <= (at or end_of(log)))]
    items = log.tables["items"].drop_duplicates("item_id").set_index("item_id")
    counts = mine["item_id"].map(items["category"]).value_counts()
    likes = tuple(str(name) for name, count in counts.items() if count >= 3)[:3]
    met = mine[mine["item_id"] == item_id].sort_values("at", kind="stable")["event"]
    return Reader(likes, str(met.iloc[-1]) if len(met) else "")


def verifier_for(facts: Iterable[Facts]) -> Verifier:
    """A verifier that knows the catalogue's words from those of plain sentences."""
    names = [text for one in facts for text in (one.title, one.named_brand)]
    return Verifier(Vocabulary.of(names, plain_texts()))


@cache
def plain_texts() -> tuple[str, ...]:
    """Texts that name no item: the templates' phrases, labels, months and everyday words."""
    everyday = (files("generation.copy") / "data" / "plain_words.txt").read_text("utf-8")
    labels = [label for of in LABELS.values() for label in of]
    labels += [label for locale in LOCALES for label in lexicon(locale).labels.values()]
    return (*plain_words("en"), *plain_words("zh"), *labels, *MONTHS, everyday)


def _leading(items: pd.DataFrame, buyers: pd.Series) -> set[str]:
    """The item with the most buyers of each category of two items or more, ties apart."""
    of = items.assign(buyers=items["item_id"].map(buyers).fillna(0))
    leading = set()
    for _, group in of.groupby("category"):
        counts = group["buyers"].sort_values(ascending=False)
        if len(counts) > 1 and counts.iloc[0] >= MANY_BUYERS and counts.iloc[0] > counts.iloc[1]:
            leading.add(str(group.loc[counts.index[0], "item_id"]))
    return leading


def _attributes(row: dict[Hashable, Any]) -> dict[str, str]:
    return {
        str(name): _attribute(value)
        for name, value in row.items()
        if name not in _KNOWN and value is not None and not pd.isna(value) and str(value).strip()
    }


def _attribute(value: Any) -> str:
    # A column of whole numbers with gaps comes as 2.0 or "2.0".
    return _WHOLE.sub("", str(value).strip())


def _text(value: Any) -> str:
    return "" if value is None or pd.isna(value) else str(value).strip()


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(str(value))


def _instant(value: Any, zone: ZoneInfo) -> datetime | None:
    if value is None or pd.isna(value):
        return None
    return pd.Timestamp(str(value)).to_pydatetime().astimezone(zone)
