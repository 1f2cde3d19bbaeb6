"""`pushwise simulate` writes a log that reads back, whatever the block, and totals alone."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

from ingestion.check import findings
from ingestion.read import read_log
from ingestion.rules import ERROR
from mdp.guardrails import Guardrails
from policies.baselines import Table
from policies.saved import PolicyBundle, load_policy, save_policy
from scripts.cli import main
from simulator.description import Arrivals
from simulator.saved import load_simulator, save_simulator
from simulator.worlds.base import lived
from simulator.worlds.logit import LogitShop


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    path = tmp_path_factory.mktemp("places")
    shop = lived(LogitShop().simulator(40, 1), 4, 1)[0]
    shop.histories["unsubscribed"][3:5] = 1
    save_simulator(path / "sim", replace(shop, calendar={"2025-12-24": "Christmas"}))
    policy = PolicyBundle(Table(send=0.4), None, None, guardrails=Guardrails(per_7d=1))
    save_policy(path / "policy", policy)
    return path


def simulated(places, out, *options: str, policy: str = "logging") -> int:
    command = ["simulate", str(places / "sim"), policy, "--out", str(out), "--days", "5"]
    return main([*command, *options])


def test_the_log_reads_back_whatever_the_block(places, tmp_path, capsys):
    assert simulated(places, tmp_path / "one", "--users", "100", "--block", "100") == 0
    assert "100 users, 5 days" in capsys.readouterr().out
    assert simulated(places, tmp_path / "many", "--users", "100", "--block", "9") == 0
    one, many = read_log(tmp_path / "one"), read_log(tmp_path / "many")
    assert not one.problems
    assert [f for f in findings(one) if f.severity == ERROR] == []
    assert one.meta.complete_until == many.meta.complete_until
    for name in (*("users", "items", "variants", "events", "decisions", "outcomes"), "calendar"):
        assert len(one.tables[name]) > 0
        pd.testing.assert_frame_equal(one.tables[name], many.tables[name])
    past = load_simulator(places / "sim").histories
    there = set(one.tables["decisions"]["user_id"])
    consent = one.tables["users"].set_index("user_id")["consent"]
    assert (~consent).sum() == (past["unsubscribed"][np.arange(100) % 40] == 1).sum() > 0
    assert there == set(consent.index[consent])
    assert simulated(places, tmp_path / "one", "--seed", "1") == 0
    assert len(read_log(tmp_path / "one").tables["users"]) == 40


def test_as_many_arrive_as_the_simulators_log_says_or_as_asked(places, tmp_path, capsys):
    shop = load_simulator(places / "sim")
    save_simulator(tmp_path / "sim", replace(shop, arrivals=Arrivals(4.0, items=3.0)))
    logs = []
    none = ("--new-users", "0", "--new-items", "0")
    asked = ((), ("--block", "7"), ("--users", "160"), none)
    for number, options in enumerate(asked):
        out = tmp_path / f"log-{number}"
        command = ["simulate", str(tmp_path / "sim"), "logging", "--out", str(out), "--days", "3"]
        assert main([*command, *options]) == 0
        logs.append(read_log(out))
        assert [f for f in findings(logs[-1]) if f.severity == ERROR] == []
    said = capsys.readouterr().out
    new = [log.tables["users"]["user_id"].str.startswith("new-").sum() for log in logs]
    assert f"40 users and {new[0]} who arrived, 3 days" in said
    assert "40 users, 3 days" in said
    assert 4 <= new[0] == new[1] <= 22
    assert 30 <= new[2] <= 70
    assert new[3] == 0
    items = [log.tables["items"]["listed_at"].notna().sum() for log in logs]
    assert 2 <= items[0] == items[1] == items[2] <= 18
    assert items[3] == 0
    for name in ("users", "items", "decisions", "events", "outcomes"):
        pd.testing.assert_frame_equal(logs[0].tables[name], logs[1].tables[name])


def test_a_saved_policy_decides_by_its_own_rules_and_floor(places, tmp_path):
    assert simulated(places, tmp_path / "log", policy=str(places / "policy")) == 0
    decisions = read_log(tmp_path / "log").tables["decisions"]
    assert set(decisions["policy_hash"]) == {load_policy(places / "policy").hash}
    sends = decisions[decisions["item_id"].notna()]
    assert len(sends) > 3
    assert sends["user_id"].is_unique  # one a week
    allowed = decisions[decisions["hours"].notna() & decisions["candidates"].notna()]
    held = allowed[allowed["item_id"].isna()]["propensity"]
    # 1 - send, mixed with the floor's half of holds.
    assert held.to_numpy() == pytest.approx(0.98 * 0.6 + 0.02 * 0.5)


def test_totals_are_the_same_without_a_log(places, tmp_path, capsys):
    assert simulated(places, tmp_path / "log") == 0
    said = capsys.readouterr().out.partition(": ")[2]
    assert simulated(places, tmp_path / "totals.csv", "--summary", "--block", "7") == 0
    assert capsys.readouterr().out.partition(": ")[2] == said
    table = pd.read_csv(tmp_path / "totals.csv")
    assert table["day"].tolist() == [0, 1, 2, 3, 4]
    assert table["sends"].sum() > 0
    assert [file.name for file in tmp_path.iterdir() if file.suffix] == ["totals.csv"]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra `ray`")
@pytest.mark.filterwarnings("ignore")
def test_ray_tasks_live_the_same(places, tmp_path, capsys):
    options = ["--summary", "--users", "90", "--block", "20", "--new-users", "3"]
    options += ["--new-items", "2"]
    assert simulated(places, tmp_path / "here.csv", *options) == 0
    assert simulated(places, tmp_path / "ray.csv", *options, "--ray") == 0
    assert (tmp_path / "ray.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()


@pytest.mark.parametrize(
    ("policy", "out", "options", "message"),
    [
        ("sunshine", "log", [], "sunshine is neither a directory of a saved policy nor one of"),
        ("hold", "log", ["--days", "0"], "--days is 0"),
        ("hold", "log", ["--users", "0"], "--users is 0"),
        ("hold", "log", ["--block", "0"], "--block is 0"),
        ("hold", "log", ["--new-users", "-1"], "--new-users is -1"),
        ("hold", "log", ["--new-items", "nan"], "--new-items is nan"),
        ("hold", "log", ["--summary"], "with --summary give a .csv file"),
    ],
)
def test_bad_options_are_named_and_nothing_is_written(
    places, tmp_path, capsys, policy, out, options, message
):
    assert simulated(places, tmp_path / out, *options, policy=policy) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_policy_of_another_shop_does_not_live_here(places, tmp_path, capsys):
    shop = load_simulator(places / "sim")
    seen = shop.believing(shop)
    own = PolicyBundle(Table(send=0.4), seen.additive_model, seen.beliefs)
    days = seen.sign_up_days
    save_policy(tmp_path / "own", replace(own, manifest={"signed_up": days}))
    other = [day - 3 for day in days if day is not None]
    save_policy(tmp_path / "other", replace(own, manifest={"signed_up": other}))
    assert simulated(places, tmp_path / "log", policy=str(tmp_path / "own")) == 0
    assert simulated(places, tmp_path / "none", policy=str(tmp_path / "other")) == 1
    assert "signed up on other days; give a policy trained in" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
