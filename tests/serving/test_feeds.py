"""Events and outcomes: accepted once, late ones too, and the ledger balances."""

import numpy as np
import pytest

from mdp.clock import DAY, HOUR, MINUTE
from mdp.state import HISTORY
from serving.history import rebuilt
from serving.schemas import iso
from serving.store import reading, writing
from serving.tables import DECISIONS
from serving.users import read_users

ASK = {"user_id": "u", "candidates": ["i0", "i1"]}


def view(at, user="u", **more):
    return {"user_id": user, "item_id": "i1", "event": "view", "at": iso(at), **more}


def post(client, table, *entries):
    response = client.post(f"/v1/{table}", json={table: list(entries)})
    assert response.status_code == 202, response.text
    return response.json()


def state(client, user="u"):
    with reading(client.app.state.service.engine) as connection:
        return read_users(connection, [user])[user].state


def send(client):
    row = client.post("/v1/decisions", json=ASK).json()
    assert row["action"] == "send"
    return row["decision_id"], row["send_at"]


def test_an_event_counts_once_however_often_it_is_delivered(always, shop):
    now = shop.clock.now
    assert post(always, "events", view(now), view(now)) == {
        "accepted": 1,
        "duplicates": 1,
        "rejected": [],
    }
    assert post(always, "events", view(now), view(now, event_id="e2"))["accepted"] == 1
    assert state(always)["counts"][5, 0] == 2.0


def test_bad_entries_are_named_and_do_not_stop_the_others(always, shop):
    now = shop.clock.now
    receipt = post(
        always,
        "events",
        view(now, item_id="nope"),
        view(now),
        view(now + HOUR),
        {**view(now), "event": "stare"},
        {**view(now), "at": "2026-01-01T00:00:00"},
        {**view(now), "at": "0001-01-01T00:00:00+11:00"},
        {**view(now), "at": "1969-12-31T23:59:59Z"},
        "view",
    )
    assert receipt["accepted"] == 1
    wrong = [(entry["index"], entry["error"]["field"]) for entry in receipt["rejected"]]
    assert wrong == [
        (0, "item_id"),
        (2, "at"),
        (3, "event"),
        (4, "at"),
        (5, "at"),
        (6, "at"),
        (7, "body"),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_arrival_does_not_change_the_state(shop, seed):
    """One by one in a random order, with a decision and its outcomes between: the same bytes."""
    rng = np.random.default_rng(seed)
    start = shop.clock.now
    with shop.server(shop.policy("p", floor=0.0)) as client:
        decision = client.post("/v1/decisions", json={**ASK, "variants": ["v1"]}).json()
        events = [
            view(start + int(minutes) * MINUTE, event_id=f"e{n}", event=kind, item_id=item)
            for n, (minutes, kind, item) in enumerate(
                zip(
                    rng.integers(-9000, 900, 30),
                    rng.choice(["view", "cart", "purchase"], 30),
                    rng.choice(["i0", "i1", "i2"], 30),
                    strict=True,
                )
            )
        ]
        outcomes = [
            {"decision_id": decision["decision_id"], "outcome": name, "at": iso(start + later)}
            for name, later in (("opened", 11 * HOUR), ("clicked", 12 * HOUR))
        ]
        shop.clock.now += 2 * DAY
        feeds = [("events", entry) for entry in events]
        if decision["action"] == "send":
            feeds += [("outcomes", entry) for entry in outcomes]
        for place in rng.permutation(len(feeds)):
            assert post(client, feeds[place][0], feeds[place][1])["accepted"] == 1
        shuffled = state(client)
        with reading(client.app.state.service.engine) as connection:
            user = read_users(connection, ["u"])["u"]
            again = rebuilt(connection, user)
        assert shuffled.tobytes() == again.history
        assert np.frombuffer(again.history, HISTORY)[0]["counts"][5:8].sum() > 0


def test_an_event_from_before_the_last_one_is_put_in_its_place(always, shop):
    now = shop.clock.now
    post(always, "events", view(now, "early"), view(now - 3 * DAY, "early"))
    post(always, "events", view(now, "late"))
    post(always, "events", view(now - 3 * DAY, "late"))
    early, late = state(always, "early"), state(always, "late")
    assert early["counts"].tobytes() == late["counts"].tobytes()
    assert early["first_at"] == late["first_at"] == now - 3 * DAY


def test_outcomes_are_joined_late_duplicate_or_orphan(always, shop):
    decision, _ = send(always)
    shop.clock.now += 10 * DAY
    soon, far = iso(shop.clock.now - 9 * DAY), iso(shop.clock.now - DAY)
    third_day = iso(shop.clock.now - 7 * DAY)
    opened = {"decision_id": decision, "outcome": "opened", "at": soon}
    receipt = post(
        always,
        "outcomes",
        opened,
        opened,
        {**opened, "outcome": "clicked", "at": far},
        {**opened, "outcome": "dismissed", "at": third_day},
        {**opened, "outcome": "purchased", "at": third_day},  # a claim has twice the time
        {**opened, "decision_id": "nope"},
    )
    assert (receipt["accepted"], receipt["duplicates"]) == (4, 1)
    assert receipt["rejected"][0]["error"]["field"] == "decision_id"
    assert always.get("/v1/ledger").json()["outcomes"] == {
        "received": 6,
        "orphan": 1,
        "duplicate": 1,
        "late": 2,
        "joined": 2,
        "archived": 0,
    }


def test_an_unsubscribed_user_gets_no_more_push(always, shop):
    decision, _ = send(always)
    shop.clock.now += 2 * DAY
    at = iso(shop.clock.now)
    post(always, "outcomes", {"decision_id": decision, "outcome": "unsubscribed", "at": at})
    shop.clock.now += 20 * DAY
    assert always.post("/v1/decisions", json=ASK).json()["reason"] == "unsubscribed"


def test_the_ledger_of_decisions_balances(shop):
    rng = np.random.default_rng(3)
    with shop.server(shop.policy("p")) as client:
        for _ in range(4):
            asks = [{**ASK, "user_id": f"u{n}"} for n in range(40)]
            rows = client.post("/v1/decisions:batch", json={"requests": asks}).json()["decisions"]
            shop.clock.now += 3 * HOUR
            for row in rows:
                what = rng.choice(["opened", "failed", "cancelled"])
                if row["action"] == "send":
                    at = iso(shop.clock.now)
                    post(
                        client,
                        "outcomes",
                        {"decision_id": row["decision_id"], "outcome": what, "at": at},
                    )
            shop.clock.now += 12 * HOUR
        ledger = client.get("/v1/ledger").json()
        counts, outcomes = ledger["decisions"], ledger["outcomes"]
        table = client.get("/v1/logs/decisions").text.splitlines()
        client.delete("/v1/users/u3").raise_for_status()
        assert client.get("/v1/ledger").json()["unbalanced"] == ledger["unbalanced"] == 0
    assert outcomes.pop("received") == sum(outcomes.values()) > 0
    total = counts.pop("total")
    assert total == sum(counts.values()) == len(table) - 1
    assert min(counts["held"], counts["failed"], counts["cancelled"], counts["sent"]) > 0


def test_erasing_a_user_leaves_nothing(always, shop):
    send(always)
    post(always, "events", view(shop.clock.now))
    always.put("/v1/users/u", json={"locale": "de"})
    assert always.delete("/v1/users/u").status_code == 204
    assert always.delete("/v1/users/u").status_code == 404
    for table in ("users", "events", "decisions", "outcomes", "changes"):
        assert ",u," not in always.get(f"/v1/logs/{table}").text.replace("\n", ",")


@pytest.mark.parametrize("kind", ["shop", "postgresql_shop"])
def test_a_decision_that_is_lost_is_missed(kind, request):
    shop = request.getfixturevalue(kind)
    with shop.server(shop.policy("p")) as client:
        asks = [{"user_id": f"u{n}"} for n in range(4)]
        client.post("/v1/decisions:batch", json={"requests": asks}).raise_for_status()
        client.delete("/v1/users/u3").raise_for_status()
        ledger = client.get("/v1/ledger").json()
        assert ledger["numbered"] == {"decisions": 3, "users": 3}
        assert ledger["unbalanced"] == 0
        with writing(client.app.state.service.engine) as connection:
            connection.execute(DECISIONS.delete().where(DECISIONS.c.user_id == "u1"))
        ledger = client.get("/v1/ledger").json()
        assert (ledger["numbered"]["decisions"], ledger["unbalanced"]) == (2, 1)
