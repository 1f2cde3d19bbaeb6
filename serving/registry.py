"""What all decisions of a moment share: the active policy, the guardrails in force, the catalogue.

Every process keeps its own `World` and makes a new one when the store's settings have changed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from sqlalchemy import Connection, select

from generation.candidates.base import Recommender
from generation.candidates.saved import recommender_of
from mdp.catalog import Catalog
from mdp.errors import BadArtifact, BadInput, PushwiseError
from mdp.guardrails import Guardrails
from mdp.hashing import content_hash
from mdp.response import BoundModel
from policies.base import Policy
from policies.saved import PolicyBundle, load_policy, with_floor
from serving.access import audit
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
        return self._with_experiment(connection, values, world)

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
        self._bundles.setdefault(added, as_added(path, added))
        return self._of(connection, all_settings(connection), name, self._bundles[added])

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

    def bundle(self, connection: Connection, name: str) -> PolicyBundle:
        """A registered policy, loaded once: what is in memory goes on, whatever becomes of its
        files. Raises `BadInput` for an unknown one, `BadArtifact` for files that can't be loaded or
        are not those that were added."""
        path, added = registered(connection, name)
        if added not in self._bundles:
            self._bundles[added] = as_added(path, added)
        return self._bundles[added]


def guardrails_over(bundle: PolicyBundle, values: Mapping[str, Any]) -> Guardrails:
    """A policy's own guardrails with those of a store's settings put over them; raises `BadSetting`
    for one that the policy can't hold."""
    guardrails = bundle.guardrails.updated(values["guardrails"])
    if bundle.model is None:
        guardrails.need_no_model()
    return guardrails


def registered(connection: Connection, name: str) -> tuple[Path, str]:
    """The directory of a policy and the hash of its content; raises `BadInput` for an unknown
    one."""
    path = connection.scalar(select(POLICIES.c.path).where(POLICIES.c.name == name))
    if path is None:
        raise BadInput(f"there is no policy {name!r} in the store")
    return Path(path), setting(connection, _content_of(name))


def as_added(path: Path, added: str) -> PolicyBundle:
    """The policy in a directory; raises `BadArtifact` unless its content is what was added."""
    bundle = load_policy(path)
    if content_hash(bundle.manifest) != added:
        raise BadArtifact(
            f"{path} was changed since it was added: put back what it held, and add what it holds "
            "now under another name"
        )
    return bundle


def _content_of(name: str) -> str:
    """The setting that holds the hash of a policy's content."""
    return f"policy:{name}"


def add_policy(connection: Connection, path: Path, now: int, who: str) -> str:
    """Make a saved policy known to the store by its directory's name, which means this content for
    ever: logs, kill switches and experiments tell policies by their names. Adding the same again
    changes nothing, or where it lies.

    Raises `BadArtifact` for one that can't be loaded, `BadInput` where the name means another.
    """
    path = path.resolve()
    bundle = load_policy(path)
    name, content = path.name, content_hash(bundle.manifest)
    if setting(connection, _content_of(name), content) != content:
        raise BadInput(
            f"the store knows another policy by the name {name!r}: save this one under another "
            f"name, such as {name}-2, and add that"
        )
    row = {"name": name, "path": str(path), "hash": bundle.hash, "added_at": now}
    found = connection.execute(select(POLICIES).where(POLICIES.c.name == name)).mappings().first()
    if found is None or found["path"] != row["path"]:
        upsert(connection, POLICIES, [row])
        put_setting(connection, _content_of(name), content)
        audit(connection, now, who, "add policy", {"name": name, "path": str(path)})
    return name


def make_active(connection: Connection, name: str, now: int, who: str) -> None:
    """Decide by this policy from now on, and remember the one before for a rollback."""
    before = setting(connection, "policy")
    if before != name:
        put_setting(connection, "policy_before", before)
        put_setting(connection, "policy", name)
        audit(connection, now, who, "activate policy", {"name": name})
