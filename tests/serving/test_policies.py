"""Policies of a store: a name means one content for ever, and what is broken harms nobody else."""

import gc
import shutil
import weakref

import pytest
from starlette.testclient import TestClient

from mdp.errors import BadArtifact
from policies.baselines import Hold
from serving.app import create_app
from serving.starting import prepare
from serving.store import open_store, reading, writing
from tests.serving.conftest import ITEMS
from tests.serving.test_control import SENDS, batch, decide, put


def add(client, path):
    return client.post("/v1/policies", json={"path": str(path)})


def test_a_name_in_use_is_refused_to_another_policy(shop):
    with shop.server(shop.policy("p", SENDS)) as client:
        before = client.get("/v1/policies").json()
        (shop.path / "elsewhere").mkdir()
        refused = add(client, shop.policy("elsewhere/p", Hold()))
        assert (refused.status_code, refused.json()["field"]) == (409, "path")
        assert "under another name, such as p-2" in refused.json()["detail"]
        assert client.get("/v1/policies").json() == before
        assert decide(client)["action"] == "send"


def test_the_same_policy_may_be_added_again_and_lie_elsewhere(shop):
    path = shop.policy("p", SENDS)
    with shop.server(path) as client:
        assert add(client, path).json() == {"name": "p", "active": True}
        (shop.path / "elsewhere").mkdir()
        moved = shutil.copytree(path, shop.path / "elsewhere" / "p")
        assert add(client, moved).status_code == 201
        shutil.rmtree(path)
        assert client.get("/v1/policies").json()["policies"][0]["path"] == str(moved)
        with TestClient(create_app(shop.settings(), shop.clock)) as restarted:
            assert restarted.get("/readyz").json()["policy"] == "p"


def test_a_policy_trained_anew_in_place_is_refused_and_the_one_in_memory_goes_on(shop):
    with shop.server(shop.policy("first", SENDS)) as client:
        add(client, shop.policy("other"))
        shop.policy("first", Hold())
        client.put("/v1/items", json={"items": ITEMS}).raise_for_status()  # a new world
        assert decide(client)["action"] == "send"
        client.post("/v1/policies/other:activate").raise_for_status()
        for path in ("/v1/policies/first:activate", "/v1/policies:rollback"):
            refused = client.post(path)
            assert refused.status_code == 409
            assert "first was changed since it was added" in refused.json()["detail"]
        shop.policy("other", Hold())
        assert client.get("/readyz").json()["policy"] == "other"
    with pytest.raises(BadArtifact, match="other was changed since it was added"):
        create_app(shop.settings(), shop.clock)


def activate(client, name):
    client.post(f"/v1/policies/{name}:activate").raise_for_status()


def held(client):
    """The policy that the server decides by, as it has it in memory."""
    service = client.app.state.service
    with reading(service.engine) as connection:
        return weakref.ref(service.registry.world(connection).bundle)


def test_policies_that_decide_no_more_are_forgotten(shop):
    """The one before stays, for a rollback, and so do challenger and shadow."""
    paths = [shop.policy(f"p{n}", SENDS, floor=0.01 * n) for n in range(3)]
    with shop.server(paths[0]) as client:
        for path in (*paths[1:], shop.policy("shadow", Hold())):
            add(client, path)
        put(client, "/v1/experiment", shadow="shadow")
        seen = {"p0": held(client)}
        for name in ("p1", "p2"):
            activate(client, name)
            seen[name] = held(client)
            decide(client, user_id=name)
        gc.collect()
        assert {name: ref() is not None for name, ref in seen.items()} == {
            "p0": False, "p1": True, "p2": True,
        }  # fmt: skip
        before = seen["p1"]()
        client.post("/v1/policies:rollback").raise_for_status()
        assert held(client)() is before
        shutil.rmtree(shop.path / "shadow")
        activate(client, "p0")
        assert client.get("/readyz").json()["left_out"] == {}


def test_a_policy_is_loaded_while_others_may_write(shop):
    with shop.server(shop.policy("p", SENDS)) as client:
        add(client, shop.policy("broken", Hold())).raise_for_status()
        truncated(shop.path / "broken")
        other = open_store(shop.store)
        with writing(other):  # as another process does
            refused = add(client, shop.path / "broken")
            assert (refused.status_code, refused.json()["field"]) == (422, "path")
            refused = client.put("/v1/experiment", json={"shadow": "broken"})
            assert (refused.status_code, refused.json()["field"]) == (409, "shadow")
        other.dispose()


def truncated(path):
    arrays = path / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-1])


@pytest.mark.parametrize("role", ["challenger", "shadow"])
def test_a_broken_policy_of_an_experiment_is_left_out_and_stops_nobody(shop, role):
    live, tried = shop.policy("live", SENDS, floor=0.0), shop.policy("tried", Hold(), floor=0.0)
    split = {"policy": "tried", "share": 0.5, "salt": "s"}
    given = {"challenger": split} if role == "challenger" else {"shadow": "tried"}
    with shop.server(live) as client:
        add(client, tried)
        put(client, "/v1/experiment", **given)
        arms = {row["user_id"]: row["arm"] for row in batch(client, range(60), dry_run=True)}
    truncated(tried)
    prepare(shop.settings(), live, None, shop.clock())
    with TestClient(create_app(shop.settings(default_timezone="UTC"), shop.clock)) as client:
        assert "tried/arrays.safetensors" in client.get("/readyz").json()["left_out"][role]
        rows = batch(client, range(60))
        assert {(row["policy"], row["action"]) for row in rows} == {("live", "send")}
        assert {row["user_id"]: row["arm"] for row in rows} == arms  # whoever decides
        shown = client.get("/v1/experiment").json()
        assert list(shown["left_out"]) == [role]
        if role == "challenger":
            assert shown["sample_ratio"]["alarm"] is False
            put(client, "/v1/kill", on=True, policy="tried")
            held = [row["arm"] for row in batch(client, range(60, 120))].count("killed")
            assert 15 < held < 45
        assert f'pushwise_left_out{{role="{role}"}} 1.0' in client.get("/metrics").text
        cleared = put(client, "/v1/experiment")
        assert (cleared["challenger"], cleared["shadow"], cleared["left_out"]) == (None, None, {})
        assert client.get("/readyz").json()["left_out"] == {}


@pytest.mark.parametrize("role", ["challenger", "shadow"])
def test_a_policy_of_an_experiment_that_fails_at_decisions_stops_nobody(
    shop, role, monkeypatch, capfd
):
    split = {"policy": "tried", "share": 0.5, "salt": "s"}
    given = {"challenger": split} if role == "challenger" else {"shadow": "tried"}

    def fails(self, observation):
        raise RuntimeError("no such node")

    with shop.server(shop.policy("live", SENDS, floor=0.0)) as client:
        add(client, shop.policy("tried", Hold(), floor=0.0))
        put(client, "/v1/experiment", **given)
        arms = {row["user_id"]: row["arm"] for row in batch(client, range(60), dry_run=True)}
        monkeypatch.setattr(Hold, "scores", fails)
        rows = [*batch(client, range(40)), *batch(client, range(40, 60))]
        assert {(row["policy"], row["action"]) for row in rows} == {("live", "send")}
        assert {row["user_id"]: row["arm"] for row in rows} == arms
        failed = 60 if role == "shadow" else [*arms.values()].count("challenger:tried")
        line = f'pushwise_failed_draws_total{{role="{role}"}} {failed:.1f}'
        assert line in client.get("/metrics").text
        monkeypatch.undo()
        ends = {row["policy"] for row in batch(client, range(60, 120))}
        assert ends == ({"live"} if role == "shadow" else {"live", "tried"})
    lines = [line for line in capfd.readouterr().err.splitlines() if "draw failed" in line]
    assert 1 <= len(lines) <= 2  # one a thread that decides, however many groups failed
    assert all("no such node" in line and '"policy":"tried"' in line for line in lines)
