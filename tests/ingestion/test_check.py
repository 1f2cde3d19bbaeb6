"""Every rule finds its breach and nothing else."""

import pandas as pd
import pytest

from ingestion.check import findings
from ingestion.clean import clean
from ingestion.log import LogMeta
from ingestion.parse import log_of
from ingestion.quality import quality
from ingestion.read import load_checked, read_log, refuse
from ingestion.rules import ERROR, WARNING
from ingestion.write import write_log
from mdp.errors import BadLog


def test_a_right_log_has_no_findings(tables):
    assert findings(log_of(tables)) == []


SPOILT = [
    ("users", "timezone", 0, "Mars/Phobos", "zone"),
    ("users", "user_id", 1, "ann", "duplicate"),
    ("users", "user_id", 1, "a|b", "separator"),
    ("users", "signed_up_at", 0, "2026-01-01 00:00", "naive_time"),
    ("users", "signed_up_at", 0, "1767225600", "integer_time"),
    ("users", "signed_up_at", 0, "yesterday", "bad_time"),
    ("users", "signed_up_at", 0, "", "no_signup"),
    ("items", "price", 1, "-3", "out_of_range"),
    ("items", "price", 1, "cheap", "wrong_type"),
    ("items", "price", 1, "1e300", "out_of_range"),
    ("items", "margin", 1, "-1e300", "out_of_range"),
    ("events", "value", 2, "1e39", "out_of_range"),
    ("events", "event", 0, "like", "not_allowed"),
    ("events", "item_id", 0, "chair", "unknown"),
    ("events", "user_id", 0, "eve", "unknown"),
    ("events", "at", 0, "2026-03-01T10:00", "naive_time"),
    ("decisions", "propensity", 0, "0", "propensity"),
    ("decisions", "propensity", 0, "-0.1", "propensity"),
    ("decisions", "propensity", 0, "1.5", "propensity"),
    ("decisions", "propensity", 0, "nan", "propensity"),
    ("decisions", "propensity", 0, "", "propensity"),
    ("decisions", "propensity", 0, "often", "wrong_type"),
    ("decisions", "variant_id", 0, "v9", "unknown"),
    ("decisions", "candidates", 0, "lamp|chair", "unknown_listed"),
    ("decisions", "send_at", 0, "2026-03-01T18:00:00Z", "too_early"),
    ("outcomes", "decision_id", 0, "d9", "unknown"),
    ("outcomes", "decision_id", 1, "d2", "outcome_of_hold"),
    ("outcomes", "at", 0, "2026-03-01T19:00:00Z", "too_early"),
    ("outcomes", "outcome", 0, "liked", "not_allowed"),
]


@pytest.mark.parametrize(("table", "column", "row", "value", "rule"), SPOILT)
def test_a_broken_rule_is_named_with_its_place(tables, table, column, row, value, rule):
    if column not in tables[table]:
        tables[table][column] = ""
    tables[table].loc[row, column] = value
    found = findings(log_of(tables))
    hits = [f for f in found if (f.table, f.column, f.rule) == (table, column, rule)]
    assert len(hits) == 1, found
    assert hits[0].severity == ERROR
    assert hits[0].rows == (row,)
    assert hits[0].count == 1
    assert f"{table}.{column}" in hits[0].message


BAD_DAYS = [
    ("date", "2026-02-30", "bad_date"),
    ("date", "27.11.2026", "bad_date"),
    ("date", "2026-11-27T00:00:00Z", "bad_date"),
    ("date", "", "missing_value"),
    ("date", "2026-12-24", "duplicate"),
    ("name", "", "missing_value"),
]


@pytest.mark.parametrize(("column", "value", "rule"), BAD_DAYS)
def test_a_bad_day_of_the_calendar_is_named_and_cleaned_away(tables, column, value, rule):
    days = {"date": ["2026-12-24", "2026-12-25", "2026-11-27"], "name": ["eve", "xmas", "sale"]}
    tables["calendar"] = pd.DataFrame(days, dtype="str")
    assert findings(log_of(tables)) == []
    tables["calendar"].loc[1, column] = value
    (found,) = findings(log_of(tables))
    place = (found.severity, found.table, found.column, found.rule, found.rows)
    assert place == (ERROR, "calendar", column, rule, (1,))
    log, record = clean(tables, LogMeta())
    assert log.tables["calendar"]["name"].tolist() == ["eve", "sale"]
    assert record.dropped == {"calendar": {f"{column}: {rule}": 1}}
    assert findings(log) == []


def test_a_calendar_needs_its_columns_and_takes_dates_of_any_type(tables):
    days = ["2026-12-24", "2026-11-27"]
    for dates in (pd.Series(days), pd.to_datetime(days), pd.to_datetime(days).date):
        tables["calendar"] = pd.DataFrame({"date": dates, "name": "sale"})
        log = log_of(tables)
        assert findings(log) == []
        assert log.tables["calendar"]["date"].tolist() == days
    tables["calendar"] = tables["calendar"].drop(columns="name")
    (found,) = findings(log_of(tables))
    assert (found.column, found.rule, found.count) == ("name", "missing_column", 0)


@pytest.mark.parametrize(
    ("column", "value"), [("item_id", ""), ("variant_id", ""), ("send_at", "")]
)
def test_a_send_needs_all_its_parts(tables, column, value):
    tables["decisions"].loc[0, column] = value
    assert "incomplete_send" in {f.rule for f in findings(log_of(tables))}


def test_a_missing_table_and_a_missing_column(tables):
    del tables["items"]
    tables["decisions"] = tables["decisions"].drop(columns="propensity")
    found = findings(log_of(tables))
    rules = {(f.table, f.column, f.rule) for f in found}
    assert ("items", None, "missing_table") in rules
    assert ("decisions", "propensity", "missing_column") in rules
    assert '"propensities": "none"' in (quality(log_of(tables), found).fit or "")
    with pytest.raises(BadLog, match=r"`pushwise check shop` lists them all, what is not there"):
        refuse("shop", [f for f in found if f.rule == "missing_table"])


def test_a_table_that_is_not_read_is_no_missing_one(tables, tmp_path):
    """Without its outcomes a log would say that nobody answered."""
    for name, table in tables.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    (tmp_path / "outcomes.csv").rename(tmp_path / "outcomes.csv.gz")
    with pytest.raises(
        BadLog, match=r"outcomes\.csv\.gz is not read: a table is outcomes\.parquet"
    ):
        read_log(tmp_path)


def test_without_propensities_none_is_asked_for(tables):
    tables["decisions"] = tables["decisions"].drop(columns="propensity")
    log = log_of(tables, LogMeta(propensities="none"))
    found = findings(log)
    assert found == []
    assert "none" in quality(log, found).evaluate


def test_what_is_sent_should_have_been_offered(tables):
    tables["decisions"].loc[0, "candidates"] = "sofa"
    found = findings(log_of(tables))
    assert [(f.rule, f.severity) for f in found] == [("not_offered", WARNING)]


def test_a_purchase_has_an_amount_and_an_outcome_comes_once(tables):
    tables["events"].loc[2, "value"] = ""
    tables["outcomes"] = pd.concat([tables["outcomes"], tables["outcomes"].iloc[[1]]])
    tables["outcomes"].iloc[2, 3] = "0"
    found = [(f.table, f.rule, f.severity, f.rows) for f in findings(log_of(tables))]
    assert found == [
        ("events", "no_amount", WARNING, (2,)),
        ("outcomes", "repeated", WARNING, (2,)),
    ]


def test_quality_counts(tables):
    log = log_of(tables)
    figures = quality(log, [])
    assert (figures.sends, figures.send_share, figures.users) == (1, 0.5, 2)
    assert figures.rates == {"opened": 1.0, "clicked": 1.0}
    assert "only 1 sends" in figures.fit


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_log_is_read_as_it_was_written(tables, tmp_path, ending):
    if ending == "csv":
        for name, table in tables.items():
            table.to_csv(tmp_path / f"{name}.csv", index=False)
    else:
        write_log(tmp_path, log_of(tables).tables, LogMeta(currency="EUR"))
    log = load_checked(tmp_path)
    for name, table in log_of(tables).tables.items():
        pd.testing.assert_frame_equal(log.tables[name], table)


def test_loading_a_log_with_errors_says_what_to_do(tables, tmp_path):
    tables["items"].loc[0, "price"] = "-1"
    tables["users"].loc[0, "timezone"] = "Nowhere"
    write_log(tmp_path, {k: t.astype(str) for k, t in tables.items()}, LogMeta())
    with pytest.raises(BadLog, match=r"timezone.*and \d more.*pushwise check"):
        load_checked(tmp_path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "holds no table"),
        (lambda path: (path / "users.parquet").write_text("no"), r"users\.parquet can't be read"),
        (lambda path: [(path / f"users.{e}").write_text("a") for e in ("csv", "parquet")], "both"),
        (
            lambda path: [(path / n).write_text("[") for n in ("log.json", "users.csv")],
            r"log\.json is not JSON",
        ),
        (
            lambda path: [
                (path / n).write_text('{"holdout_share": 2}') for n in ("log.json", "users.csv")
            ],
            "holdout_share is 2; write a number from 0 to 1",
        ),
    ],
)
def test_what_is_no_log_is_refused(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(BadLog, match=message):
        read_log(tmp_path)
