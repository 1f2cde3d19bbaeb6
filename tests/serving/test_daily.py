"""The store's figures, by which alerts go, are of the nightly batch too."""

import time

import pandas as pd

from mdp.clock import DAY, HOUR, MINUTE
from scripts.cli import main
from serving import daily as module
from serving.batch import open_night
from serving.daily import WATCHED, daily
from serving.schemas import iso
from serving.store import reading
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
        shop.clock.now += MINUTE
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
