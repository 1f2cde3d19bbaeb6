"""Cleaning ends without errors, balances, and does nothing the second time."""

import pandas as pd
import pytest

from ingestion.check import findings
from ingestion.clean import clean
from ingestion.log import LogMeta
from ingestion.rules import ERROR
from mdp.errors import BadLog

META = LogMeta(default_timezone="Europe/Berlin")


@pytest.fixture
def dirty(tables) -> dict[str, pd.DataFrame]:
    tables["users"].loc[1, "timezone"] = "Nowhere"
    tables["items"].loc[1, "price"] = "-3"
    tables["events"].loc[0, "at"] = "2026-03-01 10:00"
    tables["outcomes"].loc[1, "decision_id"] = "d9"
    tables["decisions"].loc[1, "propensity"] = "2"
    tables["events"] = pd.concat([tables["events"], tables["events"].iloc[[2]]], ignore_index=True)
    return tables


def test_a_dirty_log_comes_out_clean_and_balanced(dirty):
    log, record = clean(dirty, META)
    assert [f for f in findings(log) if f.severity == ERROR] == []
    for name, count in record.rows_in.items():
        assert count == len(log.tables[name]) + sum(record.dropped.get(name, {}).values())
    assert record.dropped == {
        "events": {"user_id: repeated_row": 1, "item_id: unknown": 1},
        "items": {"price: out_of_range": 1},
        "decisions": {"propensity: propensity": 1},
        "outcomes": {"decision_id: unknown": 1},
    }
    assert record.repaired["users"] == {"timezone: zone": 1}
    assert record.repaired["events"] == {"at: naive_time": 1}
    assert record.repaired["decisions"] == {"candidates: unknown_listed": 1}


def test_a_missing_zone_is_the_shops_where_that_is_known(tables):
    tables["users"].loc[1, "timezone"] = ""
    log, record = clean(tables, META)
    assert log.tables["users"]["timezone"].tolist() == ["Europe/Berlin"] * 2
    assert (record.dropped, record.repaired) == ({}, {"users": {"timezone: no_zone": 1}})
    log, record = clean(tables, LogMeta())
    assert record.dropped["users"] == {"timezone: no_zone": 1}


def test_a_decision_outlives_an_unknown_id_on_its_list(tables):
    tables["decisions"].loc[0, "candidates"] = "lamp|gone"
    tables["decisions"].loc[1, "candidates"] = "gone"
    log, record = clean(tables, META)
    assert record.dropped == {}
    assert record.repaired == {"decisions": {"candidates: unknown_listed": 2}}
    assert log.tables["decisions"]["candidates"].fillna("").tolist() == ["lamp", ""]


def test_the_zone_added_is_the_shops(dirty):
    log, _ = clean(dirty, META)
    assert log.tables["events"]["at"].iloc[0] == pd.Timestamp("2026-03-01T09:00:00Z")


def test_cleaning_twice_changes_nothing(dirty):
    once, first = clean(dirty, META)
    twice, record = clean({name: once.tables[name] for name in first.rows_in}, META)
    assert record.dropped == record.repaired == {}
    for name in first.rows_in:
        pd.testing.assert_frame_equal(once.tables[name], twice.tables[name])


def test_a_missing_column_cannot_be_made_up(tables):
    tables["events"] = tables["events"].drop(columns="at")
    with pytest.raises(BadLog, match=r"events\.at.*can't make it up"):
        clean(tables, META)
