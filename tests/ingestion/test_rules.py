"""Every rule finds its planted case, and cleaning does what the table of rules says."""

from pathlib import Path

import pandas as pd
import pytest

from ingestion.check import problems_of
from ingestion.clean import clean
from ingestion.log import LogMeta
from ingestion.parse import log_of
from ingestion.plain_text import plain_text
from ingestion.rules import ERROR, RULES, Action, rules_table
from mdp.errors import BadLog

META = LogMeta(default_timezone="Europe/Berlin", currency="EUR")
DOCS = Path(__file__).parents[2] / "docs" / "data.md"


def _set(table, column, row, value):
    def plant(tables):
        if column not in tables[table]:
            tables[table][column] = ""
        tables[table].loc[row, column] = value

    return plant


def _again(table, row, **changes):
    def plant(tables):
        extra = tables[table].iloc[[row]].assign(**changes)
        tables[table] = pd.concat([tables[table], extra], ignore_index=True)

    return plant


def _bad_date(tables):
    tables["calendar"] = pd.DataFrame({"date": ["24.12.2026"], "name": ["Christmas"]})


def _drop(table, column=None):
    def plant(tables):
        if column is None:
            del tables[table]
        else:
            tables[table] = tables[table].drop(columns=column)

    return plant


def _usual(tables, n=40):
    """Items, users and purchases enough to say what is usual."""
    tables["users"] = pd.concat(
        [tables["users"], pd.DataFrame({"user_id": [f"u{i}" for i in range(n)]})],
        ignore_index=True,
    ).ffill()
    tables["items"] = pd.concat(
        [tables["items"], pd.DataFrame({"item_id": [f"i{i}" for i in range(n)]})],
        ignore_index=True,
    ).ffill()
    bought = pd.DataFrame(
        {
            "user_id": [f"u{i}" for i in range(n)],
            "item_id": [f"i{i}" for i in range(n)],
            "event": "purchase",
            "at": "2026-03-04T10:00:00Z",
            "value": [str(390 + i) for i in range(n)],
            "event_id": [f"b{i}" for i in range(n)],
        }
    )
    tables["events"] = pd.concat([tables["events"], bought], ignore_index=True)


def _odd_price(tables):
    _usual(tables)
    tables["items"].loc[5, "price"] = "40000"


def _odd_value(tables):
    _usual(tables)
    tables["events"].loc[5, "value"] = "99999"


def _reseller(tables):
    _usual(tables)
    more = tables["events"].iloc[[10] * 100].assign(event_id=[f"m{i}" for i in range(100)])
    days = pd.date_range("2026-03-05", periods=100, tz="UTC")
    more["at"] = [day.isoformat() for day in days]
    tables["events"] = pd.concat([tables["events"], more], ignore_index=True)


def _bot(tables):
    views = tables["events"].iloc[[0] * 301].assign(event_id=[f"m{i}" for i in range(301)])
    times = pd.date_range("2026-03-05", periods=301, freq="10s", tz="UTC")
    views["at"] = [time.isoformat() for time in times]
    tables["events"] = pd.concat([tables["events"], views], ignore_index=True)


def _night(tables):
    _usual(tables)
    tables["events"]["at"] = "2026-03-04T02:00:00-05:00"


def _reviews(tables, *texts):
    tables["reviews"] = pd.DataFrame(
        {"item_id": "lamp", "text": texts, "language": ["en"] * len(texts)}
    )


def _copied_review(tables):
    first = "The lamp is lovely and its light is warm, so I bought two"
    _reviews(tables, first, first.replace("lovely and", "LOVELY -  and"), "Arrived broken, sadly")


def _no_language(tables):
    _reviews(tables, "灯很漂亮，光线也柔和")
    tables["reviews"]["language"] = ""


def _copied_description(tables):
    told = "A lamp of brass, forty centimetres high, with a shade of linen"
    tables["items"]["description"] = [told, told.replace("linen", "cotton")]


def _other_language(tables):
    tables["variants"]["locale"] = ["en-GB", "en-GB"]
    tables["variants"].loc[1, "title"] = "{item}，今天为你降价"


def _odd_quantity(tables):
    _usual(tables)
    tables["events"]["quantity"] = "2"
    tables["events"].loc[5, "quantity"] = "90000"


def _cents(tables):
    _usual(tables)
    tables["events"].loc[3:, "value"] = [str(40000 + n) for n in range(40)]


def _behind(tables):
    """40 sends, opened two minutes later by a clock that is an hour behind."""
    first = tables["decisions"].iloc[[0]]
    days = pd.date_range("2026-03-03T18:00Z", periods=40)
    sends = pd.concat([first] * 40).assign(decision_id=[f"s{n}" for n in range(40)])
    sends["decided_at"] = sends["send_at"] = [day.isoformat() for day in days]
    tables["decisions"] = pd.concat([tables["decisions"], sends], ignore_index=True)
    opened = pd.DataFrame({"decision_id": sends["decision_id"].to_numpy(), "outcome": "opened"})
    opened["at"] = [(day - pd.Timedelta("58min")).isoformat() for day in days]
    opened["source"] = "devices"
    tables["outcomes"] = pd.concat([tables["outcomes"], opened], ignore_index=True)


def _spelling(tables):
    _again("items", 0, item_id="lamp2")(tables)
    _again("items", 0, item_id="lamp3", brand=" ACME")(tables)


PLANTED = {
    "missing_table": _drop("items"),
    "missing_column": _drop("events", "at"),
    "repeated_row": _again("events", 0),
    "missing_value": _set("events", "user_id", 0, ""),
    "no_words": _set("items", "title", 0, ""),
    "no_zone": _set("users", "timezone", 0, ""),
    "no_signup": _set("users", "signed_up_at", 0, ""),
    "wrong_type": _set("items", "margin", 0, "high"),
    "naive_time": _set("events", "at", 0, "2026-03-01 10:00"),
    "integer_time": _set("events", "at", 0, "1767225600"),
    "bad_time": _set("users", "signed_up_at", 0, "yesterday"),
    "bad_date": _bad_date,
    "impossible_time": _set("events", "at", 0, "1970-01-01T00:00:00Z"),
    "future": _set("events", "at", 0, (pd.Timestamp.now("UTC") + pd.Timedelta(days=9)).isoformat()),
    "duplicate": _again("items", 0, price="21"),
    "separator": _set("items", "item_id", 0, "a|b"),
    "blank_around": _set("events", "item_id", 0, " lamp "),
    "zone": _set("users", "timezone", 0, "Mars/Phobos"),
    "not_allowed": _set("events", "event", 0, "like"),
    "out_of_range": _set("items", "list_price", 0, "-1"),
    "unknown": _set("events", "item_id", 0, "chair"),
    "unknown_listed": _set("decisions", "candidates", 0, "lamp|chair"),
    "propensity": _set("decisions", "propensity", 0, "0"),
    "incomplete_send": _set("decisions", "item_id", 0, ""),
    "not_offered": _set("decisions", "candidates", 0, "sofa"),
    "too_early": _set("decisions", "send_at", 0, "2026-03-01T18:00:00Z"),
    "before_send": _set("outcomes", "at", 0, "2026-03-02T17:00:00+01:00"),
    "outcome_of_hold": _set("outcomes", "decision_id", 1, "d2"),
    "bad_hour": _set("decisions", "hours", 0, "25"),
    "no_amount": _set("events", "value", 2, ""),
    "repeated": _again("outcomes", 0, value="3"),
    "before_signup": _set("users", "signed_up_at", 0, "2026-03-02T00:00:00Z"),
    "before_listing": _set("items", "listed_at", 0, "2026-03-01T12:00:00Z"),
    "near_duplicate": _again("events", 0, event_id="e9", at="2026-03-01T10:00:01+01:00"),
    "double_purchase": _again("events", 2, event_id="e9", at="2026-03-03T10:00:50+01:00"),
    "spelling": _spelling,
    "markup": _set("items", "title", 0, "<b>Lamp</b> &amp; shade 💡"),
    "clock_skew": _behind,
    "copied_review": _copied_review,
    "copied_description": _copied_description,
    "no_language": _no_language,
    "other_language": _other_language,
    "odd_quantity": _odd_quantity,
    "unit": _cents,
    "other_currency": _set("events", "currency", 2, "USD"),
    "odd_price": _odd_price,
    "odd_value": _odd_value,
    "inhuman_rate": _bot,
    "reseller": _reseller,
    "zone_at_night": _night,
}


def test_every_rule_has_a_planted_case_and_stands_in_the_docs():
    assert PLANTED.keys() == RULES.keys()
    assert rules_table() in DOCS.read_text()


@pytest.mark.parametrize("rule", PLANTED)
def test_a_planted_breach_is_found_and_handled_as_the_table_says(tables, rule):
    PLANTED[rule](tables)
    assert rule in {problem.rule for problem in problems_of(log_of(tables, META))}
    if RULES[rule].action is Action.REFUSE:
        with pytest.raises(BadLog):
            clean(tables, META)
        return
    log, record = clean(tables, META)
    rows = record.rows.query("rule == @rule")
    repaired_or_dropped = {Action.REPAIR.value, Action.DROP.value}
    if RULES[rule].action is Action.REPAIR:
        assert set(rows["action"]) <= repaired_or_dropped
    else:
        assert set(rows["action"]) == {RULES[rule].action.value}
    assert len(rows) > 0
    left = {problem.rule for problem in problems_of(log)}
    assert (rule in left) == (RULES[rule].action is Action.FLAG)
    assert not any(RULES[name].severity == ERROR for name in left)


@pytest.mark.parametrize(
    ("rule", "table", "column", "row", "value"),
    [
        ("no_signup", "users", "signed_up_at", 0, pd.Timestamp("2026-03-01T09:00:00Z")),
        ("bad_time", "users", "signed_up_at", 0, pd.Timestamp("2026-03-01T09:00:00Z")),
        ("before_signup", "users", "signed_up_at", 0, pd.Timestamp("2026-03-01T09:00:00Z")),
        ("zone", "users", "timezone", 0, "Europe/Berlin"),
        ("spelling", "items", "brand", 3, "acme"),
        ("markup", "items", "title", 0, "Lamp & shade 💡"),
        ("blank_around", "events", "item_id", 0, "lamp"),
        ("unknown_listed", "decisions", "candidates", 0, "lamp"),
        ("no_language", "reviews", "language", 0, "zh"),
        # 58 minutes before their sends become 0 after: how long they took nobody knows.
        ("clock_skew", "outcomes", "at", 2, pd.Timestamp("2026-03-03T18:00:00Z")),
    ],
)
def test_a_repair_gives_the_value_that_the_table_promises(tables, rule, table, column, row, value):
    PLANTED[rule](tables)
    log, record = clean(tables, META)
    assert log.tables[table][column].iloc[row] == value
    change = record.rows.query("rule == @rule").iloc[0]
    assert (change["table"], change["column"], change["row"]) == (table, column, row)
    assert change["after"] == str(value)
    assert change["before"] != change["after"]


def test_what_came_before_its_items_listing_is_named(tables):
    tables["items"]["listed_at"] = ["2026-03-02T18:00:00Z", ""]
    found = [p for p in problems_of(log_of(tables, META)) if p.rule == "before_listing"]
    assert [(p.table, p.column, p.rows.tolist()) for p in found] == [
        ("events", "at", [0]),
        ("decisions", "send_at", [0]),
    ]


def test_prices_of_small_categories_are_judged_together(tables):
    _usual(tables)
    tables["items"].loc[2:, "category"] = [f"c{n % 8}" for n in range(40)]
    tables["items"].loc[[0, 5], "price"] = ["400", "4000000"]
    found = {p.rule: p.rows.tolist() for p in problems_of(log_of(tables, META))}
    assert found["odd_price"] == [5]


def test_a_bad_margin_does_not_cost_the_item(tables):
    PLANTED["wrong_type"](tables)
    log, record = clean(tables, META)
    assert record.dropped == {}
    assert len(log.tables["items"]) == 2
    assert pd.isna(log.tables["items"]["margin"].iloc[0])
    assert record.rows["before"].tolist() == ["high"]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("&amp;amp; &lt;b&gt;x&lt;/b&gt;", "& x"),
        ("ＡＢＣ１２３，你好！", "ABC123，你好！"),
        ("a < b, 3 > 2", "a < b, 3 > 2"),
        ("caf\u0065\u0301  \u200bbar\ufeff\n", "café bar"),
        ("👩‍👧 <br/>ok", "👩‍👧 ok"),
    ],
)
def test_texts_become_plain_and_stay_so(text, plain):
    assert plain_text(text) == plain
    assert plain_text(plain) == plain
