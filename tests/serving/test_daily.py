"""The store's figures, by which alerts go, are of the nightly batch too."""

import time

import pandas as pd
import pytest

from mdp.clock import DAY, HOUR, MINUTE
from policies.baselines import Table
from scripts.cli import main
from serving import daily as module
from serving.batch import open_night
from serving.daily import WATCHED, daily
from serving.schemas import iso
from serving.store import reading, writing
from serving.tables import DECISIONS
from tests.serving.test_batch import recommending
from tests.serving.test_control import SENDS, batch, put


def counted(client):
    """The metrics, after a count, by name and labels."""
    client.app.state.observer.count()
    client.app.state.observer.glance()
    lines = client.get("/metrics").text.splitlines()
    parts = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in parts}


def test_the_nightly_batch_and_what_came_of_it_are_counted(postgresql_shop):
    shop = postgresql_shop
    policy = recommending(shop, hold=1e-9, floor=0.0, quiet_start="00:00", quiet_end="00:00")
    shop.clock.now = round(time.time() * 1e6)
    with shop.server(policy) as client:
        for n in range(20):
            put(client, f"/v1/users/u{n}", timezone="UTC", consent=True)
        put(client, "/v1/users/never", timezone="UTC", consent=False)
        out = shop.path / "night.csv"
        assert main(["decide", "p", "--store", shop.store, "--out", str(out)]) == 0
        shop.clock.now = round(time.time() * 1e6) + MINUTE
        found = counted(client)
        assert found['pushwise_decided_last_day{action="send"}'] == 20
        assert found['pushwise_decided_last_day{action="hold"}'] == 1
        assert found['pushwise_draws_last_day{propensity="usable"}'] == 20
        assert found["pushwise_features_sampled"] == 21
        assert {f'pushwise_feature_mean{{feature="{name}"}}' for name in WATCHED} <= set(found)
        sends = pd.read_csv(out).dropna(subset="send_at").decision_id.tolist()
        shop.clock.now += 2 * DAY - 2 * MINUTE
        at = iso(shop.clock.now - HOUR)
        told = [(0, "clicked", None), (0, "purchased", 20.0), (1, "clicked", None)]
        outcomes = [
            {"decision_id": sends[n], "outcome": outcome, "at": at, "value": value}
            for n, outcome, value in told
        ]
        said = client.post("/v1/outcomes", json={"outcomes": outcomes}).json()
        assert said["accepted"] == 3
        found = counted(client)
        assert found['pushwise_decided_last_day{action="send"}'] == 0
        assert found["pushwise_features_sampled"] == 0
        assert found["pushwise_settled_sends"] == 20
        assert found['pushwise_settled_reward{reward="clicks"}'] == 2
        assert found['pushwise_settled_reward{reward="value"}'] == 20
        assert found['pushwise_settled_rewarded{reward="value"}'] == 1


def draws(client, shop):
    with reading(client.app.state.service.engine) as connection:
        return daily(connection, shop.clock.now)["draws"]


def test_no_exploration_floor_makes_draws_tiny(shop):
    """Not even where item, copy and hour are all drawn afresh."""
    rarest = 0.5 / 8 / (6 * 3 * 24)
    policy = shop.policy("p", Table(send=1.0, temperature=None), floor=0.5)
    lists = {"candidates": [f"i{n}" for n in range(6)], "variants": ["v0", "v1", "v2"]}
    with shop.server(policy) as client:
        rows = batch(client, range(200), **lists)
        assert min(row["propensity"] for row in rows) == pytest.approx(rarest)
        assert draws(client, shop) == {"tiny": 0.0, "usable": 200.0}


@pytest.mark.parametrize(("share", "found"), [(0.99, 1), (1.01, 0)])
def test_a_draw_is_tiny_by_its_lists(postgresql_shop, share, found):
    """A thousandth of an even draw's over hold and the sends of 2 items, 3 variants, 24 hours."""
    shop = postgresql_shop
    with shop.server(shop.policy("p", SENDS)) as client:
        (row, *_) = batch(client, range(2))
        with writing(client.app.state.service.engine) as connection:
            mine = DECISIONS.c.decision_id == row["decision_id"]
            tiny = share / 1000 / (1 + 2 * 3 * 24)
            connection.execute(DECISIONS.update().where(mine).values(propensity=tiny))
        assert draws(client, shop)["tiny"] == found
        long = {"candidates": "|" * 60_000, "variants": "|" * 60_000}
        with writing(client.app.state.service.engine) as connection:
            connection.execute(DECISIONS.update().where(mine).values(**long))
        assert draws(client, shop)["tiny"] == 0


def test_many_snapshots_are_sampled(shop, monkeypatch):
    with shop.server(shop.policy("p", SENDS)) as client:
        batch(client, range(300))
        with reading(client.app.state.service.engine) as connection:
            whole = daily(connection, shop.clock.now)
            monkeypatch.setattr(module, "MOST", 20)
            part = daily(connection, shop.clock.now)
    assert whole["sampled"] == 300
    assert part["sampled"] in range(1, 60)  # a sixteenth of them, at random
    assert part["features"] == whole["features"]  # nobody has a history yet


def test_a_night_that_is_not_whole_is_seen(shop):
    policy = shop.policy("p", SENDS)
    with shop.server(policy) as client:
        assert counted(client)["pushwise_night_unfinished_seconds"] == 0
        open_night(shop.settings(), policy, shop.path / "night.csv", None, 0, shop.clock.now)
        shop.clock.now += 3 * HOUR
        assert counted(client)["pushwise_night_unfinished_seconds"] == 3 * 3600
