"""Who decides for a user: nobody, the holdout, a challenger or the active policy.

Assigned by a salted hash of the user's id alone, so that a user stays in an arm when policies are
trained again, and the arms of different salts are independent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from mdp.hashing import hash_id
from serving.registry import Challenger, World
from serving.tables import DECISIONS
from serving.users import User

ALARM = 0.001
"""Chance of a sample ratio as far off as this, below which something is wrong with the split."""


class Assigned(NamedTuple):
    """Who decides for one user."""

    world: World
    arm: str
    reason: str | None
    """Why the user gets a hold whatever the policy says; None: the policy decides."""


def within(salt: str, user_id: str, share: float) -> bool:
    """Whether the hash of a user's id is in the first `share` of all hashes."""
    return share > 0 and hash_id(f"{salt}|{user_id}") < share * 2.0**64


def is_held_out(world: World, user_id: str) -> bool:
    """Whether a user is in the holdout."""
    rules = world.guardrails
    return within(rules.holdout_salt, user_id, rules.holdout_share)


def deciding(world: World, arm: str) -> World:
    """By whose guardrails and model a send of an arm is judged: its challenger's, else the active
    policy's."""
    challenger = world.challenger
    return world if challenger is None or challenger.arm != arm else challenger.world


def assigned(world: World, user: User) -> Assigned:
    """The arm of a user."""
    if world.stopped.everything:
        return Assigned(world, "killed", "killed")
    challenger = world.challenger
    if is_held_out(world, user.user_id):
        return Assigned(world, "holdout", "holdout")
    arm, policies = "policy", {world.name}
    if challenger is not None and within(challenger.salt, user.user_id, challenger.share):
        world, arm = challenger.world, challenger.arm
        policies = {world.name, challenger.name}
    if policies & world.stopped.policies:
        return Assigned(world, "killed", "policy_killed")
    if user.consent is None:
        return Assigned(world, arm, "consent_unknown")
    if user.zone < 0:
        return Assigned(world, arm, "timezone_unknown")
    return Assigned(world, arm, None)


def sample_ratio(connection: Connection, challenger: Challenger, since: int) -> dict[str, Any]:
    """Users by arm since the split began, and how likely a ratio as far from the share is.

    A split that is not as it was meant tells of users who get lost on the way, in one arm more
    than in the other (Fabijan et al. 2019, "Diagnosing sample ratio mismatch").
    """
    users = func.count(DECISIONS.c.user_id.distinct())
    arms = ("policy", challenger.arm)
    by_arm = (
        select(DECISIONS.c.arm, users)
        .where(DECISIONS.c.arm.in_(arms), DECISIONS.c.decided_at >= since)
        .group_by(DECISIONS.c.arm)
    )
    counts: Mapping[str, int] = {row[0]: row[1] for row in connection.execute(by_arm)}
    policy, other = (counts.get(arm, 0) for arm in arms)
    p = chance(other, policy + other, challenger.share)
    return {"users": {arms[0]: policy, arms[1]: other}, "p": p, "alarm": p < ALARM}


def chance(count: int, total: int, share: float) -> float:
    """P-value of the chi-square test that `count` of `total` is a share."""
    expected = (total * share, total * (1 - share))
    if min(expected) <= 0:
        return 1.0
    statistic = (count - expected[0]) ** 2 * (1 / expected[0] + 1 / expected[1])
    return math.erfc(math.sqrt(statistic / 2))
