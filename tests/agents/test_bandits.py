"""What bandits learn from a log, and that `learn` takes each by its name."""

import json
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

from agents.algorithms import ALGORITHMS, algorithm_of
from agents.bandits import DRAWS, LinUCBSettings, ThompsonSettings, linucb, recovering, thompson
from agents.bandits import RecoveringSettings as Recovering
from agents.learning import learn
from agents.logged import WINDOW, Logged, logged
from ingestion.log import epoch_us
from ingestion.splits import split_time
from mdp.actions import HOLD, HOURS
from mdp.errors import BadInput, BadSetting, NotEnoughData
from mdp.observation import VARIANT
from policies.bandits import LinearThompson, sent_features
from policies.baselines import StaticRule
from scripts import cli
from scripts.train import __doc__ as TRAIN_HELP


def test_every_algorithm_has_settings_and_stands_in_the_help():
    for algorithm in ALGORITHMS.values():
        settings = algorithm.default_settings()
        assert all(field.name for field in fields(settings))
        assert f"    {algorithm.name} " in (TRAIN_HELP or "")


def test_an_unknown_algorithm_is_answered_with_all_of_them(capsys, tmp_path):
    assert cli.main(["train", "sim", "--algo", "sarsa", "--out", str(tmp_path / "x")]) == 1
    said = capsys.readouterr().err
    assert all(name in said for name in ALGORITHMS)
    with pytest.raises(BadSetting, match="'sarsa'"):
        algorithm_of("sarsa")


def test_logs_are_asked_for_where_they_are_learned_from(shop, log):
    with pytest.raises(BadSetting, match="--logs LOGS"):
        learn(shop, "linucb")
    with pytest.raises(BadSetting, match="leave out --logs"):
        learn(shop, "ppo", log)


def test_the_log_is_read_as_a_policy_would_see_it(shop, data):
    assert data.observation["user"].shape[0] == len(data.action) == len(data.following)
    assert data.sent.any()
    assert (~data.sent).any()
    chained = data.following >= 0
    assert (data.following[chained] == np.flatnonzero(chained) + 1).all()
    assert (data.day[data.following[chained]] >= data.day[chained]).all()
    assert (data.following[data.gone] == -1).all()
    assert (data.reward[~data.sent] == 0).all()
    assert (data.reward[data.gone] < -3).all()
    assert data.usable.sum() < len(data.usable)  # what the last days earned is not all in
    assert data.summary["sends"] == (data.usable & data.sent).sum()


def test_users_are_drawn_of_those_whose_outcomes_are_all_in(shop, log, monkeypatch):
    decisions, outcomes = log.tables["decisions"], log.tables["outcomes"]
    few = sorted(decisions["user_id"].unique())[:5]
    until = split_time(log)
    told = epoch_us(decisions["decided_at"]) + WINDOW <= until
    decisions = decisions[~told | decisions["user_id"].isin(few)].reset_index(drop=True)
    outcomes = outcomes[outcomes["decision_id"].isin(decisions["decision_id"])]
    left = log.replace_tables(decisions=decisions, outcomes=outcomes.reset_index(drop=True))
    fitted = replace(shop, manifest={"trained_until": until})
    whole = logged(left, fitted)
    monkeypatch.setattr("simulator.material.SAMPLE", 5)
    drawn = logged(left, fitted)
    assert drawn.summary["decisions"] == whole.summary["decisions"] > 0


def test_pushes_that_the_guardrails_forbid_are_left_out(shop, log, data):
    strict = replace(shop, guardrails=replace(shop.guardrails, quiet_start="18:00"))
    left = logged(log, strict)
    assert left.masked > data.masked
    assert left.summary["sends"] < data.summary["sends"]
    with pytest.raises(NotEnoughData, match="no push that the guardrails allow"):
        logged(log, replace(shop, guardrails=replace(shop.guardrails, per_7d=0)))


def test_the_log_of_another_shop_is_refused_and_one_that_goes_on_is_not(shop, log, data):
    fitted = replace(shop, manifest={"trained_until": data.until})
    users = log.tables["users"]
    other = users.assign(signed_up_at=users["signed_up_at"] - np.timedelta64(3, "D"))
    with pytest.raises(BadInput, match="the log is not of the shop that the simulator was fitted"):
        logged(log.replace_tables(users=other), fitted)
    newer = users.assign(user_id="new-" + users["user_id"], signed_up_at=users["signed_up_at"])
    longer = pd.concat([users, newer], ignore_index=True)
    assert logged(log.replace_tables(users=longer), fitted).summary == data.summary


def test_a_linear_reward_is_found_again(data):
    rows = np.flatnonzero(data.usable & data.sent)
    raw = sent_features(data.some(rows), data.action[rows])
    rng = np.random.default_rng(0)
    weights = np.where(raw.std(0) > 0, rng.normal(size=raw.shape[1]) / (raw.std(0) + 1e-9), 0)
    reward = data.reward.copy()
    reward[rows] = raw @ weights + 0.01 * rng.normal(size=len(rows))
    made = linucb(replace(data, reward=reward), LinUCBSettings(alpha=0.0, ridge=1e-6), 0)
    scores = made.scores(data.some(rows))
    place = data.action[rows] - 1
    n = np.arange(len(rows))
    found = scores.pair.reshape(len(rows), -1)[n, place // HOURS] + scores.hour[n, place % HOURS]
    assert np.corrcoef(found, raw @ weights)[0, 1] > 0.99


def test_thompson_s_table_is_drawn_from_the_posterior(data):
    made = thompson(data, ThompsonSettings(), 3)
    again, other = thompson(data, ThompsonSettings(), 3), thompson(data, ThompsonSettings(), 4)
    np.testing.assert_array_equal(made.table, again.table)
    assert not np.allclose(made.table, other.table)
    assert len(made.table) == DRAWS
    spread = np.sqrt(np.diag(linucb(data, LinUCBSettings(), 0).covariance))
    error = np.abs(made.table.mean(0) - made.mean) / (spread / np.sqrt(DRAWS))
    assert error.max() < 5
    np.testing.assert_allclose(made.table.std(0), spread, rtol=0.3)
    propensity = made.act(data.some(np.arange(50)), np.random.default_rng(0))[1]
    np.testing.assert_allclose(propensity * DRAWS, np.rint(propensity * DRAWS), atol=1e-9)


def _copied(data: Logged, rate: np.ndarray, wear: float) -> Logged:
    """The log with clicks drawn by variant, fewer where the style was sent lately."""
    place = np.maximum(data.action - 1, 0) // HOURS
    variant = place % data.observation["pairs"].shape[2]
    recent = data.observation["variants"][..., VARIANT.index("style_recent_sends")]
    worn = np.expm1(recent[np.arange(len(variant)), variant])
    chance = rate[variant] * np.exp(-wear * worn)
    draws = np.random.default_rng(5).random(len(chance))
    return replace(data, clicked=(data.action != HOLD) & (draws < chance))


def test_copy_is_ranked_by_its_clicks_and_wear_is_seen(data):
    V = data.observation["pairs"].shape[2]
    rate = np.linspace(0.1, 0.6, V)
    rule = StaticRule(hour=12, every_days=3.0)
    fresh = recovering(_copied(data, rate, 0.0), Recovering(), rule)
    worn = recovering(_copied(data, rate, 1.0), Recovering(), rule)
    assert (np.argsort(fresh.arms) == np.arange(V)).all()
    assert worn.penalty > fresh.penalty + 0.2
    assert (fresh.hour, fresh.every_days) == (12, 3.0)
    # A log that tells copy apart less well is trusted less.
    few = np.zeros(len(data.usable), bool)
    few[np.flatnonzero(data.usable & data.sent)[::4]] = True
    less = recovering(replace(_copied(data, rate, 0.0), usable=few), Recovering(), rule)
    assert less.spread > fresh.spread


def test_the_command_learns_from_a_log(shop_dir, quick, tmp_path, capsys):
    sim, logs = shop_dir
    out = tmp_path / "thompson"
    argv = ["train", str(sim), "--algo", "thompson", "--logs", str(logs), "--out", str(out)]
    assert cli.main(argv) == 0
    said = capsys.readouterr().out
    assert "of them pushes\n  on other users and draws" in said
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["kind"], manifest["type"]) == ("linear", LinearThompson.__name__)
    doubtful = manifest["standing"]["minus"]["hold"]["low"] <= 0
    assert doubtful == ("warning: the fit does not show" in said)
    assert manifest["trained_until"] > 0
    assert cli.main([*argv, "--steps", "5"]) == 1
    assert "takes no --steps" in capsys.readouterr().err
