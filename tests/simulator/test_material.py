"""What a log gives to learn from is the same in parts as in one piece, and of some users alone."""

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from ingestion.log import Log
from ingestion.parse import log_of
from ingestion.parted import PartedLog, parted
from ingestion.splits import of_users, split_time
from ingestion.write import write_log
from mdp.errors import BadLog
from simulator.demo import demo
from simulator.fit_delays import delays_of
from simulator.fit_logging import logging_policy
from simulator.material import Material, acts_of, material_of, material_of_parts
from simulator.worlds import known_world


@pytest.fixture(scope="module")
def log() -> Log:
    """60 users and 20 days: some decisions without lists, one of which sent a variant that is only
    a draft, changes of consent and attributes."""
    made = demo(known_world("anyway").simulator(60, 3), 20, 3)
    tables = dict(made.tables)
    users, decisions = tables["users"], tables["decisions"]
    tables["variants"] = tables["variants"].assign(status="approved")
    tables["variants"].loc[3, "status"] = "draft"
    names = list(users["user_id"].iloc[:6])
    bare = decisions["user_id"].isin(names)
    tables["decisions"] = decisions.assign(
        variants=decisions["variants"].where(~bare), candidates=decisions["candidates"].where(~bare)
    )
    at = decisions["decided_at"].iloc[100]
    tables["changes"] = pd.DataFrame(
        {"table": "users", "id": names, "column": "consent", "value": "false", "at": at}
    )
    return log_of(tables, made.meta)


@pytest.fixture(scope="module")
def parts(log, tmp_path_factory) -> Iterator[PartedLog]:
    path = tmp_path_factory.mktemp("log")
    write_log(path, log.tables, log.meta)
    with parted(path, 4) as whole:
        yield whole


def assert_same(one: Material, other: Material) -> None:
    for part in ("events", "decisions"):
        mine, theirs = getattr(one, part), getattr(other, part)
        for each in fields(mine):
            found, wanted = getattr(mine, each.name), getattr(theirs, each.name)
            if each.name != "rows":  # of other tables
                np.testing.assert_array_equal(found, wanted, err_msg=each.name)
    np.testing.assert_array_equal(one.outcome, other.outcome)
    np.testing.assert_array_equal(one.reward, other.reward)
    assert set(one.pushed) >= set(other.pushed)
    assert list(one.rest.people["user_id"]) == list(other.events.user_ids)
    mine, theirs = acts_of(one), acts_of(other)
    for each in fields(mine):
        np.testing.assert_array_equal(getattr(mine, each.name), getattr(theirs, each.name))
    assert delays_of(one) == delays_of(other)
    np.testing.assert_equal(vars(logging_policy(one)), vars(logging_policy(other)))


def test_a_log_in_parts_gives_what_the_whole_one_does(log, parts):
    whole = material_of(log)
    assert not whole.decisions.listed.all()
    assert whole.pushed.size
    assert_same(material_of_parts(parts), whole)


def test_some_users_give_what_a_log_of_them_does(log):
    until = split_time(log)
    rows = np.arange(0, 60, 2)
    material = material_of(log, until)
    ids = [material.events.user_ids[row] for row in rows]
    assert_same(material.of_users(rows), material_of(of_users(log, ids), until))


def test_a_log_of_some_users_is_the_same_from_parts(log, parts):
    ids = list(log.tables["users"]["user_id"].iloc[5:20])
    mine, whole = parts.of_users(ids), of_users(log, ids)
    for name in ("users", "events", "decisions", "outcomes"):
        pd.testing.assert_frame_equal(mine.tables[name], whole.tables[name])


def test_errors_of_any_part_are_counted_and_the_first_is_named(log, tmp_path):
    events = log.tables["events"].copy()
    events.loc[[4, 900], "user_id"] = "nobody"
    write_log(tmp_path, {**log.tables, "events": events}, log.meta)
    with (
        pytest.raises(BadLog, match=r"events.user_id: .* in 2 rows, first 4, 900"),
        parted(tmp_path, 4),
    ):
        pass
