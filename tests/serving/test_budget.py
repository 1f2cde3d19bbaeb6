"""The budget counts each send once while it is scheduled, whenever it was set, and gives a place
back once, whichever way a send is cancelled."""

import pytest

from mdp.clock import DAY, HOUR
from policies.baselines import Random
from serving.commit import commit
from serving.schemas import iso
from serving.store import reading
from serving.tables import BUDGET
from tests.serving.conftest import NOON
from tests.serving.test_control import batch, put
from tests.serving.test_sending import RULES, at_six

TODAY = NOON // DAY * DAY
STORES = ["shop", "postgresql_shop"]


@pytest.fixture(params=STORES)
def client(request):
    shop = request.getfixturevalue(request.param)
    with shop.server(shop.policy("p", Random(hold=1e-9), floor=0.0), sender="console") as client:
        yield client


def taken(client):
    """What is counted of each day."""
    with reading(client.app.state.service.engine) as connection:
        rows = connection.execute(BUDGET.select()).all()
    days = {row.start: row.taken for row in rows if row.period == "day"}
    for start, count in days.items():
        hours = [
            row.taken for row in rows if row.period == "hour" and row.start // DAY == start // DAY
        ]
        assert sum(hours) == count
    return days


def sends(client, users):
    return [row for row in batch(client, users) if row["action"] == "send"]


def of_today(rows):
    return [row for row in rows if row["send_at"] < iso(TODAY + DAY)]


def critical(client, user):
    client.put(f"/v1/users/{user}", json={"consent": True, "timezone": "UTC"}).raise_for_status()
    body = {"user_id": user, "item_id": "i1", "variant_id": "v0", "reason": "r"}
    response = client.post("/v1/critical", json=body)
    response.raise_for_status()
    return response.json()


def test_a_budget_set_at_run_time_counts_what_is_scheduled(client):
    before = sends(client, range(40))
    critical(client, "c")
    # one that leaves at this very hour may have left already, and can't be cancelled then
    waiting = next(row for row in before if row["send_at"] > iso(NOON + HOUR))
    client.post(f"/v1/decisions/{waiting['decision_id']}:cancel").raise_for_status()
    today = len(of_today(row for row in before if row is not waiting))
    put(client, "/v1/guardrails", budget={"per_day": today + 2})
    assert taken(client)[TODAY] == today
    assert len(of_today(sends(client, range(40, 80)))) == 2
    assert taken(client)[TODAY] == today + 2
    put(client, "/v1/guardrails", budget={"per_day": today})  # changed, not begun: counted already
    assert taken(client)[TODAY] == today + 2


def test_a_budget_that_begins_again_counts_anew(client):
    put(client, "/v1/guardrails", budget={"per_day": 100})
    sends(client, range(10))
    put(client, "/v1/guardrails", budget={"per_day": "none"})
    rows = sends(client, range(10, 30))
    put(client, "/v1/guardrails", budget={"per_hour": 100})
    assert sum(taken(client).values()) == 10 + len(rows)


def by_cancel(client, shop, sent):
    for _ in range(2):
        client.post(f"/v1/decisions/{sent['decision_id']}:cancel").raise_for_status()


def by_outcome(client, shop, sent):
    for minutes in (1, 2):  # told twice, each with a time of its own
        at = iso(NOON + minutes * 60_000_000)
        outcome = {"decision_id": sent["decision_id"], "outcome": "cancelled", "at": at}
        client.post("/v1/outcomes", json={"outcomes": [outcome]}).raise_for_status()
    by_cancel(client, shop, sent)


def by_guardrails(client, shop, sent):
    put(client, f"/v1/users/{sent['user_id']}", consent=False)
    shop.clock.now = NOON + 6 * HOUR  # when all others leave
    client.app.state.service.dispatcher.run()


def by_erasure(client, shop, sent):
    client.delete(f"/v1/users/{sent['user_id']}").raise_for_status()


@pytest.mark.parametrize("way", [by_cancel, by_outcome, by_guardrails, by_erasure])
def test_whichever_way_a_send_is_cancelled_its_place_is_given_back_once(shop, way):
    client = shop.server(shop.policy("six", at_six(), **RULES), sender="console")
    put(client, "/v1/guardrails", budget={"per_day": 100})
    first, *others = sends(client, range(10))
    critical(client, "c")
    way(client, shop, first)
    assert taken(client) == {TODAY: len(others)}
    client.app.state.service.close()


def test_hours_that_are_full_are_ruled_out_before_an_instant_that_is_long_ago(shop, monkeypatch):
    """By a trusted instant, of which the clock's last two days tell nothing."""
    tried = []

    def tell(*args):
        tried.append(args)
        assert len(tried) < 10, "drawn again for ever"
        return commit(*args)

    monkeypatch.setattr("serving.decide.commit", tell)
    policy = shop.policy("six", at_six(), **RULES)
    with shop.server(policy, trust_request_time=True) as client:
        put(client, "/v1/guardrails", budget={"per_hour": 1})
        rows = [batch(client, [n], at=iso(NOON - 30 * DAY))[0] for n in range(2)]
    assert [row["send_at"] and row["send_at"][11:13] for row in rows] == ["18", "22"]


def test_a_critical_message_gives_back_nothing(client):
    put(client, "/v1/guardrails", budget={"per_day": 100})
    before = len(sends(client, range(5)))
    sent = critical(client, "c")
    told = {"decision_id": sent["decision_id"], "outcome": "cancelled", "at": sent["decided_at"]}
    client.post("/v1/outcomes", json={"outcomes": [told]}).raise_for_status()
    critical(client, "d")
    client.delete("/v1/users/d").raise_for_status()
    assert sum(taken(client).values()) == before
