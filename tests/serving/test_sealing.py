"""Users' fields at rest."""

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from mdp.errors import BadSetting
from serving.sealing import Unreadable, opened, sealer
from serving.store import reading

STORES = ["shop", "postgresql_shop"]
SECRET = "token-of-ada"
KEYS = "PUSHWISE_FIELD_KEYS"


def key() -> str:
    return Fernet.generate_key().decode()


def stored(client) -> str:
    """All that the store holds of users, as it lies there."""
    with reading(client.app.state.service.engine) as connection:
        words = [
            text("SELECT attributes, preferences FROM users"),
            text("SELECT value FROM changes"),
        ]
        return str([connection.execute(query).all() for query in words])


@pytest.mark.parametrize("kind", STORES)
def test_fields_are_encrypted_and_come_back(kind, request, monkeypatch):
    monkeypatch.setenv(KEYS, key())
    shop = request.getfixturevalue(kind)
    with shop.server(shop.policy("p")) as client:
        for version in "12":
            body = {"attributes": {"push_token": SECRET + version}, "preferences": "-abc"}
            client.put("/v1/users/ada", json=body).raise_for_status()
        assert client.get("/v1/users/ada").json()["attributes"] == {"push_token": SECRET + "2"}
        decided = client.post("/v1/decisions", json={"user_id": "ada", "candidates": ["i1"]})
        assert decided.status_code == 200
        assert client.get("/v1/users/ada").json()["preferences"] == "-abc"
        exported = client.get("/v1/users/ada:export").text
        assert SECRET + "2" in exported
        assert SECRET not in stored(client)
        assert "-abc" not in stored(client)


def test_keys_may_come_later_and_change(shop, monkeypatch):
    with shop.server(shop.policy("p")) as client:
        client.put("/v1/users/ada", json={"attributes": {"name": SECRET}}).raise_for_status()
        assert SECRET in stored(client)
        first, second = key(), key()
        monkeypatch.setenv(KEYS, first)
        assert client.get("/v1/users/ada").json()["attributes"] == {"name": SECRET}
        client.put("/v1/users/ada", json={"preferences": "x"}).raise_for_status()
        assert SECRET not in stored(client)
        monkeypatch.setenv(KEYS, f"{second},{first}")
        assert client.get("/v1/users/ada").json()["attributes"] == {"name": SECRET}


def test_without_its_key_a_field_stays_closed(monkeypatch):
    monkeypatch.setenv(KEYS, key())
    text = sealer()(SECRET)
    assert opened(text) == SECRET
    for wrong in ("", key()):
        monkeypatch.setenv(KEYS, wrong)
        closed = opened(text)
        assert isinstance(closed, Unreadable)
        assert sealer()(closed) == text
    monkeypatch.setenv(KEYS, "not a key")
    with pytest.raises(BadSetting, match="no key: make one"):
        sealer()(SECRET)
