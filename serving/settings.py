"""Settings of the server: the environment, `PUSHWISE_*` and OpenTelemetry, read here alone."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from mdp.clock import NO_ZONE, zone_code
from mdp.errors import BadSetting


def _known_zone(name: str | None) -> str | None:
    if name is not None and zone_code(name) == NO_ZONE:
        raise ValueError("not an IANA time zone, such as Europe/Berlin")
    return name


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


class Settings(BaseSettings):
    """Each field's environment variable is its name in capitals after `PUSHWISE_`."""

    model_config = SettingsConfigDict(env_prefix="PUSHWISE_", frozen=True, extra="ignore")

    store: str = "sqlite:///pushwise.sqlite"
    """URL of the store: one SQLite file."""
    redis: str | None = None
    """URL of a Redis database in which users' states are kept beside the store; unset: none."""
    api_keys: str = ""
    """API keys with every scope, separated by commas, beside those that `pushwise keys` makes;
    without any the server binds to loopback only."""
    rate_per_second: float = Field(0.0, ge=0)
    """Requests a second of one API key in one worker; 0: any number."""
    trust_request_time: bool = False
    """Accept `at` in requests and times far from the clock: for replay and simulation only."""
    unknown_consent: bool | None = None
    """Consent of users who never said: true or false; unset: hold with `consent_unknown`."""
    default_timezone: Annotated[str | None, AfterValidator(_known_zone)] = None
    """IANA zone of users whose zone is unknown; unset: hold with `timezone_unknown`."""
    currency: str | None = None
    """The shop's currency, with which `{price}` is written and which the log's `log.json` says;
    unset: that of the log that `pushwise load` loaded."""
    moderate_copy: bool = True
    """Judge copy by the rule packs before it is approved; false: the shop does so itself."""
    max_body_bytes: int = Field(4 << 20, gt=0)
    """Largest request body."""
    body_seconds: float = Field(30.0, gt=0)
    """How long a request's body may take to arrive."""
    max_batch: int = Field(10_000, gt=0)
    """Most decisions, events, outcomes or rows in one request."""
    clock_tolerance_seconds: float = Field(300.0, ge=0)
    """How far in the future the time of an event or outcome may lie, and by how much the clock may
    be set while the machine sends by it."""
    snapshot_days: float = Field(30.0, ge=0)
    """How long a decision's snapshot is kept, for `pushwise replay`; 0: none is."""
    idempotency_days: float = Field(7.0, ge=1)
    """How long the answer to an idempotency key is kept."""
    sender: Literal["console", "webhook", "fcm", "apns", "shop"] | None = None
    """Through which the server itself sends, at each send's hour; `shop`: the shop sends, by the
    answers; unset: as the store has it, the shop where no server of it has had a sender."""
    send_within_hours: float = Field(2.0, gt=0)
    """How late the server may still send; later it cancels."""
    webhook_url: str | None = None
    """Where the sender `webhook` posts to."""
    webhook_secret: str | None = None
    """What it signs with."""
    fcm_credentials: str | None = None
    """File with a service account's key, for the sender `fcm`."""
    fcm_url: str = "https://fcm.googleapis.com"
    """Firebase Cloud Messaging."""
    apns_key: str | None = None
    """File with the signing key (.p8), for the sender `apns`."""
    apns_key_id: str | None = None
    """Its id."""
    apns_team_id: str | None = None
    """The team's id."""
    apns_topic: str | None = None
    """The app's bundle id."""
    apns_url: str = "https://api.push.apple.com"
    """Apple's push service."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = (
        "info"
    )
    """debug, info, warning or error."""

    @property
    def keys(self) -> frozenset[str]:
        """The accepted API keys."""
        return frozenset(key.strip() for key in self.api_keys.split(",") if key.strip())


def read_settings(**given: object) -> Settings:
    """The environment's settings, with those given (not None) over them.

    Raises `BadSetting`, naming the variable, for a value of the wrong type.
    """
    values = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper().removeprefix("PUSHWISE_")
        raise BadSetting(
            f"PUSHWISE_{name} is {first['input']!r}: {first['msg'].removeprefix('Value error, ')}"
        ) from error


def field_keys() -> tuple[str, ...]:
    """The keys that users' fields are encrypted with at rest, the one to write with first."""
    given = os.environ.get("PUSHWISE_FIELD_KEYS", "")
    return tuple(key.strip() for key in given.split(",") if key.strip())


def trace_name() -> str | None:
    """The service's name in OpenTelemetry's traces; None where none are asked for. All else that
    OpenTelemetry can be told (`OTEL_*`) it reads by itself."""
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return None
    return os.environ.get("OTEL_SERVICE_NAME", "pushwise")


def hand_on(settings: Settings) -> None:
    """Put what differs from the defaults into this process's environment, for its workers."""
    for name, value in settings.model_dump(exclude_defaults=True).items():
        os.environ[f"PUSHWISE_{name.upper()}"] = str(value)
