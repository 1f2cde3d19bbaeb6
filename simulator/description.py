"""A simulator's description: all that stepping its users needs, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from generation.candidates.base import Recommender
from mdp.catalog import Catalog
from mdp.clock import zone_codes
from mdp.errors import BadInput
from mdp.guardrails import Guardrails
from mdp.hashing import hash_ids
from mdp.response import ResponseModel, Truth
from mdp.reward import Reward
from mdp.shop import Shop
from policies.base import Policy
from policies.saved import TraitStore
from simulator.organic import Organic


@dataclass(frozen=True)
class Users:
    """Who is simulated: U users."""

    ids: tuple[str, ...]
    """User ids (U,)."""
    zones: tuple[str, ...]
    """IANA time zones (U,)."""
    signed_up: np.ndarray
    """Instants of signing up (U,) int64, microseconds UTC."""
    locales: tuple[str, ...] = ()
    """Locales (U,), "" for unknown; empty where nobody's is known."""
    segments: tuple[str, ...] = ()
    """Segments (U,), "" for unknown; empty where nobody's is known."""
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Further columns of the users table, (U,) each."""
    hashes: np.ndarray = field(init=False)
    """Hashes of the ids (U,) uint64."""
    codes: np.ndarray = field(init=False)
    """Zone codes (U,) int16."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "hashes", hash_ids(self.ids))
        object.__setattr__(self, "codes", zone_codes(self.zones))

    def __reduce__(self) -> tuple[Any, ...]:
        # Zone codes are a process's own: another one must count its zones itself.
        return Users, tuple(getattr(self, f.name) for f in fields(self) if f.init)

    def __len__(self) -> int:
        return len(self.ids)

    def taken(self, rows: np.ndarray, ids: tuple[str, ...]) -> Users:
        """The users `rows` (N,), repeats allowed, under other ids (N,)."""

        def some(values: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(values[row] for row in rows.tolist()) if values else ()

        return Users(
            ids,
            some(self.zones),
            self.signed_up[rows],
            some(self.locales),
            some(self.segments),
            {name: some(values) for name, values in self.attributes.items()},
        )


@dataclass(frozen=True)
class Delays:
    """How long responses take: medians of log-normal delays."""

    open_hours: float = 0.6
    """From a send to its open; never more than 24 hours."""
    click_minutes: float = 1.0
    """From an open to the click; never more than an hour."""
    buy_hours: float = 1.5
    """From a click to the purchase; never more than 47 hours."""
    dismiss_hours: float = 0.5
    """From a send to its dismissal; never more than 12 hours."""
    unsubscribe_hours: float = 0.3
    """From a send to the unsubscribe; never more than 12 hours."""
    spread: float = 1.0
    """Standard deviation of the logarithm of each."""


@dataclass(frozen=True)
class Arrivals:
    """How users arrive whom a log does not know yet, and items."""

    rate: float
    """Users who sign up on a day, on average."""
    since: int | None = None
    """Who arrives is like the users who signed up from this instant on, microseconds UTC; None:
    like all."""
    items: float = 0.0
    """Items that are listed on a day, on average."""


@dataclass(frozen=True)
class Launches:
    """Items of the catalogue that are not listed yet, beside those whose places they share."""

    successor: np.ndarray
    """Catalogue row of the new item that shares each item's place (I,) int32, -1 for none."""
    since: np.ndarray
    """Instant of its listing (I,) int64, the greatest for none."""


@dataclass(frozen=True)
class Drift:
    """How tastes change: each night some users' become another's, by whom D users are meant.

    What a taste does to responses changes, and which items are met by oneself; how often, when and
    how many stay. Nobody is told.
    """

    half_life: float
    """Days after which half of the users have another taste."""
    traits: np.ndarray
    """(D,) `TRAITS`, whose tastes are drawn from."""
    items: np.ndarray
    """The users' own lists (D, M) int32, as in `Organic`."""
    weight: np.ndarray
    """Probability of each item of a list (D, M) float32."""

    @classmethod
    def among(cls, half_life: float, traits: np.ndarray, organic: Organic) -> Drift:
        """Tastes that become each other's."""
        return cls(half_life, traits, organic.own_items, organic.own_weight)

    @property
    def share(self) -> float:
        """Users whose taste changes in a night."""
        return -float(np.expm1(-np.log(2.0) / self.half_life))


@dataclass(frozen=True)
class Simulator:
    """A shop's users, how they respond and what they do anyway: known truth or fitted."""

    catalog: Catalog
    users: Users
    traits: np.ndarray
    """(U,) `TRAITS`: true, or a posterior whose variances are drawn from in each episode."""
    response: Truth
    """The truth, or the fit's mean model."""
    organic: Organic
    """What users do without pushes."""
    histories: np.ndarray
    """(U,) `HISTORY` before each user's first decision."""
    start: int
    """Episodes begin at each user's first local midnight from this instant on."""
    recommender: Recommender
    """Where a day's candidates come from."""
    logging: Policy
    """The logging policy, true or estimated."""
    reward: Reward = field(default_factory=Reward)
    guardrails: Guardrails = field(default_factory=Guardrails)
    world: str = "fitted"
    """Name of the known-truth world; "fitted" for a fit."""
    members: tuple[Truth, ...] = ()
    """Ensemble of which each episode of a user draws one to respond with; empty: `response`."""
    delays: Delays = field(default_factory=Delays)
    model: Truth | None = None
    """What observations predict with; None: they predict nothing."""
    beliefs: TraitStore | None = None
    """The traits that go with `model`."""
    arrivals: Arrivals | None = None
    """How users and items arrive; None where none do."""
    launches: Launches | None = None
    """Items that are still to be listed; None where all are."""
    drift: Drift | None = None
    """How tastes change; None where they stay."""
    calendar: Mapping[str, str] = field(default_factory=dict)
    """Names of the shop's special days, past and to come, by date, ascending."""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """Further entries that JSON can hold: trained_until, command, …"""

    def __post_init__(self) -> None:
        size = len(self.users)
        for name in ("traits", "histories"):
            if len(getattr(self, name)) != size:
                raise BadInput(f"{size} users need as many {name}, not {len(getattr(self, name))}")
        if not size:
            raise BadInput("a simulator needs at least one user")

    @property
    def lists(self) -> tuple[int, int]:
        """K and V: numbers of candidates and of copy variants that a decision is offered."""
        return self.recommender.size, len(offered(self.catalog))

    @property
    def pushable(self) -> np.ndarray:
        """Whether each user may be pushed at all (U,) bool."""
        return (self.histories["unsubscribed"] == 0) & (self.histories["consent"] == 1)

    @property
    def additive_model(self) -> ResponseModel | None:
        """`model` as a policy can carry it; raises `BadInput` for a world's truth of another
        form."""
        if self.model is not None and not isinstance(self.model, ResponseModel):
            raise BadInput(
                f"a policy carries an additive response model, not a {self.model.kind} truth: "
                "fit one to the shop's log"
            )
        return self.model

    @property
    def shop(self) -> Shop:
        """What tells the shop's logs from another's."""
        users = self.users
        first = self.histories["first_at"]
        return Shop.of(users.hashes, users.signed_up, first, self.catalog.items.hashes)

    @property
    def sign_up_days(self) -> list[int | None]:
        """What a policy keeps of it, of some users, in the order of its traits."""
        return [] if self.beliefs is None else self.shop.days(self.beliefs.hashes)

    def of_users(self, rows: np.ndarray, ids: tuple[str, ...]) -> Simulator:
        """Its users `rows` (N,), repeats allowed, under other ids (N,), which neither beliefs nor
        recommender know."""
        return replace(
            self,
            users=self.users.taken(rows, ids),
            traits=self.traits[rows],
            organic=self.organic.of_users(rows),
            histories=self.histories[rows],
        )

    def believing(self, other: Simulator | None) -> Simulator:
        """The same users, seen through another simulator's response model and traits.

        None takes prediction out of the observations.
        """
        if other is None:
            return replace(self, model=None, beliefs=None)
        model = other.response if other.model is None else other.model
        beliefs = own_beliefs(other) if other.beliefs is None else other.beliefs
        return replace(self, model=model, beliefs=beliefs)


def own_beliefs(simulator: Simulator) -> TraitStore:
    """The simulator's own traits as beliefs; the mean user stands for one never fitted, who may be
    any of them."""
    order = np.argsort(simulator.users.hashes)
    traits = simulator.traits[order]
    default = np.zeros((), traits.dtype)
    for name in traits.dtype.names or ():
        default[name] = traits[name].mean(0)
    for name in ("openness", "tolerance", "taste"):
        default[f"{name}_var"] += traits[name].var(0, dtype=np.float64).mean()
    default["known"] = 0
    return TraitStore(simulator.users.hashes[order], traits, default)


def offered(catalog: Catalog) -> np.ndarray:
    """Rows (V,) int32 of the variants that a decision is offered: the approved ones."""
    approved = [row for row, status in enumerate(catalog.variants.statuses) if status == "approved"]
    return np.array(approved, np.int32)
