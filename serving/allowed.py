"""Asks the guardrails once more about a send that was decided, at the moment it is to leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mdp.clock import NEVER
from mdp.guardrails import Reason
from mdp.hashing import hash_id
from mdp.masking import mask
from mdp.reasons import catalog_reasons, item_reasons
from mdp.state import RELEASED, features
from serving.arms import deciding, is_held_out
from serving.explaining import reason_name
from serving.registry import World
from serving.scoring import about, is_risky
from serving.users import User


def refused(
    world: World, user: User, decision: Mapping[Any, Any], at: int, moved: bool
) -> str | None:
    """Which guardrail forbids a send at an instant, were it not decided already; None: none.

    moved: it takes a new place among sends that are scheduled for later, which then count too.
    Those beside which it was decided ask at their own hour whether it lets them leave, and a
    second's delay of it takes nothing from them.
    """
    items, variants = world.catalog.items.row, world.catalog.variants.row
    item, variant = items.get(decision["item_id"]), variants.get(decision["variant_id"])
    critical = decision["arm"] == "critical"
    stopped = world.stopped
    if stopped.everything or (decision["policy"] in stopped.policies and not critical):
        return "killed"
    if item is None or variant is None:
        return "not_available"
    before = user.state.reshape(1).copy()
    mine = before["ring"]["decision"] == hash_id(decision["decision_id"])
    ahead = (before["ring"]["send_at"] > at) & (not moved)
    before["ring"]["status"][mine | ahead] = RELEASED  # before it counts for caps and for fatigue
    states = features(before, np.array([at], np.int64))
    if critical and (states["unsubscribed"][0] or not states["consent"][0]):
        return "unsubscribed" if states["unsubscribed"][0] else "consent"
    if (bar := barred(world, item, variant, at)) is not None:
        return bar[1]
    if critical:
        return None
    if is_held_out(world, user.user_id):
        return "holdout"
    world = deciding(world, decision["arm"])
    rows, instant = (np.array([[item]]), np.array([[variant]])), np.array([at], np.int64)
    locales, segments, blocked = about([user])
    reasons = catalog_reasons(world.catalog, *rows, instant, locales, segments, blocked)
    allowed = mask(
        world.guardrails,
        states,
        instant,
        np.array([user.zone], np.int16),
        world.catalog.items.hashes[rows[0]],
        np.full((1, 1), NEVER),  # it leaves now: only what has ended by now is not available
        *reasons,
    )
    now = int(np.flatnonzero(allowed.send_at[0] == at)[0])
    for code in (allowed.item[0, 0], allowed.variant[0, 0], allowed.hour[0, now]):
        if code != Reason.ALLOWED:
            return reason_name(int(code))
    if is_risky(world, user, states, item, variant, at):
        return reason_name(Reason.UNSUBSCRIBE_RISK)
    return None


def barred(world: World, item: int, variant: int, at: int) -> tuple[str, str] | None:
    """What nobody may be sent at an instant, `item` or `variant`, and why: it was stopped, is sold
    out or over, or is copy that is not approved. By rows of the catalogue; None: nothing."""
    if world.stopped.items[item]:
        return "item", "killed"
    if world.stopped.variants[variant]:
        return "variant", "killed"
    if world.catalog.variants.refused[variant]:
        return "variant", reason_name(Reason.NOT_APPROVED)
    code = int(item_reasons(world.catalog, np.array([[item]]), np.array([at], np.int64))[0, 0])
    return None if code == Reason.ALLOWED else ("item", reason_name(code))
