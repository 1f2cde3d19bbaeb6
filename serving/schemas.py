"""Bodies of requests: what they may hold, checked field by field. Those of answers are in
`serving.answers`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ingestion.schema import TABLES
from mdp.clock import NO_ZONE, zone_code
from serving.problems import UNKNOWN_ZONE

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = (datetime(2100, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def instant(value: object) -> int:
    """Microseconds UTC of an ISO 8601 time with offset; raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("a time is a string such as 2026-03-01T18:00:00Z")
    try:
        time = datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is not an ISO 8601 time") from error
    if time.tzinfo is None:
        raise ValueError(f"{value!r} has no offset; write Z or +01:00 after it")
    try:
        return (time.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)
    except OverflowError as error:
        raise ValueError(f"{value!r} is not within the years 1 to 9999 of UTC") from error


@lru_cache(maxsize=4096)
def iso(at: int) -> str:
    """The ISO 8601 text of microseconds UTC."""
    time = EPOCH + timedelta(microseconds=int(at))
    return time.isoformat().replace("+00:00", "Z")


def _plausible(at: int) -> int:
    if not 0 <= at < LATEST:
        raise ValueError(f"{iso(at)} is not between 1970 and 2100: is a clock wrong?")
    return at


def _known_zone(name: str) -> str:
    if zone_code(name) == NO_ZONE:
        raise PydanticCustomError(
            UNKNOWN_ZONE, "{zone} is not an IANA time zone", {"zone": repr(name)}
        )
    return name


def _plain(value: object) -> object:
    if not isinstance(value, str | int | float | bool | None):
        raise ValueError("an attribute is a text, a number, true, false or null")
    return value


def _not_a_column(name: str) -> str:
    if name in {column.name for column in TABLES["users"].columns}:
        raise ValueError(f"{name!r} is a column of its own, not an attribute")
    return name


Attribute = Annotated[Any, AfterValidator(_plain)]
AttributeName = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_not_a_column)]
Id = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^|]+$")]
Text = Annotated[str, Field(max_length=2000)]
Zone = Annotated[str, Field(max_length=64), AfterValidator(_known_zone)]
Instant = Annotated[
    int, BeforeValidator(instant), WithJsonSchema({"type": "string", "format": "date-time"})
]
Moment = Annotated[Instant, AfterValidator(_plausible)]
"""When something happened or is decided."""
Amount = Annotated[float, Field(strict=True, ge=0, le=1e12)]
"""Up to what float32, in which the catalogue keeps prices, can hold and divide."""
Margin = Annotated[float, Field(strict=True, ge=-1e6, le=1)]
"""Of the price; below 0 for what is sold at a loss."""


class Body(BaseModel):
    """A body that may hold only what it names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Ask(Body):
    """One decision that is asked for."""

    user_id: Id
    candidates: list[Id] | None = Field(default=None, min_length=1, max_length=500)
    """Items to choose among, best first; default: the policy's own recommender."""
    variants: list[Id] | None = Field(default=None, min_length=1, max_length=200)
    """Copy to choose among; default: all of the catalogue's."""
    timezone: Zone | None = None
    """The user's zone as the app knows it; kept if it is new."""
    at: Moment | None = None
    """Instant to decide at, only with PUSHWISE_TRUST_REQUEST_TIME=1."""
    dry_run: StrictBool = False
    """Decide, but write nothing."""


class Asks(Body):
    """Many decisions; each is checked by itself."""

    requests: list[Any]


class EventIn(Body):
    """What a user did on their own."""

    user_id: Id
    item_id: Id
    event: Literal["view", "cart", "purchase"]
    at: Moment
    value: Amount | None = None
    """Amount paid."""
    event_id: Id | None = None
    """Tells a repeated delivery from a second event."""


class EventsIn(Body):
    """Many events; each is checked by itself."""

    events: list[Any]


class OutcomeIn(Body):
    """What became of a decision."""

    decision_id: Id
    outcome: Literal[
        "delivered",
        "failed",
        "moved",
        "cancelled",
        "opened",
        "clicked",
        "purchased",
        "dismissed",
        "unsubscribed",
    ]
    at: Moment
    value: Amount | None = None


class OutcomesIn(Body):
    """Many outcomes; each is checked by itself."""

    outcomes: list[Any]


class UserIn(Body):
    """What a shop says of a user; what is left out stays as it is."""

    timezone: Zone | None = None
    consent: StrictBool | None = None
    locale: Text | None = None
    preferences: Text | None = None
    signed_up_at: Instant | None = None
    attributes: dict[AttributeName, Attribute] | None = None


class ItemIn(BaseModel):
    """One item; columns that are not named here are kept as attributes."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Attribute] = Field(init=False)

    item_id: Id
    title: Text
    category: Text
    brand: Text
    price: Amount
    kind: Literal["product", "promotion", "content"] = "product"
    list_price: Amount | None = None
    margin: Margin | None = None
    description: Text | None = None
    rating: Amount | None = None
    stock: Amount | None = None
    listed_at: Instant | None = None
    available_until: Instant | None = None
    image_url: Text | None = None
    deep_link: Text | None = None


class ItemsIn(Body):
    """Items to add or replace."""

    items: list[ItemIn]


class VariantIn(BaseModel):
    """One variant of copy; columns that are not named here are kept as attributes."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Attribute] = Field(init=False)

    variant_id: Id
    style: Text
    locale: Text | None = None
    title: Text
    body: Text
    item_id: Id | None = None
    segment: Text | None = None
    status: Literal["approved", "draft", "rejected"] | None = None
    """Left out: as before for the same text, draft for one that changed, approved for a new one."""
    approved_by: Text | None = None
    """Who approved it."""
    approved_because: Text | None = None
    """Why it may be approved against what the rule packs find."""


class VariantsIn(Body):
    """Variants to add or replace."""

    variants: list[VariantIn]


class KillIn(Body):
    """Whether something is stopped: everything, or the one thing that is named."""

    on: StrictBool
    policy: Id | None = None
    item_id: Id | None = None
    variant_id: Id | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> KillIn:
        if sum(name is not None for name in (self.policy, self.item_id, self.variant_id)) > 1:
            raise ValueError("name a policy, an item or a variant, not several")
        return self

    @property
    def what(self) -> tuple[str | None, str | None]:
        """Kind and name of what is stopped; None: everything."""
        for kind, name in (
            ("policies", self.policy),
            ("items", self.item_id),
            ("variants", self.variant_id),
        ):
            if name is not None:
                return kind, name
        return None, None

    @property
    def field(self) -> str:
        """The field that names it."""
        named = ("policy", "item_id", "variant_id")
        return next((name for name in named if getattr(self, name) is not None), "on")


class PolicyIn(Body):
    """A saved policy to add."""

    path: Text
    """Its directory on the server's machine."""


class ChallengerIn(Body):
    """A policy that decides for a share of the users."""

    policy: Id
    share: Annotated[float, Field(strict=True, ge=0, le=1)]
    salt: Annotated[str, Field(min_length=1, max_length=200)]
    """Another salt draws other users."""


class ExperimentIn(Body):
    """Who decides beside the active policy."""

    challenger: ChallengerIn | None = None
    shadow: Id | None = None


class CriticalIn(Body):
    """A message that must be sent now."""

    user_id: Id
    item_id: Id
    variant_id: Id
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    """Why, for the audit log."""
