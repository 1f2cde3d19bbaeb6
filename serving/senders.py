"""Where sends go: a webhook, FCM's HTTP v1, APNs, or the console.

Each takes a message and says what became of it. The decision's id goes along as the key by which
a receiver recognises a message that comes twice.
"""

from __future__ import annotations

import hmac
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import orjson

from mdp.errors import BadSetting
from serving.delivery import SHOP
from serving.settings import Settings

TIMEOUT = 10.0
"""Seconds that a receiver may take."""
GOOGLE_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
AGAIN = (408, 425, 429, 500, 502, 503, 504)
"""Statuses after which the same message may be tried again."""


@dataclass(frozen=True)
class Message:
    """One push."""

    decision_id: str
    user_id: str
    item_id: str
    variant_id: str
    title: str
    body: str
    deep_link: str | None
    image_url: str | None
    token: str | None
    """The user's attribute `push_token`."""
    expires_at: int
    """Instant from which on it must not be shown any more, microseconds UTC."""


@dataclass(frozen=True)
class Result:
    """What became of an attempt."""

    ok: bool
    reason: str = ""
    permanent: bool = False
    """Trying again can't help."""
    after: float | None = None
    """Seconds that the receiver wants us to wait."""


class Sender(Protocol):
    """Delivers messages; called by several threads at once."""

    def send(self, message: Message) -> Result:
        """Deliver one message."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class Console:
    """Prints a JSON line for each message: for development."""

    def send(self, message: Message) -> Result:
        """Print it."""
        sys.stdout.write(orjson.dumps({"push": asdict(message)}).decode() + "\n")
        sys.stdout.flush()
        return Result(True)

    def close(self) -> None:
        """Nothing to let go of."""


def outcome_of(response: Any, reason: str = "") -> Result:
    """The result that a status tells."""
    status = response.status_code
    if status < 300:
        return Result(True)
    after = response.headers.get("retry-after", "")
    return Result(
        False,
        reason or f"status {status}",
        permanent=status not in AGAIN,
        after=float(after) if after.isdecimal() else None,
    )


class Http:
    """What senders over HTTP share: a client, and failures of the network as results."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def post(self, url: str, **rest: Any) -> Any:
        """A response, or the `Result` where none came."""
        import httpx2

        try:
            return self._client.post(url, timeout=TIMEOUT, **rest)
        except httpx2.HTTPError as error:
            return Result(False, f"{type(error).__name__}: {error}")


class Webhook(Http):
    """POSTs the message as JSON, signed.

    `Idempotency-Key` is the decision's id. `X-Pushwise-Signature: t=SECONDS,v1=HEX` is HMAC-SHA256
    over `SECONDS.BODY` with the shared secret.
    """

    def __init__(self, client: Any, url: str, secret: str) -> None:
        super().__init__(client)
        self._url, self._secret = url, secret.encode()

    def send(self, message: Message) -> Result:
        """Deliver it; any 2xx takes it over."""
        body, now = orjson.dumps(asdict(message)), str(int(time.time()))
        signature = hmac.new(self._secret, f"{now}.".encode() + body, sha256).hexdigest()
        headers = {
            "content-type": "application/json",
            "idempotency-key": message.decision_id,
            "x-pushwise-signature": f"t={now},v1={signature}",
        }
        response = self.post(self._url, content=body, headers=headers)
        return response if isinstance(response, Result) else outcome_of(response)


class Fcm(Http):
    """Firebase Cloud Messaging, HTTP v1, with a service account's key.

    https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages/send
    """

    def __init__(self, client: Any, credentials: Path, url: str) -> None:
        """Raises `BadSetting` for a file that is no service account's key, and for a bad URL."""
        super().__init__(client)
        checked_url("fcm_url", url)
        try:
            account = orjson.loads(credentials.read_bytes())
            self._email, self._key = account["client_email"], account["private_key"]
            self._token_url = account["token_uri"]
            self._url = f"{url}/v1/projects/{account['project_id']}/messages:send"
            self._assertion()
        except Exception as error:  # whatever such a file may lack
            raise BadSetting(
                f"PUSHWISE_FCM_CREDENTIALS is {str(credentials)!r}: no service account's key "
                f"({error!r})"
            ) from error
        checked_url("fcm_credentials", self._token_url)
        self._access: tuple[str, float] = ("", 0.0)

    def send(self, message: Message) -> Result:
        """Deliver it to the user's `push_token`."""
        if not message.token:
            return Result(False, "no push_token", permanent=True)
        access = self._access_token()
        if isinstance(access, Result):
            return access
        expires = message.expires_at // 1_000_000
        left = str(max(0, expires - math.ceil(time.time())))
        notification = {"title": message.title, "body": message.body, "image": message.image_url}
        data = {
            name: getattr(message, name)
            for name in ("decision_id", "item_id", "variant_id", "deep_link")
        }
        body = {
            "message": {
                "token": message.token,
                "notification": {k: v for k, v in notification.items() if v},
                "data": {k: v for k, v in data.items() if v},
                "android": {"collapse_key": message.decision_id, "ttl": f"{left}s"},
                "apns": {
                    "headers": {
                        "apns-collapse-id": message.decision_id,
                        "apns-expiration": str(expires),
                    }
                },
                "webpush": {"headers": {"TTL": left}},
            }
        }
        response = self.post(self._url, json=body, headers={"authorization": f"Bearer {access}"})
        if isinstance(response, Result):
            return response
        if response.status_code == 401:
            self._access = ("", 0.0)
            return Result(False, "access token refused")
        return outcome_of(response, _fcm_reason(response))

    def _access_token(self) -> str | Result:
        """A bearer token, exchanged for a signed assertion (RFC 7523) and kept while it lasts."""
        token, until = self._access
        if time.time() < until:
            return token
        now = int(time.time())
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": self._assertion(),
        }
        response = self.post(self._token_url, data=form)
        if isinstance(response, Result):
            return response
        if response.status_code != 200:
            return Result(False, f"no access token: status {response.status_code}")
        given = response.json()
        self._access = given["access_token"], now + float(given["expires_in"]) - 60
        return self._access[0]

    def _assertion(self) -> str:
        import jwt

        now = int(time.time())
        claims = {
            "iss": self._email, "scope": GOOGLE_SCOPE, "aud": self._token_url,
            "iat": now, "exp": now + 3600,
        }  # fmt: skip
        return jwt.encode(claims, self._key, algorithm="RS256")


def _fcm_reason(response: Any) -> str:
    """FCM's own error code, such as UNREGISTERED."""
    try:
        error = response.json()["error"]
        details = [d["errorCode"] for d in error.get("details", ()) if "errorCode" in d]
        return str(details[0] if details else error["status"])
    except (ValueError, KeyError, TypeError):
        return ""


class Apns(Http):
    """Apple's push service over HTTP/2, with a provider token.

    https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns
    """

    RENEWED_AFTER = 2400.0
    """Seconds of a provider token: Apple wants between 20 and 60 minutes."""

    def __init__(
        self, client: Any, key: Path, key_id: str, team_id: str, topic: str, url: str
    ) -> None:
        """Raises `BadSetting` for a key that can't be read or can't sign, and for a bad URL."""
        super().__init__(client)
        self._url = checked_url("apns_url", url)
        self._key_id, self._team_id, self._topic = key_id, team_id, topic
        self._provider: tuple[str, float] = ("", -math.inf)
        try:
            self._key = key.read_text()
            self._provider_token()
        except Exception as error:  # whatever such a key may lack
            raise BadSetting(
                f"PUSHWISE_APNS_KEY is {str(key)!r}: no signing key of Apple's ({error!r})"
            ) from error

    def send(self, message: Message) -> Result:
        """Deliver it to the user's `push_token`."""
        if not message.token:
            return Result(False, "no push_token", permanent=True)
        headers = {
            "authorization": f"bearer {self._provider_token()}",
            "apns-id": str(UUID(message.decision_id)),
            "apns-topic": self._topic,
            "apns-push-type": "alert",
            "apns-priority": "10",
            "apns-expiration": str(message.expires_at // 1_000_000),
            "apns-collapse-id": message.decision_id,
        }
        body = {
            "aps": {"alert": {"title": message.title, "body": message.body}, "sound": "default"},
            "decision_id": message.decision_id,
            "item_id": message.item_id,
            "deep_link": message.deep_link,
        }
        response = self.post(f"{self._url}/3/device/{message.token}", json=body, headers=headers)
        if isinstance(response, Result):
            return response
        try:
            reason = str(response.json()["reason"]) if response.content else ""
        except (ValueError, KeyError, TypeError):
            reason = ""
        if reason in ("ExpiredProviderToken", "InvalidProviderToken"):
            self._provider = ("", -math.inf)
            return Result(False, reason)
        return outcome_of(response, reason)

    def _provider_token(self) -> str:
        import jwt

        token, since = self._provider
        if time.monotonic() - since < self.RENEWED_AFTER:
            return token
        claims = {"iss": self._team_id, "iat": int(time.time())}
        token = jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self._key_id})
        self._provider = token, time.monotonic()
        return token


def open_sender(settings: Settings) -> Sender | None:
    """The sender that the settings name, or None; raises `BadSetting` where one lacks something."""
    makers: dict[str, Callable[[], Sender]] = {
        "console": Console,
        "webhook": lambda: Webhook(
            _client(),
            checked_url("webhook_url", _wanted(settings, "webhook_url")),
            _wanted(settings, "webhook_secret"),
        ),
        "fcm": lambda: Fcm(_client(), Path(_wanted(settings, "fcm_credentials")), settings.fcm_url),
        "apns": lambda: Apns(
            _client(http2=True),
            Path(_wanted(settings, "apns_key")),
            _wanted(settings, "apns_key_id"),
            _wanted(settings, "apns_team_id"),
            _wanted(settings, "apns_topic"),
            settings.apns_url,
        ),
    }
    return None if settings.sender in (None, SHOP) else makers[settings.sender]()


def checked_url(name: str, url: str) -> str:
    """The URL of a setting; raises `BadSetting` for one that nothing can be posted to."""
    import httpx2

    try:
        parsed = httpx2.URL(url)
        reason = "" if parsed.scheme in ("http", "https") and parsed.host else "no scheme or host"
    except httpx2.InvalidURL as error:
        reason = str(error)
    if reason:
        raise BadSetting(
            f"PUSHWISE_{name.upper()} is {url!r}: use a URL such as https://push.example/send "
            f"({reason})"
        )
    return url


def _client(**options: Any) -> Any:
    import httpx2

    return httpx2.Client(**options)


def _wanted(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    if not value:
        raise BadSetting(f"PUSHWISE_SENDER is {settings.sender}: set PUSHWISE_{name.upper()} too")
    return str(value)
