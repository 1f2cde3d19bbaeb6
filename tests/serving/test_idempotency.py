"""Idempotency keys as Stripe and the IETF's draft have them."""

import asyncio
import threading

import pytest
from sqlalchemy import func, select, update
from starlette.testclient import TestClient

from mdp.clock import DAY, HOUR
from policies.baselines import Hold
from serving.app import create_app
from serving.keys import MARK
from serving.store import reading, writing
from serving.tables import IDEMPOTENCY
from serving.upkeep import prune
from tests.serving.test_decisions import ASK, decisions_in_log

KEY = {"Idempotency-Key": "k1"}
BATCH = "/v1/decisions:batch"
REPLAYED = "idempotent-replayed"
STORES = ["shop", "postgresql_shop"]


def ask(client, body=ASK, path="/v1/decisions"):
    return client.post(path, json=body, headers=KEY)


@pytest.mark.parametrize("kind", STORES)
def test_the_same_key_gets_the_same_answer_after_a_restart_too(kind, request):
    shop = request.getfixturevalue(kind)
    with shop.server(shop.policy("p")) as client:
        first, again = ask(client), ask(client)
        assert first.json() == again.json()
        assert (REPLAYED in first.headers, again.headers[REPLAYED]) == (False, "true")
        assert decisions_in_log(client) == 1
    with TestClient(create_app(shop.settings(default_timezone="UTC"), shop.clock)) as client:
        restarted = ask(client)
        assert (restarted.json(), restarted.headers[REPLAYED]) == (first.json(), "true")


def test_the_same_key_with_another_body_is_refused(always):
    ask(always)
    other = ask(always, {**ASK, "user_id": "w"})
    assert (other.status_code, other.json()["field"]) == (422, "Idempotency-Key")
    assert decisions_in_log(always) == 1


def test_a_repeated_hold_is_kept_under_its_key(shop):
    """Asked for the next day, the key still gets the hold of the day before."""
    with shop.server(shop.policy("hold", Hold(), floor=0.0)) as client:
        first = client.post("/v1/decisions", json=ASK).json()
        held = ask(client).json()
        assert (held["decision_id"], held["repeated"]) == (first["decision_id"], True)
        shop.clock.now += 24 * HOUR
        assert ask(client).json() == held
        assert not client.post("/v1/decisions", json=ASK).json()["repeated"]


def test_a_key_in_flight_is_refused_and_then_answered(always, monkeypatch):
    """The decider is held up until the second request has been refused."""
    batcher = always.app.state.service.batcher
    entered, leave = threading.Event(), threading.Event()
    submit = batcher.submit

    async def slowly(requests):
        entered.set()
        await asyncio.to_thread(leave.wait, 30)
        return await submit(requests)

    monkeypatch.setattr(batcher, "submit", slowly)
    answers = []
    first = threading.Thread(target=lambda: answers.append(ask(always)))
    first.start()
    assert entered.wait(30)
    busy = ask(always)
    leave.set()
    first.join()
    assert (busy.status_code, busy.json()["field"]) == (409, "Idempotency-Key")
    assert busy.headers["retry-after"] == "1"
    assert ask(always).json() == answers[0].json()


def test_a_batch_is_answered_once_and_only_as_it_was(always):
    batch = {"requests": [{**ASK, "user_id": f"u{n}"} for n in range(3)]}
    first, again = ask(always, batch, BATCH), ask(always, batch, BATCH)
    assert first.json() == again.json()
    assert again.headers[REPLAYED] == "true"
    for other in (batch["requests"][:2], batch["requests"][::-1]):
        refused = ask(always, {"requests": other}, BATCH)
        assert (refused.status_code, refused.json()["field"]) == (422, "Idempotency-Key")
    assert decisions_in_log(always) == 3


@pytest.mark.parametrize("kind", STORES)
def test_a_key_of_another_batch_decides_nothing(kind, request):
    shop = request.getfixturevalue(kind)
    with shop.server(shop.policy("p")) as client:
        three = [{**ASK, "user_id": f"u{n}"} for n in range(3)]
        first = ask(client, {"requests": three[:2]}, BATCH)
        for path, body in ((BATCH, {"requests": three}), ("/v1/decisions", ASK)):
            refused = ask(client, body, path)
            assert (refused.status_code, refused.json()["field"]) == (422, "Idempotency-Key")
        assert decisions_in_log(client) == 2
        assert ask(client, {"requests": three[:2]}, BATCH).json() == first.json()


def test_a_key_of_a_batch_whose_first_request_was_bad_is_refused_to_another(always):
    ask(always, {"requests": [{"user": "u0"}, ASK]}, BATCH)
    other = ask(always, {"requests": [{**ASK, "user_id": "w"}]}, BATCH)
    assert (other.status_code, other.json()["field"]) == (422, "Idempotency-Key")
    assert decisions_in_log(always) == 1


def test_a_key_of_one_request_is_refused_to_a_batch(always):
    ask(always)
    refused = ask(always, {"requests": [ASK]}, BATCH)
    assert (refused.status_code, refused.json()["field"]) == (422, "Idempotency-Key")
    assert decisions_in_log(always) == 1


@pytest.mark.parametrize("kind", STORES)
def test_a_batch_that_was_cut_off_goes_on_where_it_stopped(kind, request):
    shop = request.getfixturevalue(kind)
    three = {"requests": [{**ASK, "user_id": f"u{n}"} for n in range(3)]}
    with shop.server(shop.policy("p")) as client:
        batcher = client.app.state.service.batcher
        submit = batcher.submit

        async def one_alone(requests):
            await submit(requests[:1])
            raise OSError("cut off")

        batcher.submit = one_alone
        assert ask(client, three, BATCH).status_code == 500
        assert decisions_in_log(client) == 1
        batcher.submit = submit
        whole = ask(client, three, BATCH)
        assert (whole.status_code, decisions_in_log(client)) == (200, 3)
        assert ask(client, three, BATCH).json() == whole.json()
        engine = client.app.state.service.engine
        with reading(engine) as connection:
            kept = len(connection.execute(IDEMPOTENCY.select()).all())
        assert kept == 4
        week = round(shop.settings().idempotency_days * DAY)
        prune(engine, shop.settings(), shop.clock() + week + 1)
        with reading(engine) as connection:
            assert connection.execute(IDEMPOTENCY.select()).all() == []


def named(client, key, body, path="/v1/decisions"):
    return client.post(path, json=body, headers={"Idempotency-Key": key})


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("key", ["k1", "k1/0"])
def test_a_key_like_that_of_a_batch_s_part_is_another(kind, key, request):
    """Whichever comes first, and a batch's own key may look like a part's too."""
    shop = request.getfixturevalue(kind)
    batch = {"requests": [{**ASK, "user_id": f"u{n}"} for n in range(2)]}
    others = {"requests": [{**ASK, "user_id": f"w{n}"} for n in range(2)]}
    asks = [
        (f"{key}/1", {**ASK, "user_id": "early"}, "/v1/decisions"),
        (key, batch, BATCH),
        (f"{key}/0", {**ASK, "user_id": "late"}, "/v1/decisions"),
        (f"{key}/00", others, BATCH),
    ]
    with shop.server(shop.policy("p")) as client:
        first = [named(client, *asked) for asked in asks]
        assert [answer.status_code for answer in first] == [200] * 4
        assert not any(REPLAYED in answer.headers for answer in first)
        assert decisions_in_log(client) == 6
        again = [named(client, *asked) for asked in reversed(asks)]
        assert [answer.json() for answer in again] == [answer.json() for answer in first[::-1]]
        assert decisions_in_log(client) == 6


@pytest.mark.parametrize("kind", STORES)
def test_keys_of_before_they_had_marks_get_their_answers(kind, request):
    shop = request.getfixturevalue(kind)
    batch = {"requests": [{**ASK, "user_id": f"u{n}"} for n in range(2)]}
    asks = [("k1", batch, BATCH), ("k2/0", batch, BATCH), ("k3/0", ASK, "/v1/decisions")]
    with shop.server(shop.policy("p")) as client:
        first = [named(client, *asked) for asked in asks]
        engine = client.app.state.service.engine
        with writing(engine) as connection:
            plain = func.replace(IDEMPOTENCY.c.key, MARK, "")
            connection.execute(update(IDEMPOTENCY).values(key=plain))
            keys = set(connection.scalars(select(IDEMPOTENCY.c.key)))
        assert keys == {"k1", "k1/0", "k1/1", "k2/0", "k2/0/0", "k2/0/1", "k3/0"}
        for asked, answer in zip(asks, first, strict=True):
            again = named(client, *asked)
            assert (again.json(), again.headers[REPLAYED]) == (answer.json(), "true")
        assert named(client, "k3/0", {**ASK, "user_id": "w"}).status_code == 200
        assert decisions_in_log(client) == 6
