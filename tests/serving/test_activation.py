"""From one policy to another and back: who is held out stays so, and what else changes is told."""

import pytest
from sqlalchemy import delete

from mdp.guardrails import Guardrails
from mdp.reward import Reward
from policies.saved import PolicyBundle, save_policy
from serving.batch import decided, open_night
from serving.starting import prepare
from serving.store import reading, writing
from serving.tables import GUARDRAILS
from tests.serving.conftest import OPEN_RULES
from tests.serving.test_control import KEPT, SENDS, batch, put

TIGHT = {"per_7d": 2, "quiet_start": "23:00", "quiet_end": "06:00", "floor": 0.0}
HALF = {"share": 0.5, "salt": "pushwise"}


def held_out(client, users=range(60)):
    """Users in the holdout; nobody in it is sent anything, and everybody else is."""
    rows = batch(client, users, dry_run=True)
    held = {row["user_id"] for row in rows if row["arm"] == "holdout"}
    assert {row["user_id"] for row in rows if row["action"] == "hold"} == held
    return held


def activate(client, path):
    client.post("/v1/policies", json={"path": str(path)}).raise_for_status()
    response = client.post(f"/v1/policies/{path.name}:activate")
    assert response.status_code == 200, response.text
    return response.json()


def history(client):
    return client.get("/v1/guardrails/history").json()["history"]


@pytest.mark.parametrize("kind", ["shop", pytest.param("postgresql_shop", marks=pytest.mark.slow)])
def test_a_policy_trained_otherwise_keeps_the_holdout_and_says_what_it_brings(kind, request):
    """A, then B, which was trained without A's holdout, caps and quiet hours, then A again."""
    shop = request.getfixturevalue(kind)
    with shop.server(shop.policy("a", SENDS, holdout_share=0.5, **TIGHT)) as client:
        held = held_out(client)
        assert 15 < len(held) < 45
        rules = Guardrails(**OPEN_RULES, floor=0.0, per_24h=1, holdout_salt="another")
        other = PolicyBundle(SENDS, None, None, Reward(unsubscribe=-1.0), rules)
        save_policy(shop.path / "b", other)
        there = activate(client, shop.path / "b")
        assert held_out(client) == held
        assert client.get("/v1/guardrails").json()["holdout"] == HALF
        assert there == {
            "name": "b", "active": True, "before": "a", "not_compared": None,
            "looser": ["caps.per_7d", "quiet_hours"], "looser_than_trained": [],
            "changed": {
                "caps.per_24h": {"before": "none", "after": 1},
                "caps.per_7d": {"before": 2, "after": 7},
                "quiet_hours.start": {"before": "23:00", "after": "00:00"},
                "quiet_hours.end": {"before": "06:00", "after": "00:00"},
                "reward.unsubscribe": {"before": -4.0, "after": -1.0},
            },
        }  # fmt: skip
        back = client.post("/v1/policies:rollback").json()
        assert (back["name"], back["before"], back["looser"]) == ("a", "b", ["caps.per_24h"])
        assert back["changed"] == {
            key: {"before": was["after"], "after": was["before"]}
            for key, was in there["changed"].items()
        }
        assert held_out(client) == held
        newest, older, first = history(client)
        assert [entry["who"] for entry in (newest, older, first)] == ["no key", "no key", "serve"]
        assert {str(entry["rules"]) for entry in (newest, older, first)} == {str({"holdout": HALF})}
        assert (first["activated"], newest["activated"]["name"]) == (None, "a")
        assert older["activated"]["looser"] == there["looser"]
        assert older["activated"]["changed"] == there["changed"]
        audited = client.get("/v1/audit").json()["entries"]
        assert [entry["detail"] for entry in audited if entry["action"] == "activate policy"][
            :2
        ] == [newest["activated"], older["activated"]]


def test_an_activation_that_changes_nothing_leaves_no_line(shop):
    with shop.server(shop.policy("a", SENDS)) as client:
        made = activate(client, shop.policy("b", SENDS))
        assert (made["looser"], made["changed"]) == ([], {})
        assert client.post("/v1/policies/b:activate").json()["before"] == "b"
        assert [entry["rules"] for entry in history(client)] == [KEPT]


def test_what_was_changed_by_hand_stays_and_is_no_change(shop):
    """A guardrail that an operator put over the policies' own is the same under both."""
    with shop.server(shop.policy("a", SENDS, **TIGHT)) as client:
        put(client, "/v1/guardrails", caps={"per_7d": 9})
        made = activate(client, shop.policy("b", SENDS, **{**TIGHT, "per_7d": 5}))
        assert (made["looser"], made["changed"]) == ([], {})
        assert made["looser_than_trained"] == ["caps.per_7d"]


def test_an_experiment_says_what_it_loosens_for_whom(shop):
    with shop.server(shop.policy("a", SENDS, floor=0.0, per_7d=3, min_hours=4.0)) as client:
        for name, rules in (
            ("b", {"per_7d": 5, "min_hours": 6.0}),
            ("c", {"per_7d": 9, "min_hours": 5.0}),
        ):
            path = shop.policy(name, SENDS, floor=0.0, **rules)
            client.post("/v1/policies", json={"path": str(path)}).raise_for_status()
        cap, gap = "caps.per_7d", "gaps.min_hours"
        steps = [
            ({"policy": "b", "share": 0.5, "salt": "s"}, [cap]),
            ({"policy": "b", "share": 0.5, "salt": "s"}, []),
            ({"policy": "b", "share": 0.2, "salt": "s"}, [gap]),  # some go back to a
            ({"policy": "c", "share": 0.2, "salt": "s"}, [cap, gap]),
            ({"policy": "c", "share": 0.2, "salt": "t"}, [cap, gap]),  # some come, some go
            (None, [gap]),
        ]
        for challenger, looser in steps:
            made = put(client, "/v1/experiment", challenger=challenger)
            assert (made["challenger"], made["looser"]) == (challenger, looser)
            assert (made["looser_than_trained"], made["not_compared"]) == ([], None)
            entry = client.get("/v1/audit").json()["entries"][0]
            assert entry["detail"].get("looser", []) == looser
        put(client, "/v1/guardrails", caps={"per_7d": 8})
        made = put(client, "/v1/experiment", challenger=steps[0][0])
        assert (made["looser"], made["looser_than_trained"]) == ([], [cap])


def test_a_holdout_is_changed_on_purpose_by_hand_alone(shop):
    with shop.server(shop.policy("a", SENDS, floor=0.0, holdout_share=0.5)) as client:
        held = held_out(client)
        fewer = put(client, "/v1/guardrails", holdout={"share": 0.2})
        assert fewer["looser_than_trained"] == ["holdout.share"]
        kept = held_out(client)
        assert kept < held
        told = activate(client, shop.policy("b", SENDS, floor=0.0, holdout_share=0.4))
        assert told["looser_than_trained"] == ["holdout.share"]
        assert held_out(client) == kept
        client.post("/v1/policies:rollback").raise_for_status()
        assert held_out(client) == kept
        client.post("/v1/policies:rollback").raise_for_status()
        put(client, "/v1/guardrails", holdout={"share": None})  # b's own, from now on
        some = held_out(client)
        assert kept < some < held
        client.post("/v1/policies:rollback").raise_for_status()
        assert held_out(client) == some
        put(client, "/v1/guardrails", holdout={"salt": "other"})
        assert held_out(client) not in (some, set())


def test_a_store_of_before_the_holdout_was_kept_takes_that_of_the_policy_in_force(shop):
    """Not that of the policy that a start or an activation brings."""
    first = shop.policy("a", SENDS, floor=0.0, holdout_share=0.5)
    second = shop.policy("b", SENDS, floor=0.0)
    with shop.server(first) as client:
        held = held_out(client)
        with writing(client.app.state.service.engine) as connection:
            connection.execute(delete(GUARDRAILS))
        activate(client, second)
        assert held_out(client) == held
        client.post("/v1/policies:rollback").raise_for_status()
        with writing(client.app.state.service.engine) as connection:
            connection.execute(delete(GUARDRAILS))
        said = prepare(shop.settings(), second, None, shop.clock())
        assert said == (["policy b is in force in place of a, as named here"], [])
        assert held_out(client) == held


def test_a_start_says_what_the_policy_that_it_names_loosens(shop):
    prepare(shop.settings(), shop.policy("a", SENDS, **TIGHT), None, shop.clock())
    prepare(shop.settings(), shop.policy("b", SENDS, floor=0.0, min_hours=9.0), None, shop.clock())
    said = prepare(shop.settings(), shop.policy("a", SENDS, **TIGHT), None, shop.clock())
    assert said.looser == ["gaps.min_hours is looser than it was under b"]


def held_at_night(shop, policy):
    """Who is held out when a policy decides for everyone by night."""
    settings, now = shop.settings(trust_request_time=True), shop.clock.now
    opening = open_night(settings, policy, shop.path / f"{policy.name}.csv", now, 3, now)
    rows = [row for part in decided(opening.night, 10) for row in part.answers]
    return {row["user_id"] for row in rows if row["arm"] == "holdout"}


def test_the_nightly_batch_holds_out_whom_the_server_does(shop):
    with shop.server(shop.policy("a", SENDS, floor=0.0, holdout_share=0.5)) as client:
        for n in range(30):
            person = {"timezone": "UTC", "consent": True}
            client.put(f"/v1/users/u{n}", json=person).raise_for_status()
        held = held_out(client, range(30))
        assert held_at_night(shop, shop.policy("b", SENDS)) == held


def test_a_shop_that_only_decides_by_night_keeps_its_first_holdout(shop):
    with shop.server(shop.policy("a", SENDS)) as client:
        engine = client.app.state.service.engine
        for n in range(30):
            person = {"timezone": "UTC", "consent": True}
            client.put(f"/v1/users/u{n}", json=person).raise_for_status()
        with writing(engine) as connection:
            connection.execute(delete(GUARDRAILS))
            connection.exec_driver_sql("DELETE FROM settings WHERE name = 'policy'")
        arms = [
            held_at_night(shop, shop.policy(name, SENDS, **rules))
            for name, rules in (("b", {"holdout_share": 0.5}), ("c", {}))
        ]
        assert arms[0] == arms[1] != set()
        with reading(engine) as connection:
            (row,) = connection.execute(GUARDRAILS.select()).all()
        assert (row.who, row.rules["holdout"]["share"]) == ("decide", 0.5)


def test_a_policy_of_before_that_is_broken_is_not_compared_with(shop):
    first = shop.policy("a", SENDS)
    prepare(shop.settings(), first, None, shop.clock())
    prepare(shop.settings(), second := shop.policy("b", SENDS, floor=0.5), None, shop.clock())
    (second / "arrays.safetensors").unlink()
    said = prepare(shop.settings(), first, None, shop.clock(), activate=True)
    assert said.in_force == ["policy a is in force in place of b, as named here"]
    assert said.looser[0].startswith("what is looser now is not known: policy b: ")
