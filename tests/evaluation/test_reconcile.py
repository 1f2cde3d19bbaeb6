"""Predictions against what happened."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.coverage import NEAR
from evaluation.assessment import assess
from evaluation.intervals import Interval, Intervals
from evaluation.logs import assess_policy
from evaluation.reconcile import compared, read_report, reconcile, record
from evaluation.replayed import Replayed, replayed
from evaluation.report import reconciled_lines, to_json
from evaluation.specification import parse
from ingestion.parse import log_of
from mdp.errors import BadInput, NotEnoughData
from policies.saved import PolicyBundle
from simulator.demo import Demo, demo
from simulator.worlds.logit import LogitShop


@pytest.fixture(scope="module")
def made() -> Demo:
    """200 users for 16 days."""
    return demo(LogitShop().simulator(200, 3), 16, 3)


@pytest.fixture(scope="module")
def replay(made: Demo) -> Replayed:
    """Half of the users are decided for by the policy on trial, which is the logging policy."""
    decisions = made.tables["decisions"].copy()
    users = made.tables["users"]["user_id"].to_numpy()
    coin = np.random.default_rng(0).random(len(users)) < 0.5
    trial = decisions["user_id"].isin(users[coin])
    decisions["policy_hash"] = np.where(trial, "trial", "before")
    return replayed(log_of({**made.tables, "decisions": decisions}, made.meta))


@pytest.fixture(scope="module")
def bundle(made: Demo) -> PolicyBundle:
    rules = replace(made.truth.guardrails, floor=0.0)
    policy = made.truth.logging
    return PolicyBundle(
        policy, None, None, made.truth.reward, rules, None, {"policy_hash": "trial"}
    )


@pytest.fixture(scope="module")
def report(replay, bundle) -> dict:
    found = assess_policy(replay, bundle, "logging", None, parse("snips"))
    return {"policies": [json.loads(json.dumps(to_json(found)))]}


def test_what_was_predicted_happens(report, replay, bundle):
    found = reconcile(report, replay, bundle, "logging")
    assert found.estimator == "snips"
    assert found.value.held
    assert found.difference is not None
    assert found.difference.held
    rewards = replay.attributed(bundle.reward).reward
    table = replay.log.tables["decisions"].iloc[replay.decisions.rows]
    closed = replay.decisions.decided_at + 5 * 86_400e6 <= replay.complete_until
    own = (table["policy_hash"] == "trial").to_numpy() & closed
    assert found.rows == own.sum()
    assert found.value.happened.value == pytest.approx(rewards[own].mean())
    assert found.beside[0] + found.rows == closed.sum()
    assert any("happened: held" in line for line in reconciled_lines(found, (1, 1)))


def test_what_was_promised_does_not_happen(report, replay, bundle):
    entry = report["policies"][0]
    promised = {"snips": {"value": 9.0, "low": 8.5, "high": 9.5}}
    wrong = {"policies": [{**entry, "estimators": promised, "differences": promised}]}
    found = reconcile(wrong, replay, bundle, "logging")
    assert not found.value.held
    lines = reconciled_lines(found, None)
    assert any("did not hold" in line for line in lines)
    assert any("in the states that the logging policy led to" in line for line in lines)


def test_without_anything_beside_it_only_the_value_is_compared(report, replay, bundle):
    decisions = replay.log.tables["decisions"].assign(policy_hash="trial")
    alone = replayed(replay.log.replace_tables(decisions=decisions))
    found = reconcile(report, alone, bundle, "logging")
    assert found.difference is None
    assert any("nothing else ran beside it" in line for line in reconciled_lines(found, None))


def test_a_report_or_a_log_of_another_policy_is_refused(report, replay, bundle):
    other = replace(bundle, manifest={"policy_hash": "other"})
    with pytest.raises(BadInput, match=r"the report does not predict new \(policy_hash other\)"):
        reconcile(report, replay, other, "new")
    entry = {**report["policies"][0], "policy_hash": "other"}
    with pytest.raises(NotEnoughData, match="no closed decision that new made"):
        reconcile({"policies": [entry]}, replay, other, "new")
    bare = {"policies": [{**report["policies"][0], "estimators": {}, "differences": {}}]}
    with pytest.raises(BadInput, match="the report has no number for logging by any of dr, sndr"):
        reconcile(bare, replay, bundle, "logging")
    for estimators in ("none", {"dr": 0.3}, {"dr": {"value": "a", "low": None, "high": 1}}):
        wrong = {"policies": [{**report["policies"][0], "estimators": estimators}]}
        with pytest.raises(BadInput, match="the report has no number for logging"):
            reconcile(wrong, replay, bundle, "logging")


@pytest.mark.parametrize("content", ["[]", '{"policies": 1}', '{"policies": [1]}', "{}"])
def test_what_is_no_report_is_refused(content, tmp_path):
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(BadInput, match="is no report of saved policies on a log"):
        read_report(tmp_path / "report.json")


def test_independent_errors_add_up_in_squares():
    predicted = Interval(1.0, 0.7, 1.3)
    assert compared(predicted, Interval(1.49, 1.09, 1.89)).held
    assert not compared(predicted, Interval(1.51, 1.11, 1.91)).held
    assert compared(predicted, Interval(0.51, 0.11, 0.91)).held
    assert not compared(predicted, Interval(0.49, 0.09, 0.89)).held


def test_predictions_hold_as_often_as_they_say():
    """Of 200 policies evaluated on one log and then run, about 95 % hold."""
    rng, held = np.random.default_rng(0), []
    for run in range(200):
        drawn = NEAR.draw(np.random.default_rng([1, run]))
        before = assess(drawn, "t", parse("snips"), how=Intervals("analytic"))
        truth = NEAR.truth(NEAR.target())
        live = rng.random((500, 8)) < truth
        mean = live.mean()
        half = 1.96 * live.mean(1).std() / 500**0.5
        happened = Interval(mean, mean - half, mean + half)
        held.append(compared(before.estimates[0].value, happened).held)
    assert 0.9 <= np.mean(held) <= 0.99


def test_the_ledger_keeps_coverage_over_time(report, replay, bundle, tmp_path):
    ledger = tmp_path / "held.jsonl"
    found = reconcile(report, replay, bundle, "logging")
    assert record(ledger, found) == (1, 1)
    assert record(ledger, found) == (1, 1)
    missed = replace(
        found,
        policy_hash="another",
        difference=None,
        value=replace(found.value, held=False),
    )
    assert record(ledger, missed) == (2, 1)
    assert len(ledger.read_text().splitlines()) == 2
    ledger.write_text("no json")
    with pytest.raises(BadInput, match="is no ledger"):
        record(ledger, found)
    ledger.write_text("[]")
    with pytest.raises(BadInput, match="it has no policies"):
        read_report(ledger)
