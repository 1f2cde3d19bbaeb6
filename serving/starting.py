"""What the command line of a server says, put into its store before the server starts.

It is applied where it says something else than at the last start. So what an operator changed at
run time survives a restart, and a new command line is obeyed.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, select

from mdp.errors import BadArtifact, BadInput
from mdp.guardrails import Guardrails
from policies.saved import PolicyBundle
from serving.delivery import settle_delivery
from serving.registry import Registry, add_policy, guardrails_over, make_active
from serving.rules import apply_file
from serving.senders import open_sender
from serving.settings import Settings
from serving.store import all_settings, open_store, put_setting, reading, setting, writing
from serving.tables import API_KEYS

WHO = "serve"
"""Who it was, for the history and the audit log."""
NAMED = "named_policy"
"""Setting that holds the policy that the command line named last."""
WARNING = "warning: "
"""What a sentence begins with that is one."""


def prepare(
    settings: Settings,
    policy: Path | None,
    guardrails: Path | None,
    now: int,
    activate: bool = False,
) -> list[str]:
    """Make the store ready to be served: its sends are somebody's to deliver, a policy is active,
    and guardrails are put over its own, where the command line says something new.

    activate: make the policy active even where it was named at the last start too.

    Returns sentences: what is in force and why, and what is looser than the policy was trained
    under. Raises `BadSetting` for bad guardrails, for a sender that lacks something and for one
    that the store contradicts, `BadArtifact` for a policy that can't be loaded, `BadInput` where
    there is none at all or its name means another.
    """
    if sender := open_sender(settings):  # refused here, in one sentence, before workers start
        sender.close()
    engine = open_store(settings.store)
    try:
        with writing(engine) as connection:
            settle_delivery(connection, settings)
            said = [_policy(connection, policy, now, activate)]
            bundle = _active(connection)
            if guardrails is not None:
                said.append(_guardrails(connection, bundle.guardrails, guardrails, now))
            rules = guardrails_over(bundle, all_settings(connection))
            looser = rules.looser_than(bundle.guardrails)
    finally:
        engine.dispose()
    return said + [f"{WARNING}{each} is looser than the policy was trained with" for each in looser]


def _policy(connection: Connection, path: Path | None, now: int, activate: bool) -> str:
    """Make the policy active where the command line says so anew; what is in force and why."""
    before = setting(connection, "policy")
    if path is None:
        if before is None:
            raise BadInput("the store has no active policy: name one to serve")
        return f"policy {before} is in force, the store's active one"
    name = add_policy(connection, path, now, WHO)
    again = setting(connection, NAMED) == name
    put_setting(connection, NAMED, name)
    if before is not None and before != name and again and not activate:
        return (
            f"policy {before} is in force, not {name}: it was made active after {name} was named "
            f"here; --activate makes {name} active"
        )
    make_active(connection, name, now, WHO)
    if before in (None, name):
        return f"policy {name} is in force" + ("" if before is None else ", as before")
    return f"policy {name} is in force in place of {before}, as named here"


def _active(connection: Connection) -> PolicyBundle:
    try:
        return Registry().bundle(connection, setting(connection, "policy"))
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
