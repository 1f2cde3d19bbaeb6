"""Replay: a log's rows as events, states at each decision, lists as logged."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ingestion.catalog import catalog_of
from ingestion.log import Log
from ingestion.logged_decisions import attributed, decisions_of
from ingestion.parse import log_of
from ingestion.replay import replay, snapshots, to_events
from mdp.clock import NEVER, zone_code
from mdp.events import Kind
from mdp.hashing import hash_id, style_bucket
from mdp.reward import Reward
from mdp.state import COUNTS, RELEASED


def us(text: str) -> int:
    return int(pd.Timestamp(text).value // 1000)


def with_rows(log: Log, name: str, rows: list[dict]) -> Log:
    """The log with further rows in one table."""
    own = log.tables[name]
    more = pd.DataFrame(rows).reindex(columns=own.columns)
    for column in ("at", "decided_at", "send_at"):
        if column in more:
            more[column] = pd.to_datetime(more[column], utc=True)
    more = more.astype({column: own[column].dtype for column in own.columns})
    return log.replace_tables(**{name: pd.concat([own, more], ignore_index=True)})


@pytest.fixture
def log(tables) -> Log:
    return log_of(tables)


def test_every_row_is_an_event_in_order(log):
    users = to_events(log)
    assert users.user_ids == ("ann", "bob")
    np.testing.assert_array_equal(
        users.zone, [zone_code("Europe/Berlin"), zone_code("America/New_York")]
    )
    ann = users.events[users.owner == 0]
    assert [Kind(kind).name for kind in ann["kind"]] == [
        "VIEW", "SEND", "OPENED", "CLICKED", "PURCHASE",
    ]  # fmt: skip
    bob = users.events[users.owner == 1]
    assert [Kind(kind).name for kind in bob["kind"]] == ["HOLD", "VIEW"]


def test_a_send_carries_what_was_sent_and_when(log):
    send = to_events(log).events[1]
    assert send["id"] == send["decision"] == hash_id("d1")
    assert send["item"] == hash_id("lamp")
    assert send["style"] == style_bucket("plain")
    assert send["send_at"] == us("2026-03-02T18:00:00+01:00")


def test_a_hold_carries_nothing(log):
    users = to_events(log)
    hold = users.events[users.owner == 1][0]
    assert (hold["item"], hold["style"], hold["send_at"]) == (0, -1, NEVER)


def test_outcomes_are_named_after_their_decision_and_kind(log):
    opened = to_events(log).events[2]
    assert opened["id"] == hash_id("d1|opened")
    assert opened["decision"] == hash_id("d1")


def test_hours_are_the_users_own(log):
    users = to_events(log)
    visit = users.events["kind"] == Kind.VIEW
    # 10:00 in Berlin; 10:00+01:00 is 4 in the morning in New York.
    assert users.events["hour"][visit].tolist() == [10, 4]


def test_a_missing_zone_is_the_shops_default(tables):
    tables["users"].loc[1, "timezone"] = ""
    log = log_of(tables)
    log = replace(log, meta=replace(log.meta, default_timezone="Asia/Kolkata"))
    assert to_events(log).zone[1] == zone_code("Asia/Kolkata")


def test_rows_of_unknown_users_are_left_out(log):
    more = with_rows(
        log, "events", [{"user_id": "eve", "item_id": "lamp", "event": "view", "at": "2026-03-01"}]
    )
    assert to_events(more).events.tobytes() == to_events(log).events.tobytes()


def test_the_order_of_rows_does_not_matter(log):
    turned = {name: table.iloc[::-1].reset_index(drop=True) for name, table in log.tables.items()}
    again = to_events(log.replace_tables(**turned))
    assert again.events.tobytes() == to_events(log).events.tobytes()
    assert replay(again).tobytes() == replay(to_events(log)).tobytes()


def test_events_without_ids_get_some_that_do_not_depend_on_the_order(tables):
    tables["events"] = pd.concat([tables["events"].drop(columns="event_id")] * 2)
    log = log_of(tables)
    ids = to_events(log).events["id"]
    assert len(np.unique(ids)) == len(ids)
    shuffled = log.tables["events"].iloc[::-1].reset_index(drop=True)
    assert to_events(log.replace_tables(events=shuffled)).events["id"].tobytes() == ids.tobytes()


def test_the_state_counts_what_happened(log):
    ann = replay(to_events(log))[0]
    shortest = dict(zip(COUNTS, ann["counts"][:, 3], strict=True))
    for name in ("sends", "opens", "clicks", "purchases", "organic_views", "organic_purchases"):
        assert shortest[name] == pytest.approx(1.0, abs=0.05), name
    assert shortest["dismissals"] == 0.0
    before = replay(to_events(log), us("2026-03-02T18:00:00+01:00"))[0]
    assert before["counts"][COUNTS.index("opens")].sum() == 0.0


def test_changes_of_consent_apply_from_their_time_on(log):
    table = {"table": "users", "id": "ann", "column": "consent"}
    withdrawn = with_rows(
        log,
        "changes",
        [
            {**table, "value": "false", "at": "2026-03-02T12:00:00Z"},
            {**table, "value": "true", "at": "2026-03-04T12:00:00Z"},
        ],
    )
    users = to_events(withdrawn)
    at = [us(f"2026-03-0{day}T13:00:00Z") for day in (1, 3, 5)]
    states = snapshots(users, np.zeros(3, np.int64), np.array(at))
    assert states["consent"].tolist() == [1, 0, 1]
    assert replay(users)["consent"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("value", "given"), [("true", 1), ("True", 1), ("1", 1), ("yes", 1), ("no", 0), ("maybe", 0)]
)
def test_consent_reads_as_in_the_users_table(log, value, given):
    row = {"table": "users", "id": "ann", "column": "consent", "value": value}
    changed = with_rows(log, "changes", [{**row, "at": "2026-03-02T12:00:00Z"}])
    assert replay(to_events(changed))["consent"].tolist() == [given, 1]


def test_a_consent_first_given_later_was_missing_before(log):
    row = {"table": "users", "id": "bob", "column": "consent", "value": "true"}
    given = with_rows(log, "changes", [{**row, "at": "2026-03-05T00:00:00Z"}])
    users = to_events(given)
    states = snapshots(users, np.ones(2, np.int64), np.array([us("2026-03-04"), us("2026-03-06")]))
    assert states["consent"].tolist() == [0, 1]


def test_an_outcome_that_is_delivered_twice_counts_once(tables):
    claim = {"decision_id": "d1", "outcome": "purchased", "at": "2026-03-03T10:00:00+01:00"}
    once = pd.concat([tables["outcomes"], pd.DataFrame([{**claim, "value": "20"}])])
    answers = []
    for outcomes in (once, pd.concat([once, once])):
        log = log_of({**tables, "outcomes": outcomes})
        catalog, users = catalog_of(log), to_events(log)
        decisions = decisions_of(log, catalog, users)
        value = attributed(log, catalog, users, decisions, Reward()).value
        answers.append((replay(users).tobytes(), value.tolist()))
    assert answers[0] == answers[1]


def test_a_cancelled_send_frees_its_place(log):
    cancelled = with_rows(
        log,
        "outcomes",
        [{"decision_id": "d1", "outcome": "cancelled", "at": "2026-03-02T10:00:00Z"}],
    )
    state = replay(to_events(cancelled), us("2026-03-02T16:00:00Z"))[0]
    assert state["ring"]["status"][0] == RELEASED


def test_snapshots_hold_the_visit_of_the_same_instant_but_not_the_decision(log):
    at = us("2026-03-02T00:00:00+01:00")
    same = with_rows(
        log,
        "events",
        [{"user_id": "ann", "item_id": "sofa", "event": "view", "at": "2026-03-01T23:00:00Z"}],
    )
    state = snapshots(to_events(same), np.array([0]), np.array([at]))[0]
    assert state["counts"][COUNTS.index("organic_views"), 3] > 1.9
    assert state["decided_at"] == NEVER


def test_snapshots_come_back_in_the_order_they_were_asked_for(log):
    users = to_events(log)
    at = np.array([us("2026-03-06"), us("2026-03-01"), us("2026-03-06"), us("2026-03-03")])
    owner = np.array([0, 0, 1, 0])
    together = snapshots(users, owner, at)
    for n in range(4):
        alone = snapshots(users, owner[n : n + 1], at[n : n + 1])
        assert alone[0].tobytes() == together[n].tobytes()


def test_an_empty_log_has_no_users(tables):
    log = log_of({name: table.iloc[:0] for name, table in tables.items()})
    users = to_events(log)
    assert users.user_ids == ()
    assert len(replay(users)) == len(users.events) == 0
