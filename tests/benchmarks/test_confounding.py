"""The policies whose logs the benchmark of confounding compares do what their names say."""

import numpy as np
import pytest

from benchmarks.confounding import ALONE, LOGS, USUAL, Args, gained, sends_alone, written
from ingestion.log import Log
from simulator.worlds import known_world

ARGS = Args(users=150, days=15)


@pytest.fixture(scope="module")
def logs() -> dict[str, Log]:
    world = known_world("logit").simulator(ARGS.users, 0)
    return {name: written(world, name, ARGS)[0] for name in LOGS if name != ALONE}


def opened(log: Log, copy: str | None = None) -> float:
    """Share of the pushes, of one copy or of all, that were opened."""
    sends = log.tables["decisions"].dropna(subset="send_at")
    if copy is not None:
        sends = sends[sends["variant_id"] == copy]
    outcomes = log.tables["outcomes"]
    return (
        sends["decision_id"]
        .isin(outcomes.loc[outcomes["outcome"] == "opened", "decision_id"])
        .mean()
    )


def test_what_a_policy_knows_is_in_the_answers_and_not_in_the_log(logs):
    usual = logs[USUAL]
    assert opened(logs["knows good moments to send"]) > 1.3 * opened(usual)
    assert opened(logs["knows who opens, and when"]) > 1.2 * opened(usual)
    kept = logs["knows good moments for one copy"]
    assert opened(kept, "copy-5") > 1.5 * opened(usual, "copy-5")
    for log in logs.values():
        assert list(log.tables["decisions"]) == list(usual.tables["decisions"])


def test_knowing_a_copy_or_an_hour_changes_no_rate_of_sends(logs):
    def rate(name: str) -> float:
        return logs[name].tables["decisions"]["send_at"].notna().mean()

    assert rate("knows good moments for one copy") == pytest.approx(rate(USUAL), abs=0.02)


def test_a_rule_explores_in_its_week_alone(logs):
    never = logs["a rule"].tables["decisions"]
    assert set(never["variant_id"].dropna()) == {"copy-1"}
    assert (never["propensity"] == 1).all()
    for name in ("a rule, a week with 5 % exploration", "a rule, a week drawn as usual"):
        table = logs[name].tables["decisions"]
        day = (table["decided_at"] - table["decided_at"].min()).dt.days
        drawn = day[table["propensity"] < 1]
        assert drawn.min() >= 4
        assert drawn.max() <= 12


def test_sends_alone_have_no_lists_and_a_log_of_the_same_users_has_the_same_shares(logs):
    bare = sends_alone(logs[USUAL]).tables["decisions"]
    assert bare["send_at"].notna().all()
    assert bare[["propensity", "candidates", "variants", "hours"]].isna().all(axis=None)
    share = np.array([0.5, 0.7])
    assert gained(share, share) == "60.0"
    assert gained(share + 0.1, share) == "70.0 (+10.0 ±0.0)"
