"""What all decisions of a moment share: the active policy, the guardrails in force, the catalogue.

Every process keeps its own `World` and makes a new one when the store's settings have changed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from generation.candidates.base import Recommender
from generation.candidates.saved import recommender_of
from mdp.catalog import Catalog
from mdp.errors import BadArtifact, BadInput
from mdp.guardrails import Guardrails
from mdp.hashing import content_hash
from mdp.response import BoundModel
from policies.base import Policy
from policies.saved import PolicyBundle, load_policy, with_floor
from serving.catalog import read_catalog
from serving.store import CURRENCY, all_settings, put_setting, setting, upsert
from serving.tables import POLICIES


@dataclass(frozen=True)
class World:
    """All that a decision depends on beside the user."""

    values: Mapping[str, Any]
    """The store's settings that this world was made from."""
    name: str
    """The policy's name in this store."""
    bundle: PolicyBundle
    policy: Policy
    """The bundle's policy with the exploration floor in force."""
    guardrails: Guardrails
    """The policy's own with the store's put over them."""
    rules_hash: str
    catalog: Catalog
    model: BoundModel | None
    recommender: Recommender | None
    approved: tuple[int, ...]
    """Rows of the variants that may be used at all."""
    stopped: Stopped
    challenger: Challenger | None = None
    shadow: World | None = None
    """Decides beside the others; nothing of it is sent."""


@dataclass(frozen=True)
class Challenger:
    """A policy that decides for a share of the users."""

    world: World
    share: float
    salt: str

    @property
    def arm(self) -> str:
        """What the log calls it."""
        return f"challenger:{self.world.name}"


@dataclass(frozen=True)
class Stopped:
    """What the kill switches have stopped."""

    everything: bool
    policies: frozenset[str]
    items: np.ndarray
    """Whether each item of the catalogue is stopped (I,) bool."""
    variants: np.ndarray
    """Whether each variant is (W,) bool."""

    @cached_property
    def lists(self) -> bool:
        """Whether any item or variant is stopped."""
        return bool(self.items.any() or self.variants.any())


def stopped(values: Mapping[str, Any], catalog: Catalog) -> Stopped:
    """The kill switches of a store's settings."""
    kills = values.get("kills", {})
    return Stopped(
        bool(values.get("kill", False)),
        frozenset(kills.get("policies", ())),
        np.isin(np.array(catalog.items.ids, object), kills.get("items", ())),
        np.isin(np.array(catalog.variants.ids, object), kills.get("variants", ())),
    )


class Registry:
    """The policies of a store, loaded once a process."""

    def __init__(
        self, fixed: tuple[str, PolicyBundle] | None = None, currency: str | None = None
    ) -> None:
        """fixed: name and bundle of the policy to decide by, whichever is active in the store.
        currency: what prices are in; None: what the store's log says."""
        self._fixed, self._currency = fixed, currency
        self._bundles: dict[str, PolicyBundle] = {}
        self._catalog: tuple[Any, Catalog] | None = None
        self._world: World | None = None
        self._lock = threading.Lock()

    def world(self, connection: Connection) -> World:
        """The world as the store has it now; raises `BadInput` where no policy is active."""
        values = all_settings(connection)
        with self._lock:
            if self._world is None or self._world.values != values:
                self._world = self._make(connection, values)
            return self._world

    def _make(self, connection: Connection, values: Mapping[str, Any]) -> World:
        if self._fixed is not None:
            return self._of(connection, values, *self._fixed)
        world = self._of(connection, values, *self._active(connection, values))
        tried = values.get("experiment") or {}
        challenger, shadow = None, None
        if given := tried.get("challenger"):
            beside = self.trial(connection, given["policy"], values)
            challenger = Challenger(beside, given["share"], given["salt"])
        if tried.get("shadow"):
            shadow = self.trial(connection, tried["shadow"], values)
        return replace(world, challenger=challenger, shadow=shadow)

    def trial(
        self, connection: Connection, name: str, values: Mapping[str, Any] | None = None
    ) -> World:
        """The world with another policy of the store; raises as `bundle` does."""
        values = all_settings(connection) if values is None else values
        return self._of(connection, values, name, self.bundle(connection, name))

    def _of(
        self, connection: Connection, values: Mapping[str, Any], name: str, bundle: PolicyBundle
    ) -> World:
        version = values.get("catalog")
        if self._catalog is None or self._catalog[0] != version:
            currency = self._currency or values.get(CURRENCY)
            self._catalog = version, read_catalog(connection, currency)
        catalog = self._catalog[1]
        guardrails = bundle.guardrails.updated(values["guardrails"])
        if bundle.model is None:
            guardrails.need_no_model()
        saved = bundle.recommender
        return World(
            values=values,
            name=name,
            bundle=bundle,
            policy=with_floor(bundle, guardrails.floor),
            guardrails=guardrails,
            rules_hash=guardrails.hash,
            catalog=catalog,
            model=None if bundle.model is None else bundle.model.bind(catalog),
            recommender=None
            if saved is None
            else recommender_of(saved.kind, saved.arrays, catalog),
            approved=tuple(np.flatnonzero(~catalog.variants.refused).tolist()),
            stopped=stopped(values, catalog),
        )

    def _active(
        self, connection: Connection, values: Mapping[str, Any]
    ) -> tuple[str, PolicyBundle]:
        name = values.get("policy")
        if name is None:
            raise BadInput("the store has no active policy: run `pushwise load --policy POLICY`")
        return name, self.bundle(connection, name)

    def bundle(self, connection: Connection, name: str) -> PolicyBundle:
        """A registered policy; raises `BadInput` for an unknown one, `BadArtifact`."""
        row = connection.execute(select(POLICIES).where(POLICIES.c.name == name)).first()
        if row is None:
            raise BadInput(f"there is no policy {name!r} in the store")
        added = setting(connection, f"policy:{name}")
        if added not in self._bundles:
            bundle = load_policy(row.path)
            if content_hash(bundle.manifest) != added:
                raise BadArtifact(f"{row.path} was changed since it was added: add it again")
            self._bundles[added] = bundle
        return self._bundles[added]


def add_policy(connection: Connection, path: Path, now: int, activate: bool = True) -> str:
    """Make a saved policy known to the store, by its directory's name, and activate it."""
    path = path.resolve()
    bundle = load_policy(path)
    row = {"name": path.name, "path": str(path), "hash": bundle.hash, "added_at": now}
    upsert(connection, POLICIES, [row])
    if activate:
        make_active(connection, path.name)
    # The same name may now mean another policy, or the same arrays under other guardrails:
    # processes compare settings, so tell them.
    put_setting(connection, f"policy:{path.name}", content_hash(bundle.manifest))
    return path.name


def make_active(connection: Connection, name: str) -> None:
    """Decide by this policy from now on, and remember the one before for a rollback."""
    before = setting(connection, "policy")
    if before != name:
        put_setting(connection, "policy_before", before)
        put_setting(connection, "policy", name)
