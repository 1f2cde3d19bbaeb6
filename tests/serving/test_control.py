"""Operating: kill switches, guardrails with history, budget, challenger, shadow, critical."""

import re
import threading
from collections import Counter
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from mdp.clock import DAY, HOUR
from mdp.guardrails import Guardrails
from mdp.response import ResponseModel
from policies.base import Policy
from policies.baselines import Hold, Random, Table
from policies.saved import PolicyBundle, save_policy
from serving.arms import chance
from serving.schemas import iso
from serving.store import reading
from serving.tables import BUDGET, DECISIONS
from simulator.worlds.logit import LogitShop
from tests.serving.conftest import NOON, OPEN_RULES, Shop

ASK = {"user_id": "u", "candidates": ["i0", "i1"]}
SENDS = Random(hold=1e-9)
STORES = ["shop", "postgresql_shop"]
KEPT = {"holdout": {"share": 0.0, "salt": "pushwise"}}
"""What the first active policy leaves in the store."""


def decide(client, **body):
    response = client.post("/v1/decisions", json={**ASK, **body})
    assert response.status_code == 200, response.text
    return response.json()


def batch(client, users, **body):
    asks = [{**ASK, "user_id": f"u{n}", **body} for n in users]
    return client.post("/v1/decisions:batch", json={"requests": asks}).json()["decisions"]


def put(client, path, **body):
    response = client.put(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def actions(client):
    """What was done since the server started with its catalogue, the newest first."""
    entries = client.get("/v1/audit").json()["entries"]
    done = [entry["action"] for entry in entries if entry["who"] != "serve"]
    assert done.pop() == "approve copy"
    return done


def test_an_item_and_a_variant_can_be_stopped_by_themselves(always):
    put(always, "/v1/kill", on=True, item_id="i0")
    put(always, "/v1/kill", on=True, variant_id="v1")
    assert always.get("/v1/kill").json() == {
        "on": False, "policies": [], "items": ["i0"], "variants": ["v1"],
    }  # fmt: skip
    rows = batch(always, range(30))
    assert {(row["item_id"], row["variant_id"]) for row in rows} == {("i1", "v0"), ("i1", "v2")}
    assert decide(always, candidates=["i0"])["reason"] == "no_candidates"
    put(always, "/v1/kill", on=False, item_id="i0")
    assert decide(always, user_id="w", candidates=["i0"])["action"] == "send"
    assert actions(always) == ["kill"] * 3
    assert always.put("/v1/kill", json={"on": True, "item_id": "nope"}).status_code == 404
    both = always.put("/v1/kill", json={"on": True, "item_id": "i0", "variant_id": "v0"})
    assert both.status_code == 422


def test_a_stopped_policy_holds_until_it_goes_on(always):
    put(always, "/v1/kill", on=True, policy="always")
    held = decide(always)
    assert (held["action"], held["arm"], held["reason"]) == ("hold", "killed", "policy_killed")
    put(always, "/v1/kill", on=False, policy="always")
    assert decide(always)["action"] == "send"


def test_a_kill_switch_is_in_force_with_the_next_decision_of_another_worker(shop):
    """Two servers on one store: what one is told the other obeys at once."""
    policy = shop.policy("p", SENDS, floor=0.0)
    with shop.server(policy) as first, shop.server(policy) as second:
        assert decide(second, user_id="a")["action"] == "send"
        put(first, "/v1/kill", on=True)
        assert decide(second, user_id="b")["reason"] == "killed"


def test_guardrails_have_a_history(always, shop):
    put(always, "/v1/guardrails", caps={"per_7d": 2})
    shop.clock.now += HOUR
    put(always, "/v1/guardrails", gaps={"min_hours": 1})
    newest, first, kept = always.get("/v1/guardrails/history").json()["history"]
    assert kept["rules"] == KEPT
    assert first["rules"] == {**KEPT, "caps": {"per_7d": 2}}
    assert newest["rules"] == {**first["rules"], "gaps": {"min_hours": 1}}
    assert (newest["at"], newest["who"]) == (iso(shop.clock.now), "no key")


def test_the_history_holds_the_budget_and_nothing_twice(always):
    put(always, "/v1/guardrails", budget={"per_hour": 2})
    put(always, "/v1/guardrails", caps={"per_7d": 2})
    put(always, "/v1/guardrails")
    put(always, "/v1/guardrails", caps={}, budget={"per_hour": 2})
    put(always, "/v1/guardrails", caps={"per_7d": 2})
    put(always, "/v1/guardrails", budget={"per_hour": "none"})
    history = always.get("/v1/guardrails/history").json()["history"]
    budget = {"per_hour": 2, "per_day": "none", "pace": False}
    capped = {**KEPT, "caps": {"per_7d": 2}}
    assert [entry["rules"] for entry in history] == [
        capped, {**capped, "budget": budget}, {**KEPT, "budget": budget}, KEPT,
    ]  # fmt: skip
    assert actions(always) == ["guardrails"] * 3


def test_null_gives_a_key_back_to_the_policys_own(always):
    own = always.get("/v1/guardrails").json()
    put(always, "/v1/guardrails", caps={"per_7d": "none", "per_24h": 1}, gaps={"min_hours": 1})
    rules = put(always, "/v1/guardrails", caps={"per_7d": None}, gaps={"min_hours": None})
    assert rules["caps"] == {**own["caps"], "per_24h": 1}
    assert rules["gaps"] == own["gaps"]
    history = always.get("/v1/guardrails/history").json()["history"]
    assert history[0]["rules"] == {**KEPT, "caps": {"per_24h": 1}}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"budget": {"per_day": None}}, "budget.per_day"),
        ({"budget": {"per_day": 2**60, "pace": True}}, "budget.per_day"),
        ({"caps": {"per_month": None}}, "caps.per_month"),
        ({"caps": {"per_24h": 1, "per_7d": -1}}, "caps.per_7d"),
        ({"caps": None}, "caps"),
        ({"nothing": {"at": None}}, "nothing.at"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_by_its_key(always, body, field):
    refused = always.put("/v1/guardrails", json=body)
    assert (refused.status_code, refused.json()["field"]) == (422, field)
    assert len(always.get("/v1/guardrails/history").json()["history"]) == 1  # of the start


@pytest.mark.parametrize("kind", STORES)
def test_no_more_is_sent_in_an_hour_than_the_budget(kind, request):
    """Asked for by four threads at once; the others of that hour go elsewhere or hold."""
    shop = request.getfixturevalue(kind)
    with shop.server(shop.policy("p", SENDS, floor=0.0)) as client:
        rules = put(client, "/v1/guardrails", budget={"per_hour": 2, "per_day": 30})
        assert rules["budget"] == {"per_hour": 2, "per_day": 30, "pace": False}
        threads = [
            threading.Thread(target=batch, args=(client, range(30 * n, 30 * n + 30)))
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with reading(client.app.state.service.engine) as connection:
            rows = connection.execute(DECISIONS.select()).all()
            taken = {(r.period, r.start): r.taken for r in connection.execute(BUDGET.select())}
        hours = Counter(row.send_at // HOUR * HOUR for row in rows if row.send_at)
        days = Counter(row.send_at // DAY * DAY for row in rows if row.send_at)
        assert len(rows) == 120
        assert max(hours.values()) == 2
        assert sum(days.values()) == 48  # 24 hours with two each
        assert max(days.values()) <= 30
        assert {start: n for (of, start), n in taken.items() if of == "hour" and n} == dict(hours)
        held = {row.reason for row in rows if row.send_at is None}
        assert held == {"budget"}
        bad = client.put("/v1/guardrails", json={"budget": {"per_hour": -1}})
        assert (bad.status_code, bad.json()["field"]) == (422, "budget.per_hour")


def sends_by_hour(shop: Shop, pace: bool, policy: Policy = SENDS) -> list[int]:
    """Of a day (UTC) whose every hour 12 users ask in, with a budget of 48 sends a day."""
    start = NOON // DAY * DAY
    with shop.server(shop.policy("p", policy, floor=0.0)) as client:
        put(client, "/v1/guardrails", budget={"per_day": 48, "pace": pace})
        for hour in range(24):
            shop.clock.now = start + hour * HOUR
            batch(client, range(12 * hour, 12 * hour + 12))
        app: Any = client.app
        with reading(app.state.service.engine) as connection:
            times = connection.scalars(select(DECISIONS.c.send_at)).all()
    sends = Counter((at - start) // HOUR for at in times if at is not None)
    return [sends[hour] for hour in range(24)]


@pytest.mark.parametrize("kind", STORES)
def test_pace_releases_a_days_budget_hour_by_hour(kind, request):
    hours = np.array(sends_by_hour(request.getfixturevalue(kind), pace=True))
    plan = 48 * np.arange(1, 25) // 24
    assert (hours.cumsum() <= plan).all()
    assert hours.sum() == 48  # what one hour leaves, the later ones may use


def test_without_pace_those_who_ask_first_spend_the_day(shop):
    mornings = Table(send=1 - 1e-9, hours=np.where(np.arange(24) < 12, 1.0, 1e-12))
    hours = np.array(sends_by_hour(shop, False, mornings))
    assert hours[:12].sum() == hours.sum() == 48


def test_a_ceiling_is_refused_for_a_policy_that_cannot_predict(always):
    refused = always.put("/v1/guardrails", json={"unsubscribe": {"ceiling": 0.01}})
    assert (refused.status_code, refused.json()["field"]) == (422, "unsubscribe.ceiling")
    assert "has a model" in refused.json()["detail"]
    assert always.get("/v1/guardrails").json()["unsubscribe"] == {"ceiling": "none"}


def test_a_ceiling_holds_back_what_is_too_risky(shop):
    fitted = LogitShop().simulator(8, 0).response
    assert isinstance(fitted, ResponseModel)
    bundle = PolicyBundle(SENDS, fitted, None, guardrails=Guardrails(**OPEN_RULES, floor=0.0))
    save_policy(shop.path / "modelled", bundle)
    with shop.server(shop.path / "modelled") as client:
        client.post("/v1/policies", json={"path": str(shop.policy("plain"))}).raise_for_status()
        put(client, "/v1/experiment", shadow="plain")
        refused = client.put("/v1/guardrails", json={"unsubscribe": {"ceiling": 0.0}})
        assert (refused.status_code, refused.json()["field"]) == (422, "unsubscribe.ceiling")
        assert "policy plain" in refused.json()["detail"]
        put(client, "/v1/experiment")
        put(client, "/v1/guardrails", unsubscribe={"ceiling": 0.0})
        unfit = client.put("/v1/experiment", json={"shadow": "plain"})
        assert (unfit.status_code, unfit.json()["field"]) == (409, "shadow")
        held = decide(client)
        assert (held["reason"], held["propensity"]) == ("unsubscribe_risk", 1.0)
        shown = client.get(f"/v1/decisions/{held['decision_id']}").json()
        assert shown["why"]["masked"]["items"] == {"unsubscribe_risk": 2}
        put(client, "/v1/guardrails", unsubscribe={"ceiling": "none"})
        assert decide(client, user_id="another")["action"] == "send"


def test_a_hold_for_lack_of_budget_binds_only_while_it_lasts(always):
    put(always, "/v1/guardrails", budget={"per_hour": 0})
    held = decide(always)
    assert (held["reason"], held["propensity"]) == ("budget", 1.0)
    put(always, "/v1/guardrails", budget={"per_hour": "none"})
    assert decide(always)["action"] == "send"


def test_a_challenger_decides_for_its_share_and_the_split_is_watched(shop):
    with shop.server(shop.policy("p", SENDS)) as client:
        add = client.post("/v1/policies", json={"path": str(shop.policy("other", Hold()))})
        assert (add.status_code, add.json()) == (201, {"name": "other", "active": False})
        put(
            client, "/v1/experiment",
            challenger={"policy": "other", "share": 0.25, "salt": "s"},
        )  # fmt: skip
        rows = batch(client, range(400))
        arms = {row["user_id"]: row["arm"] for row in rows}
        challenged = [row for row in rows if row["arm"] == "challenger:other"]
        assert 70 < len(challenged) < 130
        assert {row["policy"] for row in challenged} == {"other"}
        shop.clock.now += DAY
        again = batch(client, range(400))
        assert {row["user_id"]: row["arm"] for row in again} == arms
        ratio = client.get("/v1/experiment").json()["sample_ratio"]
        assert ratio["users"]["challenger:other"] == len(challenged)
        assert ratio["alarm"] is False
        put(client, "/v1/kill", on=True, policy="other")
        shop.clock.now += DAY
        stopped = Counter(row["reason"] for row in batch(client, range(400)))
        assert stopped["policy_killed"] == len(challenged)


def test_a_split_that_loses_users_raises_the_alarm(shop):
    """Two of three of the challenger's users never get through to the server."""
    with shop.server(shop.policy("p", SENDS)) as client:
        client.post("/v1/policies", json={"path": str(shop.policy("other", Hold()))})
        split = {"policy": "other", "share": 0.5, "salt": "s"}
        put(client, "/v1/experiment", challenger=split)
        arms = {row["user_id"]: row["arm"] for row in batch(client, range(200), dry_run=True)}
        others = [user for user, arm in arms.items() if arm == "challenger:other"]
        lost = set(others[: 2 * len(others) // 3])
        batch(client, [n for n in range(200) if f"u{n}" not in lost])
        ratio = client.get("/v1/experiment").json()["sample_ratio"]
        assert ratio["users"]["challenger:other"] == len(others) - len(lost)
        assert ratio["alarm"] is True
        client.app.state.observer.count()
        (line,) = re.findall("^pushwise_sample_ratio_p (.*)$", client.get("/metrics").text, re.M)
        assert float(line) == pytest.approx(ratio["p"])


def test_the_chance_of_a_split():
    assert chance(100, 400, 0.25) == 1.0
    assert chance(60, 400, 0.25) < 1e-5
    # 1.96 standard deviations: the two-sided five per cent.
    assert chance(round(500 + 1.96 * 250**0.5), 1000, 0.5) == pytest.approx(0.05, abs=0.002)


def test_a_shadow_decides_beside_and_sends_nothing(shop):
    with shop.server(shop.policy("p", SENDS)) as client:
        client.post("/v1/policies", json={"path": str(shop.policy("quiet", Hold(), floor=0.0))})
        put(client, "/v1/guardrails", exploration={"floor": 0.0})
        put(client, "/v1/experiment", shadow="quiet")
        rows = batch(client, range(20))
        assert {row["policy"] for row in rows} == {"p"}
        shadow = client.get("/v1/experiment").json()["shadow_decisions"]
        sends = sum(row["action"] == "send" for row in rows)
        assert shadow == {
            "total": 20, "shadow_sends": 0, "sends": sends, "the_same": 20 - sends,
        }  # fmt: skip


def test_a_rollback_is_one_call(shop):
    with shop.server(shop.policy("first")) as client:
        assert client.post("/v1/policies:rollback").status_code == 409
        client.post("/v1/policies", json={"path": str(shop.policy("second"))})
        client.post("/v1/policies/second:activate").raise_for_status()
        assert decide(client)["policy"] == "second"
        assert client.post("/v1/policies:rollback").json()["name"] == "first"
        assert decide(client, user_id="w")["policy"] == "first"
        assert actions(client) == ["activate policy", "activate policy", "add policy"]
        refused = client.post("/v1/policies", json={"path": "/nowhere"})
        assert (refused.status_code, refused.json()["field"]) == (422, "path")


def test_a_critical_message_passes_caps_and_is_audited(always, shop):
    put(
        always, "/v1/guardrails", caps={"per_7d": 0}, quiet_hours={"start": "00:00", "end": "23:59"}
    )
    always.put("/v1/users/u", json={"consent": True, "timezone": "UTC"})
    assert decide(always)["action"] == "hold"
    body = {"user_id": "u", "item_id": "i1", "variant_id": "v0", "reason": "recall of a toy"}
    sent = always.post("/v1/critical", json=body)
    assert sent.status_code == 200, sent.text
    assert (sent.json()["arm"], sent.json()["propensity"]) == ("critical", 1.0)
    entry = always.get("/v1/audit").json()["entries"][0]
    assert entry["action"] == "critical"
    assert entry["detail"] == {"decision_id": sent.json()["decision_id"], **body}
    put(always, "/v1/guardrails", caps={"per_7d": 1}, quiet_hours={"start": "0:00", "end": "0:00"})
    shop.clock.now += DAY
    assert decide(always)["reason"] == "cap_7d"  # it counts for what comes after


@pytest.mark.parametrize(
    ("user", "change", "status"),
    [("nobody", None, 404), ("u", {"consent": False}, 409), ("u", {"consent": True}, 200)],
)
def test_nothing_passes_consent(always, user, change, status):
    always.put("/v1/users/u", json=change or {"consent": True})
    body = {"user_id": user, "item_id": "i1", "variant_id": "v0", "reason": "r"}
    assert always.post("/v1/critical", json=body).status_code == status
