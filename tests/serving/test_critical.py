"""Critical messages: repeated requests are answered alike, and what can't be sent is told."""

import pytest

from tests.serving.test_control import put
from tests.serving.test_decisions import decisions_in_log

BODY = {"user_id": "u", "item_id": "i1", "variant_id": "v0", "reason": "recall of a toy"}
KEY = {"Idempotency-Key": "recall-1"}


@pytest.fixture
def known(always):
    put(always, "/v1/users/u", consent=True, timezone="UTC")
    return always


def test_the_same_key_sends_once(known):
    first, again = (known.post("/v1/critical", json=BODY, headers=KEY) for _ in range(2))
    assert first.json() == again.json()
    assert ("idempotent-replayed" in first.headers) is False
    assert again.headers["idempotent-replayed"] == "true"
    assert decisions_in_log(known) == 1
    other = known.post("/v1/critical", json={**BODY, "reason": "another"}, headers=KEY)
    assert (other.status_code, other.json()["field"]) == (422, "Idempotency-Key")
    assert known.post("/v1/critical", json=BODY).status_code == 200
    assert decisions_in_log(known) == 2
    put(known, "/v1/kill", on=True)
    assert known.post("/v1/critical", json=BODY, headers=KEY).json() == first.json()


def test_a_key_in_flight_and_one_of_a_decision_are_refused(known):
    with known.app.state.service.in_flight.only("recall-1"):
        busy = known.post("/v1/critical", json=BODY, headers=KEY)
    assert (busy.status_code, busy.headers["retry-after"]) == (409, "1")
    known.post("/v1/decisions", json={"user_id": "u"}, headers=KEY)
    assert known.post("/v1/critical", json=BODY, headers=KEY).status_code == 422


def killed(client):
    put(client, "/v1/kill", on=True, item_id="i1")


def killed_copy(client):
    put(client, "/v1/kill", on=True, variant_id="v0")


def sold_out(client):
    item = {"item_id": "i1", "title": "t", "category": "c", "brand": "b", "price": 1.0, "stock": 0}
    put(client, "/v1/items", items=[item])


def over(client):
    item = {"item_id": "i1", "title": "t", "category": "c", "brand": "b", "price": 1.0}
    put(client, "/v1/items", items=[{**item, "available_until": "2020-01-01T00:00:00Z"}])


def draft(client, status="draft"):
    copy = {"variant_id": "v0", "style": "plain", "title": "t", "body": "b", "status": status}
    put(client, "/v1/variants", variants=[copy])


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        (killed, "item_id", "item 'i1' is stopped by a kill switch"),
        (killed_copy, "variant_id", "variant 'v0' is stopped by a kill switch"),
        (sold_out, "item_id", "item 'i1' is sold out"),
        (over, "item_id", "item 'i1' is not available any more"),
        (draft, "variant_id", "variant 'v0' is not approved"),
        (lambda client: draft(client, "rejected"), "variant_id", "variant 'v0' is not approved"),
    ],
)
def test_what_can_not_be_sent_is_told(known, change, field, says):
    change(known)
    refused = known.post("/v1/critical", json=BODY, headers=KEY)
    problem = refused.json()
    assert (refused.status_code, problem["field"], problem["detail"]) == (409, field, says)
    assert decisions_in_log(known) == 0


def test_a_stopped_policy_stops_no_critical_message(known):
    put(known, "/v1/kill", on=True, policy="always")
    assert known.post("/v1/critical", json=BODY).status_code == 200
