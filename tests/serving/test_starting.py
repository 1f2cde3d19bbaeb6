"""What a server's command line says at a start, and what goes on from before it."""

import pytest
from starlette.testclient import TestClient

from mdp.errors import BadArtifact, BadInput
from policies.baselines import Hold
from serving import known, store
from serving.app import create_app
from serving.starting import prepare
from serving.store import open_store, put_setting, writing
from tests.serving.test_control import KEPT, SENDS, put


def start(shop, policy=None, rules=None, activate=False):
    """What is said to be in force at a start with these arguments."""
    return prepare(shop.settings(), policy, rules, shop.clock(), activate).in_force


def served(shop):
    return TestClient(create_app(shop.settings(), shop.clock))


def active(shop):
    with served(shop) as client:
        return client.get("/readyz").json()["policy"]


def test_a_policy_activated_at_run_time_goes_on_after_a_restart(shop):
    first, second = shop.policy("first", SENDS), shop.policy("second", SENDS)
    assert start(shop, first) == ["policy first is in force"]
    with served(shop) as client:
        client.post("/v1/policies", json={"path": str(second)}).raise_for_status()
        client.post("/v1/policies/second:activate").raise_for_status()
        (said,) = start(shop, first)
        assert said.startswith("policy second is in force, not first")
        assert start(shop) == ["policy second is in force, the store's active one"]
        assert client.get("/readyz").json()["policy"] == "second"
        assert start(shop, first, activate=True) == [
            "policy first is in force in place of second, as named here"
        ]
        assert client.get("/readyz").json()["policy"] == "first"
        entries = client.get("/v1/audit").json()["entries"]
    assert [(entry["who"], entry["action"], entry["detail"]["name"]) for entry in entries] == [
        ("serve", "activate policy", "first"),
        ("no key", "activate policy", "second"),
        ("no key", "add policy", "second"),
        ("serve", "activate policy", "first"),
        ("serve", "add policy", "first"),
    ]


def test_a_command_line_that_names_another_policy_is_obeyed_once(shop):
    first, second = shop.policy("first", SENDS), shop.policy("second", SENDS)
    for named in (first, second, first):  # the last one is a way back
        start(shop, named)
        assert active(shop) == named.name
    assert start(shop, first) == ["policy first is in force, as before"]
    with pytest.raises(BadInput, match="another policy by the name 'second'"):
        start(shop, shop.policy("second", Hold()))
    assert active(shop) == "first"


def test_a_broken_active_policy_is_named_with_the_way_out(shop):
    first, second = shop.policy("first", SENDS), shop.policy("second", SENDS)
    start(shop, first)
    with served(shop) as client:
        client.post("/v1/policies", json={"path": str(second)}).raise_for_status()
        client.post("/v1/policies/second:activate").raise_for_status()
    (second / "arrays.safetensors").unlink()
    with pytest.raises(BadArtifact, match=r"second/arrays.safetensors is missing.* --activate"):
        start(shop, first)
    start(shop, first, activate=True)
    assert active(shop) == "first"


def test_others_write_while_a_start_loads_policies(shop, monkeypatch):
    load, loaded = known.load_policy, list[str]()

    def while_others_write(path):
        engine = open_store(shop.store)
        with writing(engine) as connection:
            put_setting(connection, "written", len(loaded))
        engine.dispose()
        loaded.append(path.name)
        return load(path)

    monkeypatch.setattr(store, "BUSY_MILLISECONDS", 50)
    monkeypatch.setattr(known, "load_policy", while_others_write)
    first, second = shop.policy("first", SENDS), shop.policy("second", SENDS)
    for named, names in ((first, ["first"]), (second, ["first", "second"]), (None, ["second"])):
        start(shop, named)
        assert sorted(loaded) == names
        loaded.clear()


def test_only_what_is_new_in_a_file_of_guardrails_is_applied(shop):
    policy, file = shop.policy("p", SENDS), shop.path / "rules.toml"
    file.write_text(
        "[caps]\nper_7d = 3\nper_24h = 2\n[gaps]\nmin_hours = 6\n[budget]\nper_day = 9\n"
    )
    assert "per_7d, caps.per_24h, gaps.min_hours, budget.per_day" in start(shop, policy, file)[1]
    with served(shop) as client:
        put(client, "/v1/guardrails", caps={"per_7d": 1}, budget={"per_day": 5})
        assert "says nothing new" in start(shop, policy, file)[1]
        rules = client.get("/v1/guardrails").json()
        assert (rules["caps"]["per_7d"], rules["budget"]["per_day"]) == (1, 5)

        file.write_text("[caps]\nper_7d = 3\n[gaps]\nmin_hours = 8\n")
        said = start(shop, policy, file)[1]
        assert said.endswith("its news being caps.per_24h, gaps.min_hours, budget.per_day")
        rules = client.get("/v1/guardrails").json()
        assert rules["caps"] == {"per_calendar_day": 1, "per_24h": "none", "per_7d": 1}
        assert (rules["gaps"]["min_hours"], rules["budget"]["per_day"]) == (8, "none")

        history = client.get("/v1/guardrails/history").json()["history"]
        assert [entry["who"] for entry in history] == ["serve", "no key", "serve", "serve"]
        budget = {"per_hour": "none", "per_day": 9, "pace": False}
        assert history[-1]["rules"] == KEPT
        assert history[-2]["rules"] == {
            **KEPT, "caps": {"per_7d": 3, "per_24h": 2}, "gaps": {"min_hours": 6}, "budget": budget,
        }  # fmt: skip
        newest = client.get("/v1/audit").json()["entries"][0]
        change = {
            "caps": {"per_24h": None}, "gaps": {"min_hours": 8}, "budget": {"per_day": "none"},
        }  # fmt: skip
        assert (newest["who"], newest["action"], newest["detail"]) == (
            "serve",
            "guardrails",
            change,
        )


def test_what_is_looser_than_trained_is_warned_of_at_every_start(shop):
    policy, file = shop.policy("p", SENDS), shop.path / "rules.toml"
    file.write_text("[caps]\nper_7d = 9\n")
    for _ in range(2):
        said = prepare(shop.settings(), policy, file, shop.clock())
        assert said.looser == ["caps.per_7d is looser than the policy was trained with"]
