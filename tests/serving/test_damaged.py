"""Users whose packed history changed in the store: it is made again from their rows, or they alone
are refused."""

import json

import numpy as np
import pytest
from sqlalchemy import delete, func, select, update

from mdp.clock import DAY, HOUR, MINUTE
from mdp.state import HISTORY
from policies.baselines import Random
from serving.archive import archive
from serving.batch import decided, open_night
from serving.checksums import SIZE, are_intact, checksums
from serving.history import replayed
from serving.store import reading, writing
from serving.tables import DECISIONS, OUTBOX, STARTS, USERS
from serving.users import read_users
from tests.serving.conftest import NOON
from tests.serving.receivers import listening
from tests.serving.test_control import ASK, batch, decide
from tests.serving.test_sending import Shop

RING = HISTORY.itemsize - HISTORY["ring"].itemsize - HISTORY["known"].itemsize
EVE = USERS.c.user_id == "u1"


@pytest.fixture
def client(shop):
    """A server that sent to three users once, which is their cap."""
    policy = shop.policy("p", Random(hold=1e-9), floor=0.0, per_7d=1)
    with shop.server(policy) as client:
        assert [answer["action"] for answer in batch(client, range(3))] == ["send"] * 3
        shop.clock.now += 2 * DAY
        yield client


def engine_of(client):
    return client.app.state.service.engine


def change(client, **values):
    """Change columns of a user in the store, as a disk does."""
    with writing(engine_of(client)) as connection:
        connection.execute(update(USERS).where(EVE).values(**values))


def stored(client):
    with reading(engine_of(client)) as connection:
        return connection.execute(select(USERS).where(EVE)).one()


def zeroed(client):
    """400 zeroed bytes of the ring of sends: what caps go by."""
    history = stored(client).history
    change(client, history=history[:RING] + bytes(400) + history[RING + 400 :])


def cut_off(client):
    change(client, history=stored(client).history[:-7])


def metric(client, line):
    return f"\npushwise_{line}\n" in client.get("/metrics").text


def test_a_damaged_history_is_made_again_from_the_users_rows(client, shop):
    for n, damage in enumerate((zeroed, cut_off)):
        before = np.frombuffer(stored(client).history, HISTORY)
        damage(client)
        answers = batch(client, [0, 1, 2, 3 + n])
        held = [(answer["action"], answer["reason"]) for answer in answers]
        assert held == [("hold", "cap_7d")] * 3 + [("send", "policy")]
        mended = np.frombuffer(stored(client).history, HISTORY)
        assert mended["ring"].tobytes() == before["ring"].tobytes()
        assert client.get("/v1/users/u1").status_code == 200
        assert metric(client, f"mended_total {n + 1}.0")  # what was written is whole
        shop.clock.now += DAY  # the hold binds no more


def test_where_rows_are_lost_too_that_user_alone_is_refused(client, shop):
    zeroed(client)
    with writing(engine_of(client)) as connection:
        connection.execute(delete(DECISIONS).where(DECISIONS.c.user_id == "u1"))
    first, second, third = batch(client, range(3))
    assert first["action"] == third["action"] == "hold"
    error = second["error"]
    assert (error["status"], error["field"]) == (409, "requests[1].user_id")
    assert "the store holds 0 of its 1 numbered decisions: put these rows back" in error["detail"]
    assert metric(client, 'refused_total{cause="damaged_user"} 1.0')
    assert metric(client, "mended_total 0.0")
    view = {"item_id": "i1", "event": "view", "at": "2026-02-18T11:00:00Z"}
    events = [{"user_id": user, **view} for user in ("u0", "u1")]
    told = client.post("/v1/events", json={"events": events}).json()
    assert (told["accepted"], [entry["index"] for entry in told["rejected"]]) == (1, [1])
    critical = {"user_id": "u1", "item_id": "i0", "variant_id": "v0", "reason": "recall"}
    refused = (
        client.post("/v1/decisions", json={**ASK, "user_id": "u1"}),
        client.post("/v1/critical", json=critical),
        client.get("/v1/users/u1"),
        client.put("/v1/users/u1", json={"locale": "en"}),
    )
    assert [answer.status_code for answer in refused] == [409] * 4
    settings, out = shop.settings(trust_request_time=True), shop.path / "all.csv"
    now = shop.clock.now
    (part,) = decided(open_night(settings, shop.path / "p", out, now, 0, now).night, 10)
    assert [row["user_id"] for row in part.answers] == ["u0", "u2"]
    assert [(user, error["detail"] in why) for user, why in part.refused] == [("u1", True)]
    # What the runbook says where the loss is accepted.
    left = select(func.count(DECISIONS.c.nth)).where(DECISIONS.c.user_id == USERS.c.user_id)
    change(client, decisions=left.scalar_subquery())
    assert decide(client, user_id="u1")["action"] == "send"
    assert client.delete("/v1/users/u1").status_code == 204


def test_damaged_fields_refuse_that_user_alone(client):
    with writing(engine_of(client)) as connection:
        connection.exec_driver_sql("UPDATE users SET attributes = '{' WHERE user_id = 'u1'")
    first, second, _ = batch(client, range(3))
    assert first["action"] == "hold"
    assert second["error"]["field"] == "requests[1].user_id"
    assert client.get("/v1/logs/users").headers["unreadable-rows"] == "1"


@pytest.mark.slow
def test_a_send_to_them_waits_for_their_rows_and_holds_up_no_other(shop):
    with listening(lambda request: (200, {}, {})) as receiver:
        sending = Shop(shop, receiver)
        theirs, mine = (decide(sending.client, user_id=user) for user in ("u1", "u2"))
        cut_off(sending.client)
        change(sending.client, decisions=2)
        with writing(engine_of(sending.client)) as connection:
            connection.execute(update(OUTBOX).values(attempts=5000))  # a month of them
        sending.run(6 * HOUR)
        sent = [json.loads(request.body)["decision_id"] for request in receiver.requests]
        assert sent == [mine["decision_id"]]
        rows = {row.decision_id: (row.state, row.reason) for row in sending.rows(OUTBOX)}
        assert rows[theirs["decision_id"]] == ("waiting", "damaged_user")
        change(sending.client, decisions=1)
        sending.run(15 * MINUTE)
        assert len(receiver.requests) == 2
        sending.client.app.state.service.close()


def test_histories_of_before_checksums_are_believed_and_get_one(client):
    kept = stored(client).checksum
    for before in (None, kept - (1 << 32)):  # a server of before raises the version alone
        change(client, checksum=before)
        assert decide(client, user_id="u1")["action"] == "hold"
        assert metric(client, "mended_total 0.0")
    assert client.put("/v1/users/u1", json={"locale": "en"}).status_code == 200
    row = stored(client)
    assert checksums([row.history], [row.version]) == [row.checksum]


@pytest.mark.slow
def test_what_an_archive_left_is_checked_too(client, shop, tmp_path):
    shop.clock.now = NOON + 60 * DAY
    archive(engine_of(client), shop.settings(), NOON + DAY, tmp_path / "old", shop.clock.now)
    zeroed(client)
    assert decide(client, user_id="u1")["action"] == "send"
    assert metric(client, "mended_total 1.0")
    with reading(engine_of(client)) as connection:
        user = read_users(connection, ["u1"])["u1"]
        assert replayed(connection, user).tobytes() == user.history
    with writing(engine_of(client)) as connection:
        connection.execute(update(STARTS).values(history=bytes(SIZE)))
    zeroed(client)
    refused = client.post("/v1/decisions", json={**ASK, "user_id": "u1"})
    assert refused.status_code == 409
    assert "its row of `starts` was damaged too" in refused.json()["detail"]
    with writing(engine_of(client)) as connection:
        connection.execute(delete(STARTS))
    refused = client.post("/v1/decisions", json={**ASK, "user_id": "u1"})
    assert "its row of `starts` is gone" in refused.json()["detail"]


def test_any_changed_byte_is_noticed():
    rng = np.random.default_rng(0)
    history = rng.bytes(SIZE)
    kept = checksums([history], [7])
    for place in range(SIZE):
        changed = bytearray(history)
        changed[place] ^= 1 << rng.integers(8)
        assert not are_intact([bytes(changed)], kept, [7])[0]
    moved = history[4:] + history[:4]
    assert are_intact([history, history, moved], [*kept, None, None], [7, 8, 9]) == [True] * 3
    assert are_intact([moved, history[4:]], [*kept, None], [7, 7]) == [False, False]
