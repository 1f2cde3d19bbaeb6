"""Decisions as they were faced, and what followed them."""

import numpy as np
import pandas as pd
import pytest

from ingestion.catalog import catalog_of
from ingestion.log import Log
from ingestion.logged_decisions import attributed, decisions_of, requests_of
from ingestion.parse import log_of
from ingestion.replay import to_events
from mdp.clock import DAY, HOUR
from mdp.guardrails import Reason
from mdp.observation import Requests
from mdp.reward import Reward


def us(text: str) -> int:
    return int(pd.Timestamp(text).value // 1000)


@pytest.fixture
def log(tables) -> Log:
    return log_of(tables)


def test_decisions_know_their_lists_and_slots(log):
    catalog = catalog_of(log)
    decisions = decisions_of(log, catalog, to_events(log))
    lamp, sofa = catalog.items.row["lamp"], catalog.items.row["sofa"]
    np.testing.assert_array_equal(decisions.items, [[lamp, sofa], [sofa, -1]])
    np.testing.assert_array_equal(decisions.variants, [[0, 1], [0, 1]])  # not logged: all
    assert (decisions.k[0], decisions.v[0], decisions.h[0]) == (0, 0, 18)
    assert (decisions.k[1], decisions.v[1], decisions.h[1]) == (-1, -1, -1)
    np.testing.assert_array_equal(decisions.propensity, [0.25, 0.5])
    np.testing.assert_array_equal(decisions.sent, [True, False])


def test_without_lists_the_item_sent_is_the_only_candidate(tables):
    tables["decisions"] = tables["decisions"].drop(columns="candidates")
    log = log_of(tables)
    decisions = decisions_of(log, catalog_of(log), to_events(log))
    assert decisions.items[0].tolist() == [0]
    assert decisions.items[1].tolist() == [-1]


@pytest.mark.parametrize(
    ("arm", "kept"), [("policy", 2), ("challenger:B", 2), ("holdout", 1), ("critical", 1)]
)
def test_only_draws_of_a_policy_are_decisions(tables, arm, kept):
    tables["decisions"]["arm"] = [arm, "policy"]
    log = log_of(tables)
    assert len(decisions_of(log, catalog_of(log), to_events(log)).rows) == kept


def test_a_send_that_is_not_on_its_list_is_left_out(tables):
    tables["decisions"].loc[0, "candidates"] = "sofa"
    log = log_of(tables)
    decisions = decisions_of(log, catalog_of(log), to_events(log))
    assert decisions.rows.tolist() == [1]


def requests(tables) -> Requests:
    log = log_of(tables)
    catalog, users = catalog_of(log), to_events(log)
    return requests_of(log, catalog, users, decisions_of(log, catalog, users))


def test_logged_lists_are_what_was_allowed_whatever_the_catalogue_says_since(tables):
    tables["items"]["stock"] = ["0", "5"]
    tables["variants"]["status"] = ["approved", "rejected"]
    tables["variants"]["segment"] = ["vip", ""]
    tables["decisions"]["variants"] = ["v1|v2", "v1"]
    asked = requests(tables)
    np.testing.assert_array_equal(asked.item_reason, [[0, 0], [0, Reason.PADDING]])
    np.testing.assert_array_equal(asked.variant_reason, [[0, 0], [0, Reason.PADDING]])


def test_lists_of_variants_that_were_not_logged_are_held_to_the_catalogue(tables):
    tables["users"]["segment"] = ["vip", "new"]
    tables["variants"]["segment"] = ["vip", "vip"]
    other = int(Reason.OTHER_SEGMENT)
    np.testing.assert_array_equal(requests(tables).variant_reason, [[0, 0], [other, other]])
    tables["users"]["segment"] = ["new", "new"]  # ann was vip when v1 was sent to her
    np.testing.assert_array_equal(requests(tables).variant_reason, [[0, other], [other, other]])


def test_copy_that_was_sent_and_rejected_since_stays_with_its_send(tables):
    tables["variants"]["status"] = ["rejected", "approved"]
    not_approved = int(Reason.NOT_APPROVED)
    np.testing.assert_array_equal(requests(tables).variant_reason, [[0, 0], [not_approved, 0]])


def test_a_purchase_after_the_click_is_the_decisions(log):
    catalog, users = catalog_of(log), to_events(log)
    decisions = decisions_of(log, catalog, users)
    followed = attributed(log, catalog, users, decisions, Reward())
    np.testing.assert_array_equal(followed.value, [20.0, 0.0])
    np.testing.assert_array_equal(followed.clicked, [True, False])
    np.testing.assert_allclose(followed.reward, [0.25 * 20 + 0.2 - 0.01, 0.0])
    sent_at = us("2026-03-02T18:00:00+01:00")
    assert followed.closes_at[0] == sent_at + 96 * HOUR
    assert followed.closes_at[1] == decisions.decided_at[1] + DAY


def test_an_empty_log_has_no_decisions(tables):
    log = log_of({name: table.iloc[:0] for name, table in tables.items()})
    catalog, users = catalog_of(log), to_events(log)
    decisions = decisions_of(log, catalog, users)
    assert len(requests_of(log, catalog, users, decisions).histories) == 0
    assert len(attributed(log, catalog, users, decisions, Reward()).reward) == 0
