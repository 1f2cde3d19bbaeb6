"""A comparison: the same users and draws for all, paired differences, the oracle on a truth."""

import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from agents.comparing import (
    BANDITS,
    ORACLE,
    REFERENCE,
    Entry,
    as_believed,
    believing,
    compare,
    entries,
    leading,
    run_entry,
    sample,
    under_members,
    under_other_rules,
)
from agents.rollouts import Outcome, rollout
from agents.table import WIDTH, picture, table
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


def test_all_are_paid_by_the_reward_of_the_first_policy(shop, bundle):
    dear = replace(bundle, reward=replace(bundle.reward, unsubscribe=-60.0))
    assert dear.reward != shop.reward
    chosen = entries(shop, {"dear": dear}, known_truth=False)
    assert {entry.simulator.reward for entry in chosen.values()} == {dear.reward}
    with pytest.raises(BadInput, match="mine was trained for another reward"):
        entries(shop, {"dear": dear, "mine": bundle}, known_truth=False)


def test_a_policy_of_another_shop_is_refused(shop, bundle):
    days = shop.sign_up_days
    believing(shop, replace(bundle, manifest={"signed_up": days}))
    other = replace(bundle, manifest={"signed_up": [day - 3 for day in days]})
    with pytest.raises(BadInput, match="the simulator is not of the shop that the policy"):
        believing(shop, other)


def test_interval_takes_a_user_as_one_draw():
    value = np.array([0.0, 2.0, 4.0])
    none = np.zeros(15)
    life = Outcome(np.tile(value, 5), none, none, none, none, none, none, days=7)
    (row,) = compare({"hold": life}, 3, known_truth=False)
    assert row.value == 2
    assert row.high - row.value == pytest.approx(1.96 * 2 / np.sqrt(3))
    assert row.share_of_oracle is None


def test_each_member_of_an_ensemble_is_lived_under_alone(shop):
    base = shop.response.base + np.eye(5, dtype=np.float32)[0]
    members = (shop.response, replace(shop.response, base=base))
    entry, rows = Entry(Greedy(), replace(shop, members=members)), sample(shop, 40, 0)
    found = under_members(entry, rows, 3, 7)
    assert found[0] == pytest.approx(rollout(shop, Greedy(), rows, 3, 7).value.mean())
    assert found[1] > found[0] + 0.1
    assert under_members(Entry(Greedy(), shop), rows, 3, 7) == ()
    life = {"greedy": run_entry(entry, rows, [3], 7), "hold": run_entry(entry, rows, [3], 1)}
    row, plain = compare(life, len(rows), known_truth=False, members={"greedy": found})
    assert row.spread == pytest.approx((found[1] - found[0]) / np.sqrt(2))
    assert row.margin == pytest.approx(12.706 * row.spread, rel=1e-4)  # Student's, of two
    assert (plain.members, plain.spread, plain.margin, plain.unsure) == ((), 0.0, 0.0, False)
    assert replace(row, high=row.value + 1.05 * row.margin).unsure is False
    assert replace(row, high=row.value + 0.95 * row.margin).unsure is True
    assert f" ±{row.margin:.3f}" in next(each for each in shown([row, plain]) if " greedy " in each)


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


def test_what_a_model_promises_is_set_beside_the_truth(shop, quick, bundle):
    truth, rows = shop.believing(None), sample(shop, 40, 0)
    hopeful = replace(shop.response, base=shop.response.base + np.float32(1.0))
    mine = entries(truth, {"mine": replace(bundle, model=hopeful)}, known_truth=True)["mine"]
    other = as_believed(mine)
    assert other is not None
    life, promised = (run_entry(each, rows, [1], 14) for each in (mine, other))
    line = compare({"hold": life, "mine": life}, len(rows), True, {"mine": promised})[1]
    assert line.simulated == pytest.approx(promised.value.mean())
    assert line.simulated_minus_true == pytest.approx((promised.value - life.value).mean())
    assert (line.simulated_minus_true_low or 0.0) > 0
    (gap,) = (row for row in shown([line]) if "mine" in row and " ±" in row)
    assert f" {line.simulated_minus_true:+.3f} ±" in gap
    same = entries(truth, {"mine": bundle}, known_truth=True)["mine"]
    right = replace(same, simulator=replace(same.simulator, model=replace(shop.response)))
    other = as_believed(right)
    assert other is not None
    np.testing.assert_array_equal(
        run_entry(other, rows, [1], 14).value, run_entry(right, rows, [1], 14).value
    )
    assert as_believed(entries(truth, {}, known_truth=True)["hold"]) is None


def shown(lines):
    """The lines of the tables, as a terminal has them."""
    console = Console(width=WIDTH)
    with console.capture() as printed:
        console.print(table(lines, "title", "caption"))
    return printed.get().splitlines()


def test_tables_and_picture(lives):
    """Nothing is cut off in a terminal of 100 columns, however much is said."""
    found, users = lives
    promised = {name: life for name, life in found.items() if name != "hold"}
    members = dict.fromkeys(found, (1.0, 2.0))
    lines = compare(found, users, True, promised, members)
    printed = shown(lines)
    assert "…" not in "".join(printed)
    cells = [[cell.strip() for cell in row.split("│")] for row in printed if row.startswith("│")]
    assert [row[1] for row in cells] == 2 * list(found)
    assert cells[0][1] == "hold"
    assert cells[0][-2] == "-"
    assert "simulated" not in "\n".join(shown(compare(found, users, known_truth=True)))
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
    assert cli.main([*argv, "--out", str(out / "comparison.png")]) == 1
    assert "comparison.png is a file: choose a directory as --out" in capsys.readouterr().err
