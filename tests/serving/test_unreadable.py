"""Users whose fields no key opens: theirs is refused or flagged, and nobody else's."""

import io
import json

import pandas as pd
import pytest
from cryptography.fernet import Fernet

from mdp.clock import DAY, HOUR, MINUTE
from serving.archive import archive
from serving.batch import decided, open_night
from serving.sealing import MARK, PLAIN
from serving.tables import OUTBOX
from tests.serving.conftest import NOON
from tests.serving.receivers import listening
from tests.serving.test_control import decide
from tests.serving.test_sending import Shop

KEYS = "PUSHWISE_FIELD_KEYS"
KEY = Fernet.generate_key().decode()
MARKED = [MARK + "abc", MARK, PLAIN + "x", "\x01", "\x01sealed"]


@pytest.fixture
def closed(shop, monkeypatch):
    """A server that knows `ada` and `eve`, and has lost the key of `eve`'s fields."""
    with shop.server(shop.policy("p")) as client:
        client.put("/v1/users/ada", json={"preferences": "-abc"}).raise_for_status()
        monkeypatch.setenv(KEYS, KEY)
        body = {"attributes": {"push_token": "t"}, "consent": True}
        client.put("/v1/users/eve", json={**body, "consent": False}).raise_for_status()
        client.put("/v1/users/eve", json=body).raise_for_status()
        monkeypatch.delenv(KEYS)
        yield client


@pytest.fixture
def receiver():
    with listening(lambda request: (200, {}, {})) as receiver:
        yield receiver


@pytest.fixture
def sending(shop, receiver):
    sending = Shop(shop, receiver)
    yield sending
    sending.client.app.state.service.close()


@pytest.mark.parametrize("keys", ["", KEY], ids=["open", "encrypted"])
def test_a_text_that_looks_encrypted_is_a_text_like_any_other(shop, monkeypatch, keys):
    monkeypatch.setenv(KEYS, keys)
    with shop.server(shop.policy("p")) as client:
        for n, text in enumerate(MARKED):
            body = {"preferences": text, "locale": text, "attributes": {"name": text}}
            client.put(f"/v1/users/u{n}", json={"consent": True}).raise_for_status()
            client.put(f"/v1/users/u{n}", json=body).raise_for_status()
            shown = client.get(f"/v1/users/u{n}").json()
            assert {name: shown[name] for name in body} == body
            changes = client.get(f"/v1/users/u{n}:export").json()["changes"]
            assert [row["value"] for row in changes] == [text] * 3
        rows = pd.read_csv(io.BytesIO(client.get("/v1/logs/users").content))
        assert rows["preferences"].tolist() == MARKED


def test_only_the_user_who_cannot_be_read_is_refused(closed):
    for path in ("/v1/users/eve", "/v1/users/eve:export"):
        refused = closed.get(path)
        assert (refused.status_code, refused.json()["field"]) == (409, "user_id")
        assert "no key of PUSHWISE_FIELD_KEYS opens" in refused.json()["detail"]
    assert closed.put("/v1/users/eve", json={"attributes": {}}).status_code == 409
    assert closed.post("/v1/decisions", json={"user_id": "eve"}).status_code == 409
    asks = {"requests": [{"user_id": name} for name in ("ada", "eve", "bob")]}
    first, second, third = closed.post("/v1/decisions:batch", json=asks).json()["decisions"]
    assert first["action"]
    assert third["action"]
    assert second["error"]["field"] == "requests[1].user_id"
    counted = 'pushwise_refused_total{cause="unreadable_user"} 5.0'
    assert counted in closed.get("/metrics").text


def test_what_they_do_is_kept_and_what_no_key_opens_stays_as_it_is(closed, monkeypatch, shop):
    view = {"item_id": "i1", "event": "view", "at": "2026-02-17T11:00:00Z"}
    events = [{"user_id": name, **view} for name in ("ada", "eve")]
    shop.clock.now = NOON + DAY
    told = closed.post("/v1/events", json={"events": events}).json()
    assert told == {"accepted": 2, "duplicates": 0, "rejected": []}
    late = [{**event, "at": "2026-02-01T11:00:00Z"} for event in events]
    told = closed.post("/v1/events", json={"events": late}).json()
    assert (told["accepted"], [entry["index"] for entry in told["rejected"]]) == (1, [1])
    assert told["rejected"][0]["error"]["field"] == "user_id"
    monkeypatch.setenv(KEYS, KEY)
    assert closed.get("/v1/users/eve").json()["attributes"] == {"push_token": "t"}
    assert len(closed.get("/v1/users/eve:export").json()["events"]) == 1


def test_logs_flag_rows_that_cannot_be_read(closed):
    answer = closed.get("/v1/logs/users?format=parquet")
    rows = pd.read_parquet(io.BytesIO(answer.content)).set_index("user_id")
    assert rows["unreadable"].eq(True).tolist() == [False, True]
    assert rows.loc["ada", "preferences"] == "-abc"
    assert answer.headers["unreadable-rows"] == "1"
    answer = closed.get("/v1/logs/changes")
    rows = pd.read_csv(io.BytesIO(answer.content))
    assert rows["value"].isna().tolist() == rows["unreadable"].tolist()
    assert int(answer.headers["unreadable-rows"]) == len(rows) == 1


def test_they_can_be_erased_and_archived_around(closed, shop, tmp_path):
    closed.post("/v1/decisions", json={"user_id": "ada"}).raise_for_status()
    engine, settings = closed.app.state.service.engine, shop.settings()
    done = archive(engine, settings, NOON + DAY, tmp_path / "old", NOON + 60 * DAY)
    assert done.decisions == 1
    assert closed.delete("/v1/users/eve").status_code == 204
    assert closed.get("/v1/users/eve").status_code == 404


def test_the_nightly_batch_passes_over_them(closed, shop):
    settings, out = shop.settings(trust_request_time=True), shop.path / "all.csv"
    night = open_night(settings, shop.path / "p", out, NOON, 0, NOON).night
    (part,) = decided(night, 10)
    assert [row["user_id"] for row in part.answers] == ["ada"]
    ((user, why),) = part.refused
    assert user == "eve"
    assert "PUSHWISE_FIELD_KEYS" in why


def test_a_send_to_them_waits_for_the_key_and_holds_up_no_other(sending, receiver, monkeypatch):
    monkeypatch.setenv(KEYS, KEY)
    sending.client.put("/v1/users/eve", json={"attributes": {"n": 1}}).raise_for_status()
    monkeypatch.delenv(KEYS)
    mine = decide(sending.client, user_id="u")
    monkeypatch.setenv(KEYS, KEY)
    theirs = decide(sending.client, user_id="eve")
    monkeypatch.delenv(KEYS)
    sending.run(6 * HOUR)
    assert [json.loads(r.body)["decision_id"] for r in receiver.requests] == [mine["decision_id"]]
    rows = {row.decision_id: (row.state, row.reason) for row in sending.rows(OUTBOX)}
    assert rows[theirs["decision_id"]] == ("waiting", "unreadable_user")
    monkeypatch.setenv(KEYS, KEY)
    sending.run(MINUTE)
    assert len(receiver.requests) == 2
