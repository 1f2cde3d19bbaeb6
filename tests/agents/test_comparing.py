"""A comparison: the same users and draws for all, paired differences, the oracle on a truth."""

import json
from dataclasses import replace

import numpy as np
import pytest

from agents.comparing import (
    BANDITS,
    ORACLE,
    REFERENCE,
    Entry,
    compare,
    entries,
    leading,
    run_entry,
    sample,
    under_other_rules,
)
from agents.rollouts import Outcome, rollout
from agents.table import picture, table
from mdp.errors import BadInput
from policies.baselines import Greedy, Hold
from policies.planner import planner
from policies.saved import PolicyBundle
from scripts import cli
from simulator.saved import save_simulator


@pytest.fixture(scope="module")
def bundle(shop):
    manifest = {
        "baselines": {
            "threshold": 0.3,
            "static_rule": {"variant": 0, "hour": 19, "every_days": 3.0},
        }
    }
    policy = Greedy(threshold=0.2, floor=0.02)
    return PolicyBundle(policy, shop.model, shop.beliefs, manifest=manifest)


@pytest.fixture(scope="module")
def lives(shop, quick, bundle):
    truth = shop.believing(None)
    rows = sample(truth, 60, 0)
    chosen = entries(truth, {"mine": bundle}, known_truth=True)
    return {name: run_entry(entry, rows, [1, 2], 21) for name, entry in chosen.items()}, len(rows)


def test_rows_are_the_policies_and_what_they_must_beat(lives):
    found, users = lives
    assert list(found)[:3] == ["hold", "random", "logging"]
    assert {"best static rule", "fitted greedy", REFERENCE, "fitted planner", "mine"} <= set(found)
    lines = {row.policy: row for row in compare(found, users, known_truth=True)}
    assert lines["hold"].value == 0
    assert lines["hold"].revenue_minus_hold == 0
    assert lines["hold"].open_rate is None
    assert lines[REFERENCE].difference == lines[REFERENCE].difference_low == 0
    assert lines[ORACLE].share_of_oracle == pytest.approx(1)
    assert lines["random"].value < lines["fitted greedy"].value < lines[ORACLE].value
    for row in lines.values():
        assert row.low <= row.value <= row.high


def test_floor_is_zero_for_all(shop, quick, bundle):
    chosen = entries(shop, {"mine": bundle}, known_truth=False)
    assert {entry.policy.floor for entry in chosen.values()} == {0.0}
    assert ORACLE not in chosen


def test_bandits_join_where_there_is_a_log(shop, quick, bundle, log):
    truth = shop.believing(None)
    chosen = entries(truth, {"mine": bundle}, known_truth=True, log=log)
    assert {*BANDITS} <= set(chosen)
    assert {entry.policy.floor for entry in chosen.values()} == {0.0}
    with pytest.raises(BadInput, match="give a saved policy"):
        entries(truth, {}, known_truth=True, log=log)


def test_the_first_policy_that_searched_gives_the_baselines(shop, quick, bundle):
    bare = PolicyBundle(Hold(), None, None)
    chosen = entries(shop.believing(None), {"bare": bare, "mine": bundle}, known_truth=True)
    assert chosen[REFERENCE].policy == Greedy(threshold=0.3)


def test_each_policy_lives_under_its_own_guardrails(shop, bundle):
    silent = replace(bundle, guardrails=replace(bundle.guardrails, per_7d=0))
    rows = sample(shop, 30, 0)
    for names in (("mine", "silent"), ("silent", "mine")):
        bundles = {name: silent if name == "silent" else bundle for name in names}
        chosen = entries(shop, bundles, known_truth=False)
        sends = {name: run_entry(chosen[name], rows, [1], 5).sends.sum() for name in bundles}
        assert sends["silent"] == 0 < sends["mine"]
        assert leading(bundles) == names[0]
        assert chosen[REFERENCE].simulator.guardrails == bundles[names[0]].guardrails
        assert under_other_rules(bundles) == [names[1]]
    finer = replace(bundle, guardrails=replace(bundle.guardrails, floor=0.5))
    assert under_other_rules({"mine": bundle, "finer": finer}) == []


def test_interval_takes_a_user_as_one_draw():
    value = np.array([0.0, 2.0, 4.0])
    none = np.zeros(15)
    life = Outcome(np.tile(value, 5), none, none, none, none, none, none, days=7)
    (row,) = compare({"hold": life}, 3, known_truth=False)
    assert row.value == 2
    assert row.high - row.value == pytest.approx(1.96 * 2 / np.sqrt(3))
    assert row.share_of_oracle is None


def test_same_draws_for_all(shop):
    rows = sample(shop, 40, 0)
    first, second = (run_entry(Entry(Hold(), shop), rows, [3], 10) for _ in range(2))
    np.testing.assert_array_equal(first.revenue, second.revenue)
    # A policy that sends to none lives the same life, whatever it is called.
    never = run_entry(Entry(Greedy(threshold=1e9), shop), rows, [3], 10)
    np.testing.assert_array_equal(first.revenue, never.revenue)


def test_planner_holds_back_where_sends_tire(shop):
    rows = sample(shop, 100, 0)
    plain, plan = (
        rollout(shop, policy, rows, 1, 28)
        for policy in (Greedy(), planner(shop.response, shop.reward))
    )
    assert plan.sends.mean() < plain.sends.mean()
    assert plan.value.mean() > plain.value.mean()


def test_table_and_picture(lives):
    found, users = lives
    lines = compare(found, users, known_truth=True)
    assert table(lines, "title", "").row_count == len(lines)
    assert picture(lines, ["mine"], "title").startswith(b"\x89PNG")


def test_command(shop, quick, tmp_path, capsys):
    save_simulator(tmp_path / "sim", shop)
    out = tmp_path / "out"
    argv = ["compare", str(tmp_path / "sim"), "--users", "20", "--days", "4"]
    argv += ["--newcomers", "0.5", "--seeds", "1"]
    assert cli.main([*argv, "--json", "--out", str(out)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "comparison.json").read_text())
    assert printed["known_truth"] is True
    assert (printed["newcomers"], printed["users"]) == (0.5, 20)
    assert (printed["guardrails_of"], printed["under_other_guardrails"]) == (None, [])
    assert {row["policy"] for row in printed["policies"]} >= {"hold", ORACLE}
    assert cli.main([*argv[:-1], "0"]) == 1
    assert "--seeds is 0" in capsys.readouterr().err
