"""Decisions over HTTP: sends, holds, repeats, cold start, kill switch, idempotency keys."""

import pytest

from mdp.clock import DAY, HOUR
from policies.baselines import Hold
from serving.schemas import iso

ASK = {"user_id": "u", "candidates": ["i0", "i1"]}


def decide(client, **body):
    response = client.post("/v1/decisions", json={**ASK, **body})
    assert response.status_code == 200, response.text
    return response.json()


def decisions_in_log(client):
    return client.get("/v1/logs/decisions").text.count("\n") - 1


def test_a_send_says_what_when_and_with_which_words(always, shop):
    sent = decide(always, candidates=["i2"], variants=["v1"])
    assert (sent["action"], sent["item_id"], sent["variant_id"]) == ("send", "i2", "v1")
    assert (sent["title"], sent["body"]) == ("Item 2!", "Only 12.00 at Acme")  # of no currency
    assert sent["send_at"] >= sent["decided_at"]
    assert 0 < sent["propensity"] <= 1
    assert (sent["cold_start"], sent["repeated"]) == (True, False)
    assert always.get(f"/v1/decisions/{sent['decision_id']}").json()["candidates"] == ["i2"]


def shown(client, decision):
    return client.get(f"/v1/decisions/{decision['decision_id']}").json()["cold_start"]


def test_a_decision_says_later_too_whether_its_user_was_known(always, shop):
    first, second = decide(always), decide(always)
    assert [first["cold_start"], second["cold_start"]] == [True, False]
    shop.clock.now += HOUR
    always.put("/v1/users/u", json={"consent": True}).raise_for_status()
    third = decide(always)
    body = {"user_id": "u", "item_id": "i1", "variant_id": "v0", "reason": "r"}
    critical = always.post("/v1/critical", json=body).json()
    assert [shown(always, of) for of in (first, second, third, critical)] == [True] + [False] * 3


def test_a_user_whom_events_or_the_shop_made_was_known(always, shop):
    event = {"user_id": "v", "item_id": "i0", "event": "cart", "at": iso(shop.clock.now)}
    always.post("/v1/events", json={"events": [event]}).raise_for_status()
    always.put("/v1/users/w", json={"consent": True}).raise_for_status()
    shop.clock.now += 1
    known = [decide(always, user_id=user) for user in ("v", "w")]
    assert [(of["cold_start"], shown(always, of)) for of in known] == [(False, False)] * 2


def test_a_user_first_met_at_a_trusted_instant_was_unknown_then(shop):
    with shop.server(shop.policy("hold", Hold(), floor=0.0), trust_request_time=True) as client:
        at = iso(shop.clock.now - 30 * DAY)
        first, again = decide(client, at=at), decide(client, at=at)
        assert again == {**first, "repeated": True}
        late = {"user_id": "u", "item_id": "i0", "event": "cart", "at": iso(shop.clock.now)}
        client.post("/v1/events", json={"events": [late]}).raise_for_status()
        assert (first["cold_start"], shown(client, first)) == (True, True)


def test_a_hold_binds_until_the_next_local_date_and_writes_one_row(shop):
    with shop.server(shop.policy("hold", Hold(), floor=0.0)) as client:
        client.put("/v1/users/u", json={"timezone": "Asia/Tokyo", "consent": True})
        shop.clock.now += 1
        first = decide(client)
        again = decide(client)
        assert (first["action"], first["repeated"], first["cold_start"]) == ("hold", False, False)
        assert again == {**first, "repeated": True}
        assert decisions_in_log(client) == 1
        shop.clock.now += 2 * HOUR  # 12:00 UTC is 21:00 in Tokyo
        assert decide(client)["repeated"]
        shop.clock.now += HOUR
        assert not decide(client)["repeated"]


def test_a_second_ask_after_a_send_is_a_turn_of_its_own(always, shop):
    always.put("/v1/guardrails", json={"caps": {"per_7d": 1}}).raise_for_status()
    first, second = decide(always), decide(always)
    assert first["action"] == "send"
    assert (second["action"], second["reason"]) == ("hold", "cap_calendar_day")
    assert always.get(f"/v1/decisions/{second['decision_id']}").json()["turn"] == 1


@pytest.mark.parametrize(
    ("settings", "user", "reason"),
    [
        ({"unknown_consent": None}, None, "consent_unknown"),
        ({"default_timezone": None}, None, "timezone_unknown"),
        ({}, {"consent": False}, "consent"),
        ({}, {"consent": True, "preferences": "-a|-b"}, "no_candidates"),
    ],
)
def test_who_can_not_be_asked_gets_a_hold_with_its_reason(shop, settings, user, reason):
    with shop.server(shop.policy("p"), **settings) as client:
        if user:
            client.put("/v1/users/u", json=user)
        held = decide(client)
        assert (held["action"], held["reason"], held["propensity"]) == ("hold", reason, 1.0)


def test_what_was_unknown_binds_only_until_it_is_known(shop):
    with shop.server(shop.policy("p"), unknown_consent=None) as client:
        assert not decide(client)["repeated"]
        assert decide(client)["repeated"]
        client.put("/v1/users/u", json={"consent": True})
        known = decide(client)
        assert (known["repeated"], known["reason"]) == (False, "policy")


def test_consent_assumed_from_now_on_is_assumed_of_users_seen_before(shop):
    policy = shop.policy("p")
    with shop.server(policy, unknown_consent=None) as client:
        assert decide(client)["reason"] == "consent_unknown"
    with shop.server(policy) as client:
        known = decide(client)
        assert (known["repeated"], known["reason"]) == (False, "policy")


def test_the_zone_that_a_request_brings_is_kept(shop):
    with shop.server(shop.policy("p"), default_timezone=None) as client:
        assert decide(client, timezone="Asia/Tokyo")["reason"] == "policy"
        assert client.get("/v1/users/u").json()["timezone"] == "Asia/Tokyo"


def test_no_stock_leaves_no_candidate(always):
    item = {"item_id": "i0", "title": "t", "category": "c", "brand": "b", "price": 1.0, "stock": 0}
    always.put("/v1/items", json={"items": [item]}).raise_for_status()
    assert decide(always, candidates=["i0"])["reason"] == "no_candidates"


def test_the_kill_switch_holds_everyone_at_once(always):
    always.put("/v1/kill", json={"on": True})
    held = decide(always)
    assert (held["action"], held["arm"], held["reason"]) == ("hold", "killed", "killed")
    always.put("/v1/kill", json={"on": False})
    assert decide(always)["action"] == "send"


def test_the_holdout_share_never_gets_a_push(shop):
    with shop.server(shop.policy("p", holdout_share=0.5)) as client:
        body = {"requests": [{**ASK, "user_id": f"u{n}"} for n in range(400)]}
        rows = client.post("/v1/decisions:batch", json=body).json()["decisions"]
    held_out = [row for row in rows if row["arm"] == "holdout"]
    assert 150 < len(held_out) < 250
    assert {(row["action"], row["propensity"]) for row in held_out} == {("hold", 1.0)}


def test_a_dry_run_writes_nothing(always):
    tried = decide(always, dry_run=True)
    assert (tried["action"], tried["decision_id"]) == ("send", None)
    assert decisions_in_log(always) == 0
    assert always.get("/v1/users/u").status_code == 404


def test_a_batch_answers_in_order_with_errors_in_their_place(always):
    always.put("/v1/guardrails", json={"caps": {"per_7d": 1}}).raise_for_status()
    asks = [{**ASK, "user_id": "a"}, {"user_id": 7}, {**ASK, "candidates": ["nope"]}, ASK, ASK, 7]
    rows = always.post("/v1/decisions:batch", json={"requests": asks}).json()["decisions"]
    assert [row.get("user_id") for row in rows] == ["a", None, None, "u", "u", None]
    assert rows[5]["error"]["field"] == "requests[5]"
    assert rows[1]["error"]["field"] == "requests[1].user_id"
    assert rows[2]["error"]["field"] == "requests[2].candidates[0]"
    assert (rows[3]["action"], rows[4]["action"]) == ("send", "hold")


def test_at_decides_at_that_instant_where_it_is_trusted(shop):
    with shop.server(shop.policy("p"), trust_request_time=True) as client:
        assert decide(client, at="2030-01-01T10:00:00+01:00")["decided_at"] == (
            "2030-01-01T09:00:00Z"
        )
        late = client.post("/v1/decisions", json={**ASK, "at": "2029-01-01T10:00:00Z"})
        assert (late.status_code, late.json()["field"]) == (409, "at")
        never = client.post("/v1/decisions", json={**ASK, "at": "9999-12-31T23:59:59Z"})
        assert (never.status_code, never.json()["field"]) == (422, "at")


def test_cancelling_frees_the_cap(always, shop):
    shop.clock.now += 10 * HOUR
    sent = decide(always)
    while sent["action"] == "send" and sent["send_at"] <= sent["decided_at"]:
        shop.clock.now += DAY
        sent = decide(always)
    where = f"/v1/decisions/{sent['decision_id']}:cancel"
    shop.clock.now += 1
    for _ in range(2):
        assert always.post(where).json()["outcomes"][0]["outcome"] == "cancelled"
    assert decide(always)["action"] == "send"
    shop.clock.now += 3 * DAY
    assert always.post("/v1/decisions/nope:cancel").status_code == 404
