"""Which policy decides: made active with a comparison of what it brings with what was in force.

The holdout is not the policy's to bring: what the first active policy had is kept in the store, and
only an operator changes it. So users stay held out when policies are trained again.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection

from mdp.errors import PushwiseError
from policies.saved import PolicyBundle
from serving.access import audit
from serving.registry import Registry, guardrails_over
from serving.rules import HOLDOUT, write_history
from serving.store import all_settings, put_setting, setting

Split = Mapping[str, Any] | None
"""A challenger: `policy`, `share`, `salt`."""


@dataclass(frozen=True)
class Activation:
    """What a policy that was made active brings."""

    name: str
    before: str | None
    """The policy that was active until then."""
    looser: list[str] = field(default_factory=list)
    """Guardrails that allow from now on what was forbidden until then."""
    changed: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Guardrails and weights of the reward that differ, each `before` and `after`."""
    not_compared: str | None = None
    """Why nothing is known of the policy of before."""
    looser_than_trained: list[str] = field(default_factory=list)
    """Guardrails that allow what the policy was trained without."""


def make_active(
    connection: Connection, registry: Registry, name: str, now: int, who: str
) -> Activation:
    """Decide by this policy from now on, and remember the one before for a rollback.

    What it changes of the guardrails in force, and of the reward, is in their history and in the
    audit log. Raises `BadInput` and `BadArtifact` as `Registry.bundle`, `BadSetting` where the
    policy can't hold the store's guardrails.
    """
    before = setting(connection, "policy")
    bundle = registry.bundle(connection, name)
    keep_holdout(connection, registry, bundle, now, who)
    made = _compared(connection, registry, name, bundle, before)
    if before == name:
        return made
    put_setting(connection, "policy_before", before)
    put_setting(connection, "policy", name)
    told = {key: value for key, value in asdict(made).items() if value}
    audit(connection, now, who, "activate policy", told)
    if made.changed:
        values = all_settings(connection)
        write_history(connection, values["guardrails"], values, now, who, told)
    return made


def _compared(
    connection: Connection, registry: Registry, name: str, new: PolicyBundle, before: str | None
) -> Activation:
    values = all_settings(connection)
    rules = guardrails_over(new, values)
    trained = rules.looser_than(new.guardrails)
    if before is None:
        return Activation(name, None, looser_than_trained=trained)
    try:
        old = registry.bundle(connection, before)
        was, will = _keys(old, values), _keys(new, values)
        looser = rules.looser_than(guardrails_over(old, values))
    except PushwiseError as error:
        lost = f"policy {before}: {error}"
        return Activation(name, before, not_compared=lost, looser_than_trained=trained)
    changed = {
        key: {"before": was[key], "after": will[key]} for key in was if was[key] != will[key]
    }
    return Activation(name, before, looser, changed, looser_than_trained=trained)


@dataclass(frozen=True)
class Loosened:
    """What another challenger loosens."""

    looser: list[str] = field(default_factory=list)
    """Guardrails that allow from now on what was forbidden until then, for users who come to the
    challenger, leave the one of before, or change from that one to this."""
    looser_than_trained: list[str] = field(default_factory=list)
    """Guardrails that allow what the challenger was trained without."""
    not_compared: str | None = None
    """Why nothing is known of the active policy."""


def loosened(connection: Connection, registry: Registry, after: Split) -> Loosened:
    """What a challenger loosens in the place of the store's one of now."""
    values = all_settings(connection)
    before: Split = (values.get("experiment") or {}).get("challenger")
    new = None if after is None else registry.bundle(connection, after["policy"])
    try:
        active = guardrails_over(registry.bundle(connection, values["policy"]), values)
    except (KeyError, PushwiseError) as error:
        return Loosened(not_compared=f"the active policy: {error}")
    old = active
    if before is not None:
        with suppress(PushwiseError):  # one that can't be loaded is left out
            old = guardrails_over(registry.bundle(connection, before["policy"]), values)
    will = active if new is None else guardrails_over(new, values)
    moves = [(old, will)] if before and after else []
    moves += [(active, will)] if _joined(before, after) else []
    moves += [(old, active)] if _joined(after, before) else []
    looser = {key for was, now in moves for key in now.looser_than(was)}
    return Loosened(sorted(looser), [] if new is None else will.looser_than(new.guardrails))


def _joined(before: Split, after: Split) -> bool:
    """Whether users are in a split who were not in the one before."""
    if before is None or after is None:
        return after is not None
    return bool(after["salt"] != before["salt"] or after["share"] > before["share"])


def _keys(bundle: PolicyBundle, values: Mapping[str, Any]) -> dict[str, Any]:
    """Guardrails in force and reward by keys such as `caps.per_7d` and `reward.click`."""
    rules = guardrails_over(bundle, values).to_mapping()
    tables = {**rules, "reward": bundle.reward.to_mapping()}
    return {
        f"{table}.{key}": value for table, keys in tables.items() for key, value in keys.items()
    }


def keep_holdout(
    connection: Connection, registry: Registry, first: PolicyBundle, now: int, who: str
) -> None:
    """Keep the holdout in the store where it is not yet: that of the active policy, or, where none
    is or it can't be loaded, that of `first`."""
    values = all_settings(connection)
    rules, name = values["guardrails"], values.get("policy")
    kept, own = rules.get(HOLDOUT, {}), first.guardrails.to_mapping()[HOLDOUT]
    if kept.keys() >= own.keys():
        return
    try:
        if name is not None:
            own = registry.bundle(connection, name).guardrails.to_mapping()[HOLDOUT]
    except PushwiseError:
        pass  # what it had is lost with it
    write_history(connection, {**rules, HOLDOUT: {**own, **kept}}, values, now, who)
