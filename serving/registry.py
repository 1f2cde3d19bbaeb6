"""What all decisions of a moment share: the active policy, the guardrails in force, the catalogue.

Every process keeps its own `World` and makes a new one when the store's settings have changed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import structlog
from sqlalchemy import Connection

from generation.candidates.base import Recommender
from generation.candidates.saved import recommender_of
from mdp.catalog import Catalog
from mdp.errors import BadInput, PushwiseError
from mdp.guardrails import Guardrails
from mdp.hashing import content_hash
from mdp.response import BoundModel
from policies.base import Policy
from policies.saved import PolicyBundle, with_floor
from serving.catalog import read_catalog
from serving.known import as_added, content_of, registered
from serving.store import CURRENCY, all_settings


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
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Why a `challenger` or `shadow` that should decide can't be loaded."""


@dataclass(frozen=True)
class Challenger:
    """A policy that decides for a share of the users."""

    name: str
    """The policy's."""
    world: World
    """By which these users are decided for: the challenger's, or the active policy's in its place
    while the challenger is left out."""
    share: float
    salt: str

    @property
    def arm(self) -> str:
        """What the log calls it."""
        return f"challenger:{self.name}"


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
    """The policies of a store that decide, or that a rollback makes active, each loaded once."""

    def __init__(
        self, fixed: tuple[str, PolicyBundle] | None = None, currency: str | None = None
    ) -> None:
        """fixed: name and bundle of the policy that decides in place of the active one, beside the
        store's challenger and shadow. currency: what prices are in; None: what the store's log
        says."""
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
                self._forget(values)
            return self._world

    def _forget(self, values: Mapping[str, Any]) -> None:
        """Keep in memory the active policy, the one before, challenger and shadow, and no other."""
        tried = values.get("experiment") or {}
        challenger = tried.get("challenger") or {}
        names = (
            values.get("policy"), values.get("policy_before"),
            challenger.get("policy"), tried.get("shadow"),
        )  # fmt: skip
        kept = {values.get(content_of(name)) for name in names if name}
        for added in list(self._bundles):
            if added not in kept:
                self._bundles.pop(added, None)

    def _make(self, connection: Connection, values: Mapping[str, Any]) -> World:
        champion = self._fixed or self._active(connection, values)
        return self._with_experiment(connection, values, self._of(connection, values, *champion))

    def _with_experiment(
        self, connection: Connection, values: Mapping[str, Any], world: World
    ) -> World:
        """The world with its challenger and its shadow. A broken one is left out, so that it stops
        nobody's decisions."""
        tried = values.get("experiment") or {}
        given = tried.get("challenger")
        beside: dict[str, World] = {}
        left_out: dict[str, str] = {}
        for role, name in (
            ("challenger", given and given["policy"]),
            ("shadow", tried.get("shadow")),
        ):
            if name is None:
                continue
            try:
                beside[role] = self._of(connection, values, name, self.bundle(connection, name))
            except PushwiseError as error:
                structlog.get_logger().error("left out", role=role, policy=name, error=str(error))
                left_out[role] = f"policy {name}: {error}"
        challenger = None
        if given:
            # Its users keep their arm whoever decides for them, so that the split stays as drawn.
            deciding = beside.get("challenger", world)
            challenger = Challenger(given["policy"], deciding, given["share"], given["salt"])
        shadow = beside.get("shadow")
        return replace(world, challenger=challenger, shadow=shadow, left_out=left_out)

    def trial(self, connection: Connection, name: str) -> World:
        """The world with another policy of the store. Its files are read anew, as processes that
        don't hold it will; raises as `bundle` does."""
        path, added = registered(connection, name)
        values = all_settings(connection)
        read = as_added(path, added)
        self._forget(values)  # what was tried before, and not taken
        bundle = self._bundles.setdefault(added, read)
        return self._of(connection, values, name, bundle)

    def _of(
        self, connection: Connection, values: Mapping[str, Any], name: str, bundle: PolicyBundle
    ) -> World:
        version = values.get("catalog")
        if self._catalog is None or self._catalog[0] != version:
            currency = self._currency or values.get(CURRENCY)
            self._catalog = version, read_catalog(connection, currency)
        catalog = self._catalog[1]
        guardrails = guardrails_over(bundle, values)
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

    def hold(self, bundle: PolicyBundle) -> None:
        """Keep a policy that is loaded already, which so need not be once more."""
        self._bundles[content_hash(bundle.manifest)] = bundle

    def bundle(self, connection: Connection, name: str) -> PolicyBundle:
        """A registered policy; one in memory goes on, whatever becomes of its files. Raises
        `BadInput` for an unknown one, `BadArtifact` for files that can't be loaded or are not those
        that were added."""
        path, added = registered(connection, name)
        bundle = self._bundles.get(added)
        if bundle is None:
            bundle = self._bundles[added] = as_added(path, added)
        return bundle


def guardrails_over(bundle: PolicyBundle, values: Mapping[str, Any]) -> Guardrails:
    """A policy's own guardrails with those of a store's settings put over them; raises `BadSetting`
    for one that the policy can't hold."""
    guardrails = bundle.guardrails.updated(values["guardrails"])
    if bundle.model is None:
        guardrails.need_no_model()
    return guardrails
