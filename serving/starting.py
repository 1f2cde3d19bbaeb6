"""What the command line of a server says, put into its store before the server starts.

It is applied where it says something else than at the last start. So what an operator changed at
run time survives a restart, and a new command line is obeyed.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Engine, select

from mdp.errors import BadArtifact, BadInput, PushwiseError
from mdp.guardrails import Guardrails
from policies.saved import PolicyBundle
from serving.activation import keep_holdout, make_active
from serving.delivery import settle_delivery
from serving.known import Saved, add_policy, saved_policy
from serving.registry import Registry, guardrails_over
from serving.rules import apply_file
from serving.senders import open_sender
from serving.settings import Settings
from serving.store import all_settings, open_store, put_setting, reading, setting, writing
from serving.tables import API_KEYS
from serving.whose import need_shop_of

WHO = "serve"
"""Who it was, for the history and the audit log."""
NAMED = "named_policy"
"""Setting that holds the policy that the command line named last."""


class Start(NamedTuple):
    """What there is to say of a start, in sentences."""

    in_force: list[str]
    """Which policy and guardrails are, and why."""
    looser: list[str]
    """Warnings: what is looser than under the policy of before, and than the policy was trained
    with."""


def prepare(
    settings: Settings,
    policy: Path | None,
    guardrails: Path | None,
    now: int,
    activate: bool = False,
) -> Start:
    """Make the store ready to be served: its sends are somebody's to deliver, a policy is active,
    and guardrails are put over its own, where the command line says something new.

    activate: make the policy active even where it was named at the last start too.

    Raises `BadSetting` for bad guardrails, for a sender that lacks something and for one that the
    store contradicts, `BadArtifact` for a policy that can't be loaded, `BadInput` where there is
    none at all, its name means another or it is of another shop.
    """
    if sender := open_sender(settings):  # refused here, in one sentence, before workers start
        sender.close()
    saved = None if policy is None else saved_policy(policy)
    engine = open_store(settings.store)
    try:
        registry = _loaded(engine, saved)
        with writing(engine) as connection:
            settle_delivery(connection, settings)
            start = _policy(connection, registry, saved, now, activate)
            bundle = _active(connection, registry)
            keep_holdout(connection, registry, bundle, now, WHO)
            if guardrails is not None:
                start.in_force.append(_guardrails(connection, bundle.guardrails, guardrails, now))
            rules = guardrails_over(bundle, all_settings(connection))
            looser = rules.looser_than(bundle.guardrails)
    finally:
        engine.dispose()
    trained = [f"{key} is looser than the policy was trained with" for key in looser]
    return start._replace(looser=start.looser + trained)


def _loaded(engine: Engine, saved: Saved | None) -> Registry:
    """The policy that the command line names, which is of this shop, and the active one in memory,
    before others who write to the store would wait for that."""
    registry = Registry()
    with reading(engine) as connection:
        active = setting(connection, "policy")
        if saved is not None and saved.path.name != active:
            need_shop_of(connection, saved.bundle, saved.path.name)
        try:
            if active is not None:
                registry.bundle(connection, active)
        except PushwiseError:  # said where it is needed, and not hidden by another's same content
            return registry
    if saved is not None:
        registry.hold(saved.bundle)
    return registry


def _policy(
    connection: Connection, registry: Registry, saved: Saved | None, now: int, activate: bool
) -> Start:
    """Make the policy active where the command line says so anew; what is in force and why, and
    what is looser with it than before."""
    before = setting(connection, "policy")
    if saved is None:
        if before is None:
            raise BadInput("the store has no active policy: name one to serve")
        return Start([f"policy {before} is in force, the store's active one"], [])
    name = add_policy(connection, saved, now, WHO)
    again = setting(connection, NAMED) == name
    put_setting(connection, NAMED, name)
    if before is not None and before != name and again and not activate:
        said = (
            f"policy {before} is in force, not {name}: it was made active after {name} was named "
            f"here; --activate makes {name} active"
        )
        return Start([said], [])
    made = make_active(connection, registry, name, now, WHO)
    if before in (None, name):
        said = f"policy {name} is in force" + ("" if before is None else ", as before")
        return Start([said], [])
    looser = [f"{key} is looser than it was under {before}" for key in made.looser]
    if made.not_compared:
        looser.append(f"what is looser now is not known: {made.not_compared}")
    return Start([f"policy {name} is in force in place of {before}, as named here"], looser)


def _active(connection: Connection, registry: Registry) -> PolicyBundle:
    try:
        return registry.bundle(connection, setting(connection, "policy"))
    except BadArtifact as error:
        raise BadArtifact(
            f"{error}; to decide by another, `pushwise serve POLICY --activate`"
        ) from error


def _guardrails(connection: Connection, own: Guardrails, path: Path, now: int) -> str:
    """Apply what is new in a file of guardrails; what was."""
    keys = apply_file(connection, own, path, now, WHO)
    if not keys:
        return f"guardrails: {path} says nothing new; what is in force stays"
    return f"guardrails: {path} is in force, its news being {', '.join(keys)}"


def has_keys(store: str) -> bool:
    """Whether a store holds an API key in force."""
    engine = open_store(store)
    try:
        with reading(engine) as connection:
            in_force = select(API_KEYS.c.name).where(API_KEYS.c.revoked_at.is_(None))
            return connection.execute(in_force).first() is not None
    finally:
        engine.dispose()
