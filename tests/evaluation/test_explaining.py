"""What a policy would do with a log's decisions is told as it is."""

import json
from dataclasses import replace

import numpy as np
import pytest

from evaluation.choices import Chosen, faced, names_of
from evaluation.explaining import explain, price_of
from evaluation.explaining_page import page_of
from evaluation.replayed import replayed
from ingestion.log import Log
from ingestion.read import load_checked
from ingestion.write import write_log
from mdp.errors import BadInput, NotEnoughData
from policies.baselines import Greedy, Hold, Popular, StaticRule
from policies.saved import PolicyBundle, save_policy
from scripts import cli
from simulator.demo import demo
from simulator.saved import save_simulator
from simulator.worlds.logit import LogitShop


@pytest.fixture(scope="module")
def shop():
    simulator = LogitShop().simulator(60, 3)
    return simulator.believing(simulator)


@pytest.fixture(scope="module")
def logs(shop, tmp_path_factory):
    path = tmp_path_factory.mktemp("logs") / "logs"
    made = demo(shop, 15, 3)
    write_log(path, made.tables, made.meta)
    return path


@pytest.fixture(scope="module")
def replay(logs):
    return replayed(load_checked(logs))


def _bundle(shop, policy):
    return PolicyBundle(policy, shop.model, shop.beliefs, shop.reward)


def test_the_log_of_another_shop_is_refused(shop, replay):
    own = {"signed_up": shop.sign_up_days}
    other = {"signed_up": [day - 3 for day in shop.sign_up_days]}
    bundle = _bundle(shop, Hold())
    explain(replay, {"hold": replace(bundle, manifest=own)})
    with pytest.raises(BadInput, match="the log is not of the shop that hold was trained for"):
        explain(replay, {"hold": replace(bundle, manifest=other)})


def test_the_log_s_own_shares_are_those_of_its_tables(shop, replay):
    found = explain(replay, {"hold": PolicyBundle(Hold(), None, None)})
    logged = found["policies"]["logged"]
    decisions = replay.decisions
    assert logged["sends"] == pytest.approx(decisions.sent.mean())
    assert found["policies"]["hold"]["sends"] == 0
    assert found["policies"]["hold"]["hours"] == [[None] * 24] * 3
    hours = np.array(logged["hours"])
    assert hours.sum(1) == pytest.approx(1)
    assert (hours[:, np.bincount(decisions.h[decisions.sent], minlength=24) == 0] == 0).all()
    for what in ("categories", "styles"):
        assert np.array(logged[what]).sum(1) == pytest.approx(1)
    styles = replay.log.tables["decisions"]["variant_id"].dropna()
    own = replay.log.tables["variants"].set_index("variant_id")["style"][styles]
    assert set(own) == set(found["styles"])
    pushed = replay.log.tables["decisions"]["item_id"].dropna().value_counts()
    titles = replay.log.tables["items"].set_index("item_id")["title"]
    assert found["items"][0] == titles[pushed.index[0]]
    assert logged["items"][0] == pytest.approx(pushed.iloc[0] / pushed.sum())


def test_a_rule_s_hour_and_rhythm_are_seen(shop, replay):
    rule = StaticRule(hour=12, every_days=5.0)
    found = explain(replay, {"rule": _bundle(shop, rule)})["policies"]["rule"]
    for row in found["hours"]:
        assert row[12] == pytest.approx(1)
    late = [share for share in found["sends_by_late"] if share is not None]
    assert late[0] > late[-1]


def test_a_threshold_is_found_as_the_price_of_a_push(shop, replay):
    both = {"a": _bundle(shop, Greedy(threshold=0.25)), "b": _bundle(shop, Popular())}
    found = explain(replay, both)
    price = found["price"]["a"]
    assert price is not None
    assert price["price"]["median"] == pytest.approx(0.25, abs=0.05)
    assert found["price"]["b"] is None  # its scores know no reward
    assert sum(price["prices"]["share"]) == pytest.approx(1)


def test_sure_sends_of_a_policy_that_draws_are_worth_what_they_are(shop, replay):
    rows = np.arange(len(replay.decisions.rows))
    sharp = replace(Greedy(threshold=0.25), temperature=1e-4)
    drawn, best = (
        faced(replay, _bundle(shop, policy), rows, names_of(replay))
        for policy in (sharp, Greedy(threshold=0.25))
    )
    assert (drawn.send == 1).mean() > 0.1
    can = np.isfinite(best.margin)
    assert (np.isfinite(drawn.margin) == can).all()
    assert ((drawn.margin > 0) == (drawn.send > 0.5)).all()
    assert drawn.margin[can] * 1e-4 == pytest.approx(best.margin[can], abs=1e-3)
    prices = [price_of(each) for each in (drawn, best)]
    worth = [price["margin"]["median"] for price in prices if price is not None]
    assert worth[0] == pytest.approx(worth[1], abs=1e-2)


def test_prices_are_in_currency_whatever_the_scores_unit():
    rng = np.random.default_rng(0)
    best = rng.normal(0.3, 0.2, 2000)
    none = np.zeros(2000)
    margin = 7.0 * (best - 0.4)
    chosen = Chosen(none, none, none, none, none, none, margin, best, none, none)
    price = price_of(chosen)
    assert price is not None
    assert price["price"]["median"] == pytest.approx(0.4)
    assert price["margin"]["median"] == pytest.approx(float(np.median(best)) - 0.4)
    assert price_of(replace(chosen, margin=-chosen.margin)) is None
    assert price_of(replace(chosen, margin=np.full(2000, np.nan))) is None


def test_users_segments_are_those_of_the_log_where_it_has_them(shop, replay):
    users = replay.log.tables["users"].copy()
    users["segment"] = np.where(np.arange(len(users)) % 2, "new", "old")
    log = replay.log.replace_tables(users=users)
    found = explain(replayed(log), {"hold": PolicyBundle(Hold(), None, None)})
    assert found["segments"] == ["new", "old"]


def test_of_many_segments_the_rare_ones_are_taken_together(shop, replay):
    users = replay.log.tables["users"].copy()
    users["segment"] = [f"s{min(n, 11):02d}" for n in range(len(users))]
    log = replay.log.replace_tables(users=users)
    found = explain(replayed(log), {"hold": PolicyBundle(Hold(), None, None)})
    assert len(found["segments"]) == 8
    assert {"s11", "all others"} <= set(found["segments"])
    assert "<h2>Which items</h2>" in page_of(found, "what was learned")


def test_a_log_without_decisions_is_refused(replay):
    log: Log = replay.log
    empty = log.replace_tables(
        decisions=log.tables["decisions"].iloc[:0], outcomes=log.tables["outcomes"].iloc[:0]
    )
    with pytest.raises(NotEnoughData, match="nothing to explain"):
        explain(replayed(empty), {"hold": PolicyBundle(Hold(), None, None)})


def test_the_command_writes_one_page_that_needs_no_other_file(shop, logs, tmp_path, capsys):
    save_policy(tmp_path / "a", _bundle(shop, Greedy(threshold=0.2)))
    save_policy(tmp_path / "b", PolicyBundle(Popular(), None, None))
    out = tmp_path / "out"
    argv = ["explain", str(tmp_path / "a"), "--logs", str(logs), "--out", str(out)]
    assert cli.main([*argv, "--against", str(tmp_path / "b"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((out / "explanation.json").read_text())
    page = (out / "explanation.html").read_text()
    assert page.count("data:image/png;base64,") == 7
    assert "http" not in page
    month = json.loads((out / "explanation.json").read_text())["month"]
    assert set(month["pushes"]) == {"logged", "a", "b"}
    assert not month["lived"]
    save_simulator(tmp_path / "sim", shop)
    assert cli.main([*argv, "--simulator", str(tmp_path / "sim")]) == 0
    month = json.loads((out / "explanation.json").read_text())["month"]
    assert month["lived"]
    assert all("fate" in push for pushes in month["pushes"].values() for push in pushes)
    (tmp_path / "file").write_text("dear")
    assert cli.main([*argv[:-1], str(tmp_path / "file")]) == 1
    assert "is a file" in capsys.readouterr().err
