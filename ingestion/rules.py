"""The rules of a clean log, as one table: what each looks at, how bad it is, what `clean` does.

`ingestion.check` and `ingestion.plausible` find the breaches, `ingestion.repair` mends what can be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from ingestion.schema import SEPARATOR

ERROR, WARNING = "error", "warning"


class Action(Enum):
    """What `clean` does about a breach. All three go into its record, row by row."""

    DROP = "drop"
    """the row goes"""
    REPAIR = "repair"
    """the value is mended; where it can't be and the breach is an error, the row goes"""
    FLAG = "flag"
    """the row stays as it is"""
    REFUSE = "refuse"
    """nothing is cleaned"""


@dataclass(frozen=True)
class Rule:
    """One rule."""

    name: str
    """how findings and records call it"""
    severity: str
    """error (nothing reads a log with it) or warning"""
    looks_at: str
    """tables or columns"""
    action: Action
    """what `clean` does"""
    says: str
    """what a breach is"""
    repair: str = ""
    """how a repair is made"""


_DROP, _REPAIR, _FLAG, _REFUSE = Action.DROP, Action.REPAIR, Action.FLAG, Action.REFUSE
_EMPTIED = "emptied where it decides nothing (list price, margin, rating), a sign-up as no_signup"

_ALL = (
    Rule("missing_table", ERROR, "users, items, events", _REFUSE, "the table is not there"),
    Rule("missing_column", ERROR, "needed columns", _REFUSE, "the column is not there"),
    Rule(
        "repeated_row", WARNING, "all tables", _DROP, "a row that equals an earlier one throughout"
    ),
    Rule("missing_value", ERROR, "needed columns", _DROP, "no value"),
    Rule("no_words", WARNING, "texts", _FLAG, "no text"),
    Rule("no_zone", ERROR, "users.timezone", _REPAIR, "no time zone", "the log's default_timezone"),
    Rule(
        "no_signup",
        ERROR,
        "users.signed_up_at",
        _REPAIR,
        "no time of sign-up",
        "the user's first event or decision",
    ),
    Rule("wrong_type", ERROR, "all columns", _REPAIR, "not of the column's type", _EMPTIED),
    Rule(
        "naive_time",
        ERROR,
        "times",
        _REPAIR,
        "a time without a zone or an offset",
        "read as local time of default_timezone",
    ),
    Rule(
        "integer_time",
        ERROR,
        "times",
        _REPAIR,
        "an integer where a time with an offset belongs",
        _EMPTIED,
    ),
    Rule("bad_time", ERROR, "times", _REPAIR, "not an ISO 8601 time", _EMPTIED),
    Rule("bad_date", ERROR, "calendar.date", _DROP, "not an ISO 8601 date, such as 2026-11-27"),
    Rule(
        "impossible_time",
        ERROR,
        "times of users, events, decisions, outcomes, reviews",
        _REPAIR,
        "a time before 1995 or more than a year from now",
        _EMPTIED,
    ),
    Rule("future", WARNING, "the same times", _FLAG, "a time that is still to come"),
    Rule("duplicate", ERROR, "keys", _DROP, "an id, or a calendar's date, that an earlier row has"),
    Rule("separator", ERROR, "ids", _DROP, f"an id with {SEPARATOR!r} in it"),
    Rule(
        "blank_around",
        WARNING,
        "ids, lists of ids",
        _REPAIR,
        "an id with white space around it",
        "the white space goes",
    ),
    Rule(
        "zone",
        ERROR,
        "users.timezone",
        _REPAIR,
        "not an IANA time zone",
        "the log's default_timezone",
    ),
    Rule("not_allowed", ERROR, "columns of few words", _DROP, "not one of the words allowed"),
    Rule(
        "out_of_range",
        ERROR,
        "numbers",
        _REPAIR,
        "a number that is not finite, below 0 (a margin: -1e6) or above 1e12 (a margin: 1)",
        _EMPTIED,
    ),
    Rule("unknown", ERROR, "ids", _DROP, "an id that no row of the other table has"),
    Rule(
        "unknown_listed",
        ERROR,
        "lists of ids",
        _REPAIR,
        "a list with an id that no row of the other table has",
        "left out of the list",
    ),
    Rule(
        "propensity",
        ERROR,
        "decisions.propensity",
        _DROP,
        "a propensity that is not above 0 and at most 1",
    ),
    Rule(
        "incomplete_send",
        ERROR,
        "decisions",
        _DROP,
        "a send needs item, variant and time, a hold has none of them",
    ),
    Rule(
        "not_offered",
        WARNING,
        "decisions",
        _FLAG,
        "an item or variant sent that is not on the decision's own list",
    ),
    Rule(
        "too_early",
        ERROR,
        "decisions.send_at, outcomes.at",
        _DROP,
        "an instant before the decision",
    ),
    Rule(
        "before_send",
        WARNING,
        "outcomes.at",
        _FLAG,
        "a response before its send: two clocks that differ",
    ),
    Rule(
        "clock_skew",
        WARNING,
        "outcomes.at",
        _REPAIR,
        "most responses (or most of one source's) stand before their sends: a clock that is behind",
        "all of them moved by what puts 98 % after their sends",
    ),
    Rule("outcome_of_hold", ERROR, "outcomes", _DROP, "an outcome of a hold"),
    Rule("bad_hour", ERROR, "lists of hours", _DROP, "an hour that is not 0 to 23"),
    Rule(
        "no_amount",
        WARNING,
        "events.value",
        _FLAG,
        "a purchase without an amount, which counts for nothing",
    ),
    Rule(
        "repeated",
        WARNING,
        "outcomes",
        _DROP,
        "an outcome that an earlier row has, which counts once",
    ),
    Rule(
        "before_signup",
        WARNING,
        "users.signed_up_at",
        _REPAIR,
        "a sign-up after the user's first event or decision",
        "that event's or decision's time",
    ),
    Rule(
        "before_listing",
        WARNING,
        "events.at, decisions.send_at, where items.listed_at is there",
        _FLAG,
        "an event on an item, or its send, before the item was listed",
    ),
    Rule(
        "near_duplicate",
        WARNING,
        "events: views, carts",
        _DROP,
        "the same view or cart within a second of an earlier one",
    ),
    Rule(
        "double_purchase",
        WARNING,
        "events: purchases",
        _FLAG,
        "the same purchase within a minute of an earlier one",
    ),
    Rule(
        "spelling",
        WARNING,
        "items.category, items.brand",
        _REPAIR,
        "a name that others spell in other capitals, spaces or widths",
        "the most frequent spelling",
    ),
    Rule(
        "markup",
        WARNING,
        "titles, descriptions, bodies, reviews",
        _REPAIR,
        "markup, entities, control characters, wide letters or surplus spaces in a text",
        "plain text; emoji stay",
    ),
    Rule(
        "copied_review",
        WARNING,
        "reviews.text",
        _DROP,
        "a review of at least 12 pieces that shares three quarters of them with an earlier one of "
        "its item",
    ),
    Rule(
        "copied_description",
        WARNING,
        "items.description",
        _FLAG,
        "a description that shares three quarters of its pieces with an earlier item's",
    ),
    Rule(
        "no_language",
        WARNING,
        "reviews.language",
        _REPAIR,
        "a review that does not say its language",
        "the language detected, `und` where it can't be told",
    ),
    Rule(
        "other_language",
        WARNING,
        "variants.locale",
        _FLAG,
        "copy in another language than its locale's",
    ),
    Rule(
        "odd_price",
        WARNING,
        "items.price",
        _FLAG,
        "a price far from those of its category (robust z of logarithms above 6)",
    ),
    Rule(
        "odd_value",
        WARNING,
        "events.value",
        _FLAG,
        "a purchase far from those of its category (robust z of logarithms above 6)",
    ),
    Rule(
        "odd_quantity",
        WARNING,
        "events.quantity, where there is one",
        _FLAG,
        "a quantity far from those of its category (robust z of logarithms above 6)",
    ),
    Rule(
        "unit",
        WARNING,
        "events.value",
        _FLAG,
        "purchases that are mostly worth over 50 times their item's price, or under a fiftieth: "
        "cents, or another unit",
    ),
    Rule(
        "other_currency",
        WARNING,
        "events.currency, where there is one",
        _FLAG,
        "an amount in another currency than log.json's",
    ),
    Rule(
        "inhuman_rate",
        WARNING,
        "events: views, carts",
        _FLAG,
        "more than 300 views and carts of a user in an hour: a bot",
    ),
    Rule(
        "reseller",
        WARNING,
        "users",
        _FLAG,
        "a user who buys far more than others (robust z of logarithms above 6)",
    ),
    Rule(
        "zone_at_night",
        WARNING,
        "users.timezone",
        _FLAG,
        "a zone whose users act at 1 to 5 by its clock: they may live elsewhere",
    ),
)
RULES: dict[str, Rule] = {rule.name: rule for rule in _ALL}
"""Every rule by name."""


def rules_table(rules: Iterable[Rule] = _ALL) -> str:
    """The rules as a Markdown table, as docs/data.md shows it."""
    lines = ["| rule | severity | looks at | a breach is | `clean` |", "|---|---|---|---|---|"]
    for rule in rules:
        does = rule.action.value + (f": {rule.repair}" if rule.repair else "")
        says = rule.says.replace("|", "\\|")
        lines.append(f"| {rule.name} | {rule.severity} | {rule.looks_at} | {says} | {does} |")
    return "\n".join(lines) + "\n"
