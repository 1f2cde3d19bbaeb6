"""The log format as data: which tables and columns there are, of which type, and what is allowed.

A log is a directory with one file per table, `NAME.parquet` or `NAME.csv`, and an optional
`log.json`. Reading, checking, cleaning, merging, pseudonymising and writing are all driven by
`TABLES`, the only declaration; `tests/contracts/test_docs.py` holds the table in `docs/concepts.md`
to it.

Why not pandera's schemas: pandera says whether a frame passes. Here every breach is a row of a rule
with a severity and an action (`ingestion.rules`), whether a value may be missing depends on
`log.json`, a value that can't be typed is kept for the record of a cleaning, and types must say how
a column is read from CSV and written to Arrow, what an id refers to and what is pseudonymised. Of
all that pandera would express the type, the range and the allowed words, beside this table rather
than in place of it.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

FORMAT_VERSION = 1
MOST = 1e12
"""The greatest price, amount, rating or stock: float32 holds it, its sums and its squares."""
SEPARATOR = "|"
"""Separates the ids of a list; refused inside an id."""


class Type(Enum):
    """What a column holds, and how a frame holds it."""

    ID = "id"
    """text without `|`; dtype str"""
    TEXT = "text"
    """dtype str"""
    ZONE = "time zone"
    """an IANA zone's name; dtype str"""
    TIME = "time"
    """ISO 8601 with offset, or a Parquet timestamp in UTC; dtype datetime64[us, UTC]"""
    DATE = "date"
    """a day of the calendar, ISO 8601: `2026-11-27`; dtype str"""
    NUMBER = "number"
    """dtype float64"""
    INTEGER = "integer"
    """dtype Int64"""
    BOOLEAN = "boolean"
    """true or false; dtype boolean"""
    IDS = "list of ids"
    """`a|b|c`; dtype str, missing for an empty list"""
    HOURS = "list of hours"
    """`8|9|10`, hours 0 to 23; dtype str, missing for an empty list"""


class Missing(Enum):
    """What a missing value means to `check`."""

    ERROR = "error"
    WARNING = "warning"
    FINE = "fine"


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    """its name in the file"""
    type: Type
    """what it holds"""
    required: bool = True
    """whether the column must be there"""
    missing: Missing = Missing.ERROR
    """what a missing value in it means"""
    allowed: tuple[str, ...] = ()
    """the only values, where there are few; one that ends in `:` allows any name after it"""
    default: Any = None
    """what a missing value of an optional column is read as"""
    minimum: float | None = None
    """the least number allowed"""
    maximum: float | None = None
    """the greatest number allowed"""
    refers_to: str | None = None
    """the table whose rows this id names"""


@dataclass(frozen=True)
class Table:
    """One table of a log."""

    name: str
    """its file's name without the ending"""
    columns: tuple[Column, ...]
    """its known columns; any other column is kept as it is"""
    key: str | None = None
    """the column that is unique"""
    required: bool = False
    """whether a log must have it"""

    def column(self, name: str) -> Column:
        """The known column of that name; raises KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


def _optional(name: str, type_: Type, **rest: Any) -> Column:
    return Column(name, type_, required=False, missing=Missing.FINE, **rest)


def _words(name: str) -> Column:
    return Column(name, Type.TEXT, missing=Missing.WARNING)


def _nullable(name: str, type_: Type, **rest: Any) -> Column:
    return Column(name, type_, missing=Missing.FINE, **rest)


USERS = Table(
    "users",
    (
        Column("user_id", Type.ID),
        Column("timezone", Type.ZONE),
        Column("signed_up_at", Type.TIME),
        _optional("consent", Type.BOOLEAN, default=True),
        _optional("locale", Type.TEXT),
        _optional("preferences", Type.TEXT),
    ),
    key="user_id",
    required=True,
)
ITEMS = Table(
    "items",
    (
        Column("item_id", Type.ID),
        _words("title"),
        _words("category"),
        _words("brand"),
        Column("price", Type.NUMBER, minimum=0, maximum=MOST),
        _optional(
            "kind", Type.TEXT, allowed=("product", "promotion", "content"), default="product"
        ),
        _optional("list_price", Type.NUMBER, minimum=0, maximum=MOST),
        _optional("margin", Type.NUMBER, minimum=-1e6, maximum=1),
        _optional("description", Type.TEXT),
        _optional("rating", Type.NUMBER, minimum=0, maximum=MOST),
        _optional("stock", Type.NUMBER, minimum=0, maximum=MOST),
        _optional("listed_at", Type.TIME),
        _optional("available_until", Type.TIME),
        _optional("image_url", Type.TEXT),
        _optional("deep_link", Type.TEXT),
    ),
    key="item_id",
    required=True,
)
VARIANTS = Table(
    "variants",
    (
        Column("variant_id", Type.ID),
        _words("style"),
        _nullable("locale", Type.TEXT),
        _words("title"),
        _words("body"),
        _optional("item_id", Type.ID, refers_to="items"),
        _optional("segment", Type.TEXT),
        _optional(
            "status", Type.TEXT, allowed=("approved", "draft", "rejected"), default="approved"
        ),
    ),
    key="variant_id",
)
EVENTS = Table(
    "events",
    (
        Column("user_id", Type.ID, refers_to="users"),
        Column("item_id", Type.ID, refers_to="items"),
        Column("event", Type.TEXT, allowed=("view", "cart", "purchase")),
        Column("at", Type.TIME),
        _nullable("value", Type.NUMBER, minimum=0, maximum=MOST),
        _optional("event_id", Type.ID),
    ),
    key="event_id",
    required=True,
)
DECISIONS = Table(
    "decisions",
    (
        Column("decision_id", Type.ID),
        Column("user_id", Type.ID, refers_to="users"),
        Column("decided_at", Type.TIME),
        _nullable("item_id", Type.ID, refers_to="items"),
        _nullable("variant_id", Type.ID, refers_to="variants"),
        _nullable("send_at", Type.TIME),
        _nullable("propensity", Type.NUMBER),
        _words("policy"),
        _nullable("candidates", Type.IDS, refers_to="items"),
        _optional("variants", Type.IDS, refers_to="variants"),
        _optional("hours", Type.HOURS),
        _optional("turn", Type.INTEGER, default=0, minimum=0),
        _optional(
            "arm",
            Type.TEXT,
            allowed=("policy", "holdout", "challenger:", "critical", "killed"),
            default="policy",
        ),
        _optional("reason", Type.TEXT),
        _optional("schema", Type.TEXT),
        _optional("policy_hash", Type.TEXT),
        _optional("rules_hash", Type.TEXT),
    ),
    key="decision_id",
)
OUTCOMES = Table(
    "outcomes",
    (
        Column("decision_id", Type.ID, refers_to="decisions"),
        Column(
            "outcome",
            Type.TEXT,
            allowed=(
                "delivered",
                "failed",
                "moved",
                "cancelled",
                "opened",
                "clicked",
                "purchased",
                "dismissed",
                "unsubscribed",
            ),
        ),
        Column("at", Type.TIME),
        _nullable("value", Type.NUMBER, minimum=0, maximum=MOST),
    ),
)
OUTCOME_KEY = ["decision_id", "outcome", "at"]
"""Columns that tell one outcome from another: a row that repeats them is the same outcome."""
REVIEWS = Table(
    "reviews",
    (
        Column("item_id", Type.ID, refers_to="items"),
        _words("text"),
        _optional("rating", Type.NUMBER, minimum=0, maximum=MOST),
        _optional("user_id", Type.ID, refers_to="users"),
        _optional("at", Type.TIME),
        _optional("language", Type.TEXT),
    ),
)
CHANGES = Table(
    "changes",
    (
        Column("table", Type.TEXT, allowed=("users", "items", "variants")),
        Column("id", Type.ID),
        Column("column", Type.TEXT),
        _nullable("value", Type.TEXT),
        Column("at", Type.TIME),
    ),
)
CALENDAR = Table(
    "calendar",
    (
        Column("date", Type.DATE),
        Column("name", Type.TEXT),
    ),
    key="date",
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (USERS, ITEMS, VARIANTS, EVENTS, DECISIONS, OUTCOMES, REVIEWS, CHANGES, CALENDAR)
}
"""Every table by name; a table comes after those that it refers to."""
PEOPLE = ("users", "events", "decisions", "outcomes", "reviews")
"""Tables about what users do, which refer to the others."""
SHARED = ("items", "variants", "changes", "calendar")
"""Tables that refer to no user, and are cleaned first."""
