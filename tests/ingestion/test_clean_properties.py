"""Whatever dirt a log holds: cleaning ends, loses nothing silently, and does nothing again."""

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.check import problems_of
from ingestion.clean import clean
from ingestion.log import LogMeta
from ingestion.rules import ERROR, RULES
from mdp.errors import BadLog

DIRT = [
    *("", " ", "nan", "-1", "0", "1e400", "1767225600", "true", "9" * 30, "ann", " lamp ", "LAMP"),
    *("d1", "d2", "v1|v9", "lamp||lamp", "|", "25", "8|x", "policy", "challenger:", "clicked"),
    *("purchase", "view", "2026-03-01T10:00", "2026-03-29T02:30", "2026-10-25 02:30", "2026-02-31"),
    *("1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "2026-03-02T19:00:00+01:00", "Acme", "ACME "),
    *("<b>x</b>", "&lt;i&gt;", "\x00", "ＡＢ", "👩‍👧", "Mars/Phobos", "../etc", "Asia/Shanghai"),
]
cells = st.tuples(
    st.sampled_from(["users", "items", "variants", "events", "decisions", "outcomes", "reviews"]),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.sampled_from(DIRT) | st.text(max_size=8),
)
copies = st.tuples(
    st.sampled_from(["users", "items", "events", "decisions", "outcomes", "reviews"])
)
OPTIONAL = {
    "users": ("consent", "locale"),
    "items": ("margin", "rating", "available_until", "stock"),
    "variants": ("item_id", "status"),
    "events": (),
    "decisions": ("variants", "hours", "turn", "arm"),
    "outcomes": (),
    "reviews": ("rating", "user_id", "at"),
}
zones = st.sampled_from([None, "Europe/Berlin", "America/New_York"])


def _dirty(tables, spoilt, doubled):
    tables = {name: table.copy() for name, table in tables.items()}
    texts = ["The lamp is lovely and its light is warm, so I bought two", "灯很漂亮，光线也柔和"]
    tables["reviews"] = pd.DataFrame({"item_id": ["lamp", "lamp"], "text": texts, "language": ""})
    for (name,) in doubled:
        tables[name] = pd.concat([tables[name], tables[name]], ignore_index=True)
    for name, row, column, value in spoilt:
        frame = tables[name]
        for extra in OPTIONAL[name]:
            if extra not in frame:
                frame[extra] = ""
        frame.iloc[row % len(frame), column % len(frame.columns)] = value
    return tables


def _settings(examples):
    unwarned = [HealthCheck.function_scoped_fixture]
    return settings(max_examples=examples, deadline=None, suppress_health_check=unwarned)


@_settings(8)
@given(st.lists(cells, min_size=2, max_size=8), st.lists(copies, max_size=2), zones)
def test_cleaning_any_dirt_balances_and_is_idempotent(tables, spoilt, doubled, zone):
    balanced_and_idempotent(tables, spoilt, doubled, zone)


@pytest.mark.slow
@_settings(60)
@given(st.lists(cells, max_size=10), st.lists(copies, max_size=2), zones)
def test_cleaning_much_more_dirt_balances_and_is_idempotent(tables, spoilt, doubled, zone):
    balanced_and_idempotent(tables, spoilt, doubled, zone)


def balanced_and_idempotent(tables, spoilt, doubled, zone):
    meta = LogMeta(default_timezone=zone)
    raw = _dirty(tables, spoilt, doubled)
    log, record = clean(raw, meta)
    assert not any(RULES[each.rule].severity == ERROR for each in problems_of(log))
    dropped = record.rows.query("action == 'drop'")
    assert not dropped.duplicated(["table", "row"]).any()
    for name, count in record.rows_in.items():
        assert count == len(log.tables[name]) + (dropped["table"] == name).sum()
    again, nothing = clean({name: log.tables[name] for name in record.rows_in}, meta)
    assert (nothing.dropped, nothing.repaired) == ({}, {})
    assert nothing.flagged == record.flagged
    for name in record.rows_in:
        pd.testing.assert_frame_equal(log.tables[name], again.tables[name])


@_settings(8)
@given(
    st.sampled_from(["users", "items", "events", "decisions", "outcomes"]),
    st.sampled_from(["lists", "numbers", "times", "bytes", "nothing"]),
    st.integers(0, 100),
)
def test_columns_of_any_type_end_in_a_clean_log_or_a_documented_error(tables, name, kind, column):
    frame = tables[name].copy()
    values = {
        "lists": [["a", None]] * len(frame),
        "numbers": [float("inf")] * len(frame),
        "times": pd.to_datetime(["2026-03-01"] * len(frame)),
        "bytes": [b"\xff"] * len(frame),
        "nothing": [None] * len(frame),
    }
    frame[frame.columns[column % len(frame.columns)]] = values[kind]
    try:
        log, record = clean({**tables, name: frame}, LogMeta())
    except BadLog:
        return
    for table, count in record.rows_in.items():
        assert count == len(log.tables[table]) + sum(record.dropped.get(table, {}).values())


def test_a_log_without_a_needed_table_is_the_documented_error(tables):
    del tables["users"]
    with pytest.raises(BadLog, match=r"users.*can't make it up"):
        clean(tables, LogMeta())
