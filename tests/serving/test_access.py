"""API keys with scopes, rates, request ids, and what a user may take along or have erased."""

from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

from scripts.cli import main
from serving import access
from serving.app import create_app
from serving.store import reading
from serving.tables import API_KEYS
from tests.serving.test_control import ASK, SENDS


@pytest.fixture
def keyed(shop, capsys):
    """A server, and a function that makes a key with scopes."""
    with shop.server(shop.policy("p", SENDS)) as client:

        def key(name, scopes):
            words = ["keys", "--store", shop.store, "--create", name, "--scopes", scopes]
            assert main(words) == 0
            return {"Authorization": f"Bearer {capsys.readouterr().out.strip()}"}

        yield client, key


def forget(client):
    """Have keys read again now, in place of within a second."""
    client.app.gate._access._read_at = -access.KNOWN_FOR


@pytest.mark.parametrize(
    ("scope", "method", "path", "body"),
    [
        ("decide", "POST", "/v1/decisions", ASK),
        ("decide", "POST", "/v1/decisions/x:cancel", None),
        ("ingest", "POST", "/v1/events", {"events": []}),
        ("ingest", "PUT", "/v1/users/u", {}),
        ("read", "GET", "/v1/ledger", None),
        ("read", "GET", "/v1/users/u", None),
        ("read", "GET", "/v1/logs/users", None),
        ("operate", "PUT", "/v1/kill", {"on": False}),
        ("operate", "DELETE", "/v1/users/u", None),
        ("operate", "GET", "/v1/audit", None),
        ("operate", "POST", "/v1/policies:rollback", None),
    ],
)
def test_a_key_does_what_its_scopes_say_and_no_more(keyed, scope, method, path, body):
    client, key = keyed
    mine, other = key("mine", scope), key("other", ",".join({*access.SCOPES} - {scope}))
    forget(client)
    assert client.request(method, path, json=body, headers=mine).status_code not in (401, 403)
    refused = client.request(method, path, json=body, headers=other)
    assert (refused.status_code, refused.json()["field"]) == (403, "Authorization")
    assert client.request(method, path, json=body).status_code == 401


@pytest.mark.parametrize("scope", access.SCOPES)
def test_metrics_are_read_by_their_own_scope_and_by_read(keyed, scope):
    client, key = keyed
    header = key("mine", scope)
    forget(client)
    allowed = client.get("/metrics", headers=header).status_code == 200
    assert allowed is (scope in ("metrics", "read"))


def test_a_key_is_stored_hashed_and_revoking_the_last_opens_nothing(keyed, shop, capsys):
    client, key = keyed
    header = key("app", "read")
    forget(client)
    assert client.get("/v1/ledger", headers=header).status_code == 200
    with reading(client.app.state.service.engine) as connection:
        (row,) = connection.execute(API_KEYS.select()).all()
    assert row.hash not in header["Authorization"]
    assert main(["keys", "--store", shop.store, "--revoke", "app"]) == 0
    mistyped = f"sqlite:///{shop.path / 'mistyped.sqlite'}"
    assert main(["keys", "--store", mistyped, "--revoke", "app"]) == 1
    assert "there is no store" in capsys.readouterr().err
    assert not (shop.path / "mistyped.sqlite").exists()
    forget(client)
    assert client.get("/v1/ledger", headers=header).status_code == 401
    assert main(["keys", "--store", shop.store, "--create", "app"]) == 1
    assert "another name" in capsys.readouterr().err
    assert main(["keys", "--store", shop.store, "--create", "x", "--scopes", "all"]) == 1


def test_who_did_it_stands_in_the_audit_log(keyed):
    client, key = keyed
    header = key("boss", "operate")
    forget(client)
    client.put("/v1/kill", json={"on": True}, headers=header).raise_for_status()
    entry = client.get("/v1/audit", headers=header).json()["entries"][0]
    assert (entry["who"], entry["action"], entry["detail"]) == ("boss", "kill", {"on": True})


def test_a_cancelled_send_stands_in_the_audit_log_once(keyed):
    """With the user, so that erasing finds it."""
    client, key = keyed
    app, boss = key("app", "decide"), key("boss", "operate")
    forget(client)
    rows = [
        client.post("/v1/decisions", json={**ASK, "user_id": f"u{n}"}, headers=app).json()
        for n in range(10)
    ]
    later = max(rows, key=lambda row: row["send_at"])
    path = f"/v1/decisions/{later['decision_id']}:cancel"
    for _ in range(2):
        client.post(path, headers=app).raise_for_status()
    entry, before, *_ = client.get("/v1/audit", headers=boss).json()["entries"]
    named = {name: later[name] for name in ("decision_id", "user_id")}
    assert (entry["who"], entry["action"], entry["detail"]) == ("app", "cancel send", named)
    assert before["action"] != "cancel send"
    client.delete(f"/v1/users/{later['user_id']}", headers=boss).raise_for_status()
    _, entry, *_ = client.get("/v1/audit", headers=boss).json()["entries"]
    assert (entry["action"], entry["detail"]) == ("cancel send", {})


def test_a_key_that_calls_too_often_is_told_when_to_come_back(shop, monkeypatch):
    now = [1000.0]  # it stands: on a slow machine there would always be a call left
    monkeypatch.setattr(access, "time", SimpleNamespace(monotonic=lambda: now[0]))
    settings = shop.settings(api_keys="secret", rate_per_second=3, default_timezone="UTC")
    with shop.server(shop.policy("p")), TestClient(create_app(settings, shop.clock)) as client:
        header = {"Authorization": "Bearer secret"}
        answers = [client.get("/v1/guardrails", headers=header) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[-1].headers["retry-after"] == "1"
        assert client.get("/healthz").status_code == 200
        now[0] += 1.0
        assert client.get("/v1/guardrails", headers=header).status_code == 200


def test_a_request_id_comes_back(always):
    given = always.get("/healthz", headers={"X-Request-ID": "abc-1"})
    assert given.headers["x-request-id"] == "abc-1"
    assert (
        len(always.get("/healthz", headers={"X-Request-ID": "a b"}).headers["x-request-id"]) == 32
    )
