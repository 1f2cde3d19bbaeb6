"""The outbox: sends leave at their hour, again after failures, and not where guardrails forbid."""

import json
import threading
from collections import Counter
from dataclasses import replace
from typing import Any

import httpx2
import numpy as np
import pytest

from mdp.clock import HOUR, MINUTE, SECOND
from mdp.guardrails import Guardrails
from mdp.response import HEADS, ResponseModel
from policies.baselines import Table
from policies.saved import PolicyBundle, save_policy
from serving.sending import ATTEMPTS, LEASE, Dispatcher
from serving.store import reading
from serving.tables import OUTBOX, OUTCOMES
from simulator.worlds.logit import LogitShop
from tests.serving.conftest import NOON, OPEN_RULES
from tests.serving.receivers import listening
from tests.serving.test_control import ASK, decide, put
from tests.serving.test_export import assert_replays
from tests.serving.test_personal_data import mentions

RULES: dict[str, Any] = {"floor": 0.0, "min_hours": 0.0}


def at_six() -> Table:
    """A policy that sends at 18:00, and at 22:00 where it may not."""
    hours = np.full(24, 1e-12)
    hours[[18, 22]] = 1.0, 1e-6
    return Table(send=1 - 1e-12, items=np.ones(2), variants=np.ones(3), hours=hours)


class Shop:
    """A server that sends to a webhook; the test says when the dispatcher runs."""

    def __init__(self, shop, receiver, policy=None):
        self.shop, self.receiver = shop, receiver
        settings = {"sender": "webhook", "webhook_url": receiver.url, "webhook_secret": "s"}
        policy = policy or shop.policy("p", at_six(), **RULES)
        self.client = shop.server(policy, **settings)
        self.variant = ""

    def run(self, later: int = 0) -> None:
        """What is due after so many microseconds."""
        self.shop.clock.now += later
        self.client.app.state.service.dispatcher.run()

    def rows(self, table):
        with reading(self.client.app.state.service.engine) as connection:
            return connection.execute(table.select()).all()

    def row(self):
        (row,) = self.rows(OUTBOX)
        return row

    def outcomes(self):
        return [row.outcome for row in self.rows(OUTCOMES)]

    def ledger(self):
        return self.client.get("/v1/ledger").json()


@pytest.fixture
def answers():
    """Statuses that the receiver gives in turn; then 200."""
    return []


@pytest.fixture
def receiver(answers):
    with listening(lambda request: (answers.pop(0) if answers else 200, {}, {})) as receiver:
        yield receiver


@pytest.fixture(params=["shop", "postgresql_shop"])
def sending(request, receiver):
    shop = Shop(request.getfixturevalue(request.param), receiver)
    yield shop
    shop.client.app.state.service.close()


def test_a_send_leaves_at_its_hour_and_not_before(sending, receiver):
    sent = decide(sending.client)
    sending.run(5 * HOUR)
    assert receiver.requests == []
    assert sending.ledger()["decisions"]["pending"] == 1
    sending.run(HOUR)
    (request,) = receiver.requests
    assert json.loads(request.body)["decision_id"] == sent["decision_id"]
    assert (sending.row().state, sending.outcomes()) == ("sent", ["delivered"])
    assert sending.ledger()["decisions"]["sent"] == 1
    sending.run(HOUR)
    assert len(receiver.requests) == 1
    assert sending.ledger()["unbalanced"] == 0


def test_a_send_that_fails_is_tried_again_later_and_later(sending, receiver, answers):
    answers += [503, 503]
    decide(sending.client)
    sending.run(6 * HOUR)
    waits = []
    for _ in range(2):
        assert (sending.row().state, sending.row().reason) == ("waiting", "status 503")
        wait = sending.row().next_at - sending.shop.clock.now
        sending.run(wait - 1)
        waits.append(wait)
        sending.run(1)
    assert 1.5e6 <= waits[0] <= 2.5e6 < waits[1] <= 5e6
    assert (sending.row().state, sending.row().attempts) == ("sent", 3)
    keys = {request.headers["idempotency-key"] for request in receiver.requests}
    assert (len(receiver.requests), len(keys)) == (3, 1)


def test_a_dead_letter_frees_the_cap_and_can_be_tried_again(sending, answers):
    answers += [503] * ATTEMPTS
    sent = decide(sending.client)
    sending.run(6 * HOUR)
    for _ in range(ATTEMPTS - 1):
        sending.run(sending.row().next_at - sending.shop.clock.now)
    assert (sending.row().state, sending.outcomes()) == ("dead", ["failed"])
    assert sending.ledger()["decisions"]["failed"] == 1
    box = sending.client.get("/v1/outbox").json()
    assert box["totals"] == {"dead": 1}
    assert box["sends"][0]["reason"] == "status 503"
    where = f"/v1/outbox/{sent['decision_id']}:retry"
    assert sending.client.post(where).json()["state"] == "waiting"
    assert sending.client.post(where).status_code == 404
    assert sending.ledger()["decisions"]["pending"] == 1
    sending.run()
    assert sending.row().state == "sent"
    counts = sending.ledger()
    assert (counts["decisions"]["sent"], counts["decisions"]["failed"]) == (1, 0)
    assert (counts["moved"], counts["unbalanced"]) == (1, 0)
    put(sending.client, "/v1/guardrails", caps={"per_24h": 1})
    assert decide(sending.client)["reason"] == "cap_24h"  # it counts again
    assert_replays(sending.client)


def test_that_a_send_was_tried_again_leads_to_nobody_who_was_erased(sending, answers):
    answers += [400]
    sent = decide(sending.client)
    sending.run(6 * HOUR)
    sending.client.post(f"/v1/outbox/{sent['decision_id']}:retry").raise_for_status()
    (row,) = sending.client.get("/v1/users/u:export").json()["audit"]
    assert (row["action"], row["detail"]["decision_id"]) == ("retry send", sent["decision_id"])
    sending.client.delete("/v1/users/u").raise_for_status()
    assert mentions(sending.client, [sent["decision_id"]]) == {}
    newest, before, *_ = sending.client.get("/v1/audit").json()["entries"]
    assert (newest["action"], before["action"]) == ("erase user", "retry send")
    assert before["detail"] == {}


def test_a_dead_letter_whose_place_was_taken_is_not_sent(sending, answers):
    answers += [400]
    first = decide(sending.client)
    sending.run(6 * HOUR)
    assert decide(sending.client, candidates=["i2", "i3"])["action"] == "send"
    put(sending.client, "/v1/guardrails", caps={"per_24h": 1})
    refused = sending.client.post(f"/v1/outbox/{first['decision_id']}:retry")
    assert (refused.status_code, refused.json()["field"]) == (409, "decision_id")
    assert "no more: cap_" in refused.json()["detail"]
    assert sending.ledger()["decisions"]["failed"] == 1
    sending.shop.clock.now += 3 * HOUR
    late = sending.client.post(f"/v1/outbox/{first['decision_id']}:retry")
    assert late.json()["detail"].endswith("too_late")


def test_a_dead_letter_that_dies_again_frees_its_place_again(sending, answers):
    answers += [400, 400]
    sent = decide(sending.client)
    sending.run(6 * HOUR)
    sending.client.post(f"/v1/outbox/{sent['decision_id']}:retry").raise_for_status()
    sending.run()
    assert (sending.row().state, sending.ledger()["decisions"]["failed"]) == ("dead", 1)
    put(sending.client, "/v1/guardrails", caps={"per_24h": 1})
    assert decide(sending.client)["action"] == "send"
    assert_replays(sending.client)


def test_whatever_a_sender_raises_is_a_failure_and_then_a_dead_letter(sending, monkeypatch):
    """Before, the row was leased again every five minutes for ever."""
    dispatcher = sending.client.app.state.service.dispatcher
    url = httpx2.URL
    monkeypatch.setattr(dispatcher._sender, "send", lambda message: url("https://a/\n"))
    decide(sending.client)
    sending.run(6 * HOUR)
    for attempt in range(1, ATTEMPTS):
        assert (sending.row().state, sending.row().attempts) == ("waiting", attempt)
        assert sending.row().reason == "InvalidURL"
        sending.run(sending.row().next_at - sending.shop.clock.now)
    assert (sending.row().state, sending.outcomes()) == ("dead", ["failed"])


def test_a_refusal_is_final(sending, answers):
    answers += [400]
    decide(sending.client)
    sending.run(6 * HOUR)
    assert (sending.row().state, sending.row().reason, sending.outcomes()) == (
        "dead", "status 400", ["failed"],
    )  # fmt: skip


def quiet(shop):
    put(shop.client, "/v1/guardrails", quiet_hours={"start": "17:00", "end": "19:00"})


def test_a_send_whose_retries_reach_quiet_hours_is_cancelled_by_them(sending, receiver, answers):
    """Its hour was allowed, the moment is not: guardrails are asked at the moment of sending."""
    answers += [503] * (ATTEMPTS - 1)
    decide(sending.client)
    put(sending.client, "/v1/guardrails", quiet_hours={"start": "18:01", "end": "08:00"})
    sending.run(6 * HOUR)
    while sending.row().state == "waiting":
        sending.run(sending.row().next_at - sending.shop.clock.now)
    assert (sending.row().state, sending.row().reason) == ("cancelled", "quiet_hours")
    assert len(receiver.requests) == sending.row().attempts - 1 >= 5
    assert expiries(receiver) == {NOON + 6 * HOUR + MINUTE}


def expiries(receiver):
    return {json.loads(request.body)["expires_at"] for request in receiver.requests}


@pytest.mark.parametrize(
    ("start", "zone", "expires_at"),
    [
        ("22:00", "UTC", NOON + 8 * HOUR),  # two hours after its own
        ("19:30", "UTC", NOON + 7 * HOUR + 30 * MINUTE),
        ("19:30", "Asia/Kolkata", NOON + 2 * HOUR),  # 18:00 there is 12:30 here
    ],
)
def test_a_message_ends_where_quiet_hours_begin(shop, receiver, start, zone, expires_at):
    sending = Shop(shop, receiver)
    put(sending.client, "/v1/guardrails", quiet_hours={"start": start, "end": "08:00"})
    decide(sending.client, timezone=zone)
    sending.run(30 * MINUTE if zone != "UTC" else 6 * HOUR)
    assert expiries(receiver) == {expires_at}
    sending.client.app.state.service.close()


def test_a_second_s_delay_takes_no_place_from_sends_of_later(sending):
    """Two were decided just a gap apart, and the first leaves a second late."""
    rules = {"caps": {"per_calendar_day": 2, "per_24h": 2}, "gaps": {"min_hours": 4}}
    put(sending.client, "/v1/guardrails", **rules)
    made = [decide(sending.client), decide(sending.client, candidates=["i2", "i3"])]
    assert {row["send_at"][11:16] for row in made} == {"18:00", "22:00"}
    sending.run(6 * HOUR + SECOND)
    sending.run(4 * HOUR)
    assert [row.state for row in sending.rows(OUTBOX)] == ["sent", "sent"]
    assert sending.ledger()["moved"] == 0


def sold_out(shop):
    item = {"title": "t", "category": "c", "brand": "b", "price": 1.0, "stock": 0}
    items = [{"item_id": name, **item} for name in ("i0", "i1")]
    put(shop.client, "/v1/items", items=items)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: put(s.client, "/v1/users/u", consent=False), "consent"),
        (lambda s: put(s.client, "/v1/users/u", timezone="Asia/Tokyo"), "quiet_hours"),
        (quiet, "quiet_hours"),
        (sold_out, "out_of_stock"),
        (lambda s: put(s.client, "/v1/guardrails", caps={"per_7d": 0}), "cap_7d"),
        (lambda s: put(s.client, "/v1/guardrails", holdout={"share": 1.0}), "holdout"),
        (lambda s: put(s.client, "/v1/kill", on=True), "killed"),
        (lambda s: put(s.client, "/v1/kill", on=True, variant_id=s.variant), "killed"),
        (lambda s: setattr(s.shop.clock, "now", s.shop.clock.now + 3 * HOUR), "too_late"),
    ],
)
def test_a_send_that_guardrails_forbid_by_then_is_cancelled_with_its_reason(
    shop, receiver, change, reason
):
    sending = Shop(shop, receiver)
    quiet_nights = {"start": "23:00", "end": "08:00"}  # 18:00 UTC is 03:00 in Tokyo
    put(sending.client, "/v1/guardrails", quiet_hours=quiet_nights)
    sending.variant = decide(sending.client)["variant_id"]
    change(sending)
    sending.run(6 * HOUR)
    assert (sending.row().state, sending.row().reason) == ("cancelled", reason)
    assert (receiver.requests, sending.outcomes()) == ([], ["cancelled"])
    assert sending.ledger()["decisions"]["cancelled"] == 1
    sending.client.app.state.service.close()


def tiring(shop):
    """A policy whose model predicts that a user unsubscribes of a first send with 1 %, and of one
    just after another with 7 %."""
    fitted = LogitShop().simulator(8, 0).response
    assert isinstance(fitted, ResponseModel)
    none = {
        name: np.zeros_like(array)
        for name, array in fitted.arrays().items()
        if array.shape[-1:] == (len(HEADS),)
    }
    none["base"][HEADS.index("unsubscribe")] = np.log(0.01 / 0.99)
    none["fatigue_weight"][HEADS.index("unsubscribe")] = 2.0
    rules = Guardrails(**OPEN_RULES, **RULES)
    bundle = PolicyBundle(at_six(), replace(fitted, **none), None, guardrails=rules)
    save_policy(shop.path / "tiring", bundle)
    return shop.path / "tiring"


@pytest.mark.parametrize(
    ("ceiling", "ended"),
    [(0.011, ("sent", None)), (0.009, ("cancelled", "unsubscribe_risk"))],
    ids=["above the risk", "below"],
)
def test_the_ceiling_is_asked_at_the_hour_of_a_send_too(shop, receiver, ceiling, ended):
    """Of the user as they are by then, whom the very send has not tired."""
    sending = Shop(shop, receiver, tiring(shop))
    decide(sending.client)
    put(sending.client, "/v1/guardrails", unsubscribe={"ceiling": ceiling})
    sending.run(6 * HOUR)
    assert (sending.row().state, sending.row().reason) == ended
    sending.client.app.state.service.close()


def test_a_send_that_others_have_made_too_risky_by_then_is_cancelled(shop, receiver):
    sending = Shop(shop, receiver, tiring(shop))
    sent = decide(sending.client)
    often = {"per_calendar_day": "none"}
    put(sending.client, "/v1/guardrails", unsubscribe={"ceiling": 0.011}, caps=often)
    put(sending.client, "/v1/users/u", consent=True, timezone="UTC")
    body = {"user_id": "u", "item_id": "i5", "variant_id": "v0", "reason": "recall"}
    sending.client.post("/v1/critical", json=body).raise_for_status()
    sending.run(MINUTE)
    sending.run(6 * HOUR)
    rows = {row.decision_id: row for row in sending.rows(OUTBOX)}
    row = rows.pop(sent["decision_id"])
    assert (row.state, row.reason) == ("cancelled", "unsubscribe_risk")
    assert [(row.state, row.reason) for row in rows.values()] == [("sent", None)]
    sending.client.app.state.service.close()


def test_a_challengers_send_is_asked_about_by_the_challengers_guardrails(shop, receiver):
    evening = {"quiet_start": "17:00", "quiet_end": "19:00"}
    sending = Shop(shop, receiver, shop.policy("live", at_six(), **RULES, **evening))
    other = shop.policy("other", at_six(), **RULES)
    sending.client.post("/v1/policies", json={"path": str(other)}).raise_for_status()
    split = {"policy": "other", "share": 1.0, "salt": "s"}
    put(sending.client, "/v1/experiment", challenger=split)
    assert decide(sending.client)["arm"] == "challenger:other"
    sending.run(6 * HOUR)
    assert sending.row().state == "sent"
    sending.client.app.state.service.close()


def test_a_send_that_leaves_late_has_moved(sending, receiver):
    decide(sending.client)
    sending.run(6 * HOUR + 20 * MINUTE)
    assert len(receiver.requests) == 1
    assert sorted(sending.outcomes()) == ["delivered", "moved"]
    assert sending.ledger()["moved"] == 1


def test_what_is_cancelled_or_erased_does_not_leave(sending, receiver):
    first = decide(sending.client, user_id="a")
    decide(sending.client, user_id="b")
    sending.client.post(f"/v1/decisions/{first['decision_id']}:cancel").raise_for_status()
    sending.client.delete("/v1/users/b").raise_for_status()
    sending.run(6 * HOUR)
    assert receiver.requests == []
    assert (sending.row().state, sending.row().reason) == ("cancelled", "cancelled")


def test_a_worker_that_dies_while_sending_is_replaced(sending, receiver):
    """Its rows are leased: nobody takes them before the lease ends, then another does."""
    decide(sending.client)
    service = sending.client.app.state.service
    sending.shop.clock.now += 6 * HOUR
    assert len(service.dispatcher._take()) == 1  # and dies
    sending.run()
    assert receiver.requests == []
    sending.run(LEASE)
    assert len(receiver.requests) == 1


def test_dispatchers_side_by_side_send_each_message_once(sending, receiver):
    asks = [{**ASK, "user_id": f"u{n}"} for n in range(60)]
    sending.client.post("/v1/decisions:batch", json={"requests": asks}).raise_for_status()
    service = sending.client.app.state.service
    others = [
        Dispatcher(
            service.engine, service.registry, service.settings, service.dispatcher._sender,
            service.watch, service.metrics,
        )
        for _ in range(3)
    ]  # fmt: skip
    sending.shop.clock.now += 6 * HOUR
    threads = [threading.Thread(target=other.run) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys = Counter(request.headers["idempotency-key"] for request in receiver.requests)
    assert len(keys) == 60
    assert set(keys.values()) == {1}
    for other in others:
        other._pool.shutdown()


def test_a_critical_message_leaves_at_once_in_quiet_hours(shop, receiver):
    sending = Shop(shop, receiver)
    put(sending.client, "/v1/guardrails", quiet_hours={"start": "00:00", "end": "23:59"})
    put(sending.client, "/v1/users/u", consent=True, timezone="UTC")
    body = {"user_id": "u", "item_id": "i1", "variant_id": "v0", "reason": "recall"}
    sending.client.post("/v1/critical", json=body).raise_for_status()
    put(sending.client, "/v1/kill", on=True, policy="p")  # which it is not of
    sending.run()
    assert len(receiver.requests) == 1
    sending.client.post("/v1/critical", json={**body, "item_id": "i0"}).raise_for_status()
    put(sending.client, "/v1/kill", on=True, item_id="i0")
    sending.run(MINUTE)
    (row,) = [row for row in sending.rows(OUTBOX) if row.state == "cancelled"]
    assert (row.reason, len(receiver.requests)) == ("killed", 1)
    sending.client.app.state.service.close()
