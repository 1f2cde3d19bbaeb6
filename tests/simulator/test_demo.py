"""The demo: a log with exact propensities, and the truth from where a fit would start."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ingestion.log import Log, epoch_us
from ingestion.parse import log_of
from ingestion.replay import snapshots, to_events
from ingestion.splits import split_time
from mdp.clock import NEVER
from mdp.errors import BadSetting
from simulator.demo import demo
from simulator.kernel import Kernel
from simulator.worlds.logit import LogitShop


@pytest.fixture(scope="module")
def made():
    return demo(LogitShop().simulator(50, 4), 15, 4)


def test_every_table_of_the_format_is_there(made):
    assert set(made.tables) == {"users", "items", "variants", "events", "decisions", "outcomes"}
    assert len(made.tables["users"]) == 50
    ids = made.tables["decisions"]["decision_id"]
    assert ids.is_unique
    assert made.tables["events"]["event_id"].is_unique
    assert made.tables["outcomes"]["decision_id"].isin(ids).all()
    outcomes = made.tables["outcomes"].merge(made.tables["decisions"], on="decision_id")
    assert (outcomes["at"] >= outcomes["send_at"]).all()


def test_propensities_are_exact(made):
    """Of the logging policy: 0.55 for a hold, and for sends what adds up to 0.45."""
    decisions = made.tables["decisions"]
    held = decisions["item_id"].isna()
    assert decisions["propensity"].between(0, 1, inclusive="right").all()
    free = decisions["hours"].notna() & decisions["candidates"].notna()
    assert decisions.loc[held & free, "propensity"].round(9).eq(0.55).all()
    assert decisions.loc[~free, "propensity"].eq(1.0).all()
    # Inverse propensities average to the number of actions, here: sends that are allowed.
    sends = decisions[~held]
    count = sends["candidates"].str.count(r"\|") + 1
    count *= (sends["variants"].str.count(r"\|") + 1) * (sends["hours"].str.count(r"\|") + 1)
    ratio = (1 / sends["propensity"]).sum() / (count / 0.45).sum()
    assert ratio == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("zones", [None, "Europe/London", "Asia/Kolkata"])
@pytest.mark.parametrize("days", [1, 15, 31])
def test_the_truth_starts_where_a_fit_does(days, zones):
    simulator = LogitShop().simulator(30, 4)
    if zones:
        simulator = replace(simulator, users=replace(simulator.users, zones=(zones,) * 30))
    made = demo(simulator, days, 4)
    log = Log(made.tables)
    if days > 2:
        assert made.truth.start == split_time(log)
    kernel = Kernel(made.truth, np.arange(30))
    place = {user: row for row, user in enumerate(simulator.users.ids)}
    decided = epoch_us(made.tables["decisions"]["decided_at"])
    row = made.tables["decisions"]["user_id"].map(place).to_numpy()
    earlier = decided < kernel.at[row]
    last = np.full(30, NEVER)
    np.maximum.at(last, row[earlier], decided[earlier])
    np.testing.assert_array_equal(made.truth.histories["decided_at"], last)
    assert (made.truth.histories["last_at"] < kernel.at).all()


def test_the_log_leads_to_the_histories_of_the_truth(made):
    users = to_events(log_of(made.tables))
    kernel = Kernel(made.truth, np.arange(50))
    states = snapshots(users, np.arange(50), kernel.at)
    assert states.tobytes() == made.truth.histories.tobytes()


def test_the_log_says_how_far_it_is_complete(made):
    assert made.meta.complete_until is not None
    assert made.meta.complete_until > made.tables["decisions"]["decided_at"].max() - pd.Timedelta(
        "1D"
    )


def test_no_days_make_no_demo():
    with pytest.raises(BadSetting, match="--days is 0"):
        demo(LogitShop().simulator(3, 0), 0, 0)
