"""Senders against local servers that speak their protocols and check what they are told."""

import hmac
import json
import time
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import httpx2
import jwt
import pytest

from mdp.errors import BadSetting
from serving.senders import Apns, Console, Fcm, Message, Webhook, open_sender
from serving.settings import read_settings
from tests.serving.receivers import apple_key, listening, self_signed, service_account, trusting

MESSAGE = Message(
    decision_id="4550009bc2df4a86aa9798a7bbd74f03", user_id="u", item_id="i1", variant_id="v1",
    title="Candle set", body="Now 71.99", deep_link="shop://i1", image_url=None,
    token="device-1", expires_at=2_000_000_000_000_000,
)  # fmt: skip


@pytest.fixture
def client():
    with httpx2.Client() as client:
        yield client


def test_a_webhook_gets_a_signed_message_with_its_key(client):
    with listening() as receiver:
        assert Webhook(client, f"{receiver.url}/push", "secret").send(MESSAGE).ok
    (request,) = receiver.requests
    assert request.headers["idempotency-key"] == MESSAGE.decision_id
    time, signature = (
        part[part.index("=") + 1 :] for part in request.headers["x-pushwise-signature"].split(",")
    )
    expected = hmac.new(b"secret", f"{time}.".encode() + request.body, sha256).hexdigest()
    assert hmac.compare_digest(signature, expected)
    assert json.loads(request.body)["title"] == "Candle set"


@pytest.mark.parametrize(
    ("status", "headers", "permanent", "after"),
    [(503, {"retry-after": "7"}, False, 7.0), (429, {}, False, None), (400, {}, True, None)],
)
def test_what_may_be_tried_again_is_told_apart(client, status, headers, permanent, after):
    with listening(lambda request: (status, {}, headers)) as receiver:
        result = Webhook(client, receiver.url, "secret").send(MESSAGE)
    assert (result.ok, result.permanent, result.after) == (False, permanent, after)
    gone = Webhook(client, receiver.url, "secret").send(MESSAGE)
    assert (gone.ok, gone.permanent) == (False, False)
    assert "ConnectError" in gone.reason


def test_fcm_gets_a_token_for_a_signed_assertion_and_then_the_message(client, tmp_path):
    def google(request):
        if request.path == "/token":
            return 200, {"access_token": "t1", "expires_in": 3600}, {}
        return 200, {"name": "projects/shop/messages/1"}, {}

    with listening(google) as receiver:
        path, public = service_account(tmp_path, receiver.url)
        sender = Fcm(client, path, receiver.url)
        began = time.time()
        assert sender.send(MESSAGE).ok
        assert sender.send(MESSAGE).ok
        ended = time.time()
    token, *sends = receiver.requests  # one token for both
    form = parse_qs(token.body.decode())
    claims = jwt.decode(form["assertion"][0], public, ["RS256"], audience=f"{receiver.url}/token")
    assert (claims["iss"], claims["exp"] - claims["iat"]) == ("push@shop.iam", 3600)
    assert [request.path for request in sends] == ["/v1/projects/shop/messages:send"] * 2
    assert sends[0].headers["authorization"] == "Bearer t1"
    message = json.loads(sends[0].body)["message"]
    assert message["token"] == "device-1"
    assert message["notification"] == {"title": "Candle set", "body": "Now 71.99"}
    assert message["data"]["decision_id"] == MESSAGE.decision_id
    lives = int(message["android"]["ttl"].removesuffix("s"))
    # Whichever kind of device it is.
    assert 2_000_000_000 - ended - 1 <= lives <= 2_000_000_000 - began
    assert message["webpush"]["headers"]["TTL"] == str(lives)
    assert message["apns"]["headers"]["apns-expiration"] == "2000000000"
    assert set(map(type, message["data"].values())) == {str}  # FCM takes texts alone


@pytest.mark.parametrize(
    ("status", "body", "permanent", "reason"),
    [
        (
            404,
            {"error": {"status": "NOT_FOUND", "details": [{"errorCode": "UNREGISTERED"}]}},
            True,
            "UNREGISTERED",
        ),
        (503, {"error": {"status": "UNAVAILABLE"}}, False, "UNAVAILABLE"),
        (401, {}, False, "access token refused"),
    ],
)
def test_fcms_errors_are_understood(client, tmp_path, status, body, permanent, reason):
    def google(request):
        if request.path == "/token":
            return 200, {"access_token": "t", "expires_in": 3600}, {}
        return status, body, {}

    with listening(google) as receiver:
        path, _ = service_account(tmp_path, receiver.url)
        sender = Fcm(client, path, receiver.url)
        result = sender.send(MESSAGE)
        assert (result.ok, result.permanent, result.reason) == (False, permanent, reason)
        sender.send(MESSAGE)
    tokens = sum(request.path == "/token" for request in receiver.requests)
    assert tokens == (2 if status == 401 else 1)


def test_apns_is_spoken_to_over_http_2_with_a_provider_token(tmp_path):
    certificate = self_signed(tmp_path)
    key, public = apple_key(tmp_path)
    with (
        listening(certificate=certificate) as receiver,
        httpx2.Client(http2=True, verify=trusting(certificate[0])) as client,
    ):
        sender = Apns(client, key, "KEY1", "TEAM1", "com.shop", receiver.url)
        assert sender.send(MESSAGE).ok
        assert sender.send(MESSAGE).ok
    first, second = receiver.requests
    assert (first.http, first.path) == ("2", "/3/device/device-1")
    assert first.headers["apns-topic"] == "com.shop"
    assert UUID(first.headers["apns-id"]).hex == MESSAGE.decision_id
    assert first.headers["apns-expiration"] == "2000000000"
    token = first.headers["authorization"].removeprefix("bearer ")
    assert jwt.get_unverified_header(token)["kid"] == "KEY1"
    assert jwt.decode(token, public, ["ES256"])["iss"] == "TEAM1"
    assert second.headers["authorization"] == first.headers["authorization"]
    assert json.loads(first.body)["aps"]["alert"]["title"] == "Candle set"


@pytest.mark.parametrize(
    ("status", "reason", "permanent"),
    [(410, "Unregistered", True), (403, "ExpiredProviderToken", False), (503, "Shutdown", False)],
)
def test_apns_errors_are_understood(client, tmp_path, status, reason, permanent):
    with listening(lambda request: (status, {"reason": reason}, {})) as receiver:
        sender = Apns(client, apple_key(tmp_path)[0], "K", "T", "com.shop", receiver.url)
        result = sender.send(MESSAGE)
    assert (result.ok, result.reason, result.permanent) == (False, reason, permanent)


def test_the_console_prints_a_line(capsys):
    assert Console().send(MESSAGE).ok
    assert json.loads(capsys.readouterr().out)["push"]["title"] == "Candle set"


WEBHOOK = {"sender": "webhook", "webhook_secret": "s"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sender": "webhook"}, "PUSHWISE_WEBHOOK_URL"),
        ({"sender": "fcm", "fcm_credentials": "/nowhere"}, "PUSHWISE_FCM_CREDENTIALS"),
        ({"sender": "apns", "apns_key": "/nowhere"}, "PUSHWISE_APNS_KEY_ID"),
        ({**WEBHOOK, "webhook_url": "shop.example/push"}, "PUSHWISE_WEBHOOK_URL is 'shop.ex"),
        ({**WEBHOOK, "webhook_url": "ftp://shop.example"}, "PUSHWISE_WEBHOOK_URL is 'ftp"),
        ({**WEBHOOK, "webhook_url": "https://a:x/"}, "PUSHWISE_WEBHOOK_URL is .*Invalid port"),
    ],
)
def test_a_sender_that_lacks_something_says_what(given, message):
    with pytest.raises(BadSetting, match=message):
        open_sender(read_settings(**given))


def test_keys_that_can_not_sign_are_told_at_start(tmp_path):
    bad = tmp_path / "key.p8"
    bad.write_text("-----BEGIN PRIVATE KEY-----")
    apns = {"apns_key_id": "K", "apns_team_id": "T", "apns_topic": "com.shop"}
    with pytest.raises(BadSetting, match=r"PUSHWISE_APNS_KEY is .*no signing key"):
        open_sender(read_settings(sender="apns", apns_key=str(bad), **apns))
    account = {"client_email": "e", "private_key": "k", "token_uri": "https://a", "project_id": "p"}
    wrong: list[Any] = [account, [], {**account, "private_key": None}]
    for given in wrong:
        (tmp_path / "fcm.json").write_text(json.dumps(given))
        with pytest.raises(BadSetting, match="no service account's key"):
            open_sender(read_settings(sender="fcm", fcm_credentials=str(tmp_path / "fcm.json")))


def test_who_sends_nothing_has_no_sender():
    assert open_sender(read_settings()) is None
    assert open_sender(read_settings(sender="shop")) is None
