"""Critical messages: sent at once past caps, gaps and quiet hours, with a line in the audit log."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from mdp.hashing import content_hash
from serving.allowed import barred
from serving.commit import Draft, Keyed, commit
from serving.decide import again
from serving.history import whole_user
from serving.keys import answered_before, name_of
from serving.problems import Problem
from serving.registry import World
from serving.schemas import Ask, CriticalIn
from serving.scoring import Drawn
from serving.service import Service
from serving.store import reading
from serving.users import User, check_readable

SAYS = {
    "killed": "is stopped by a kill switch",
    "not_approved": "is not approved",
    "not_available": "is not available any more",
    "out_of_stock": "is sold out",
}
"""What a refusal says, by the reason."""


def critical(service: Service, who: str, body: CriticalIn, key: str | None) -> dict[str, Any]:
    """The answer about a send that is due now, or the one that the idempotency key got before;
    raises `Problem` where it may not be sent."""
    told = body.model_dump()
    keyed = Keyed(Ask(user_id=body.user_id), key and name_of(key), content_hash(told))
    while True:
        now = service.clock()
        with reading(service.engine) as connection:
            given = answered_before(connection, [keyed])
            if keyed.key in given:
                return again(keyed, given[keyed.key])
            draft = _draft(connection, service.registry.world(connection), keyed, body, now)
        draft = draft._replace(who=who, told=told)
        done = commit(service.engine, draft.world, {0: draft}, now, service.settings)
        if done:
            return done[0]


def _draft(connection: Connection, world: World, keyed: Keyed, body: CriticalIn, now: int) -> Draft:
    if world.stopped.everything:
        raise Problem(409, None, "the kill switch is on")
    user = _reachable(whole_user(connection, body.user_id), body.user_id)
    named = {"item": body.item_id, "variant": body.variant_id}
    rows = []
    for kind, ids in (("item", world.catalog.items), ("variant", world.catalog.variants)):
        if named[kind] not in ids.row:
            raise Problem(422, f"{kind}_id", f"there is no {kind} {named[kind]!r}")
        rows.append(ids.row[named[kind]])
    item, variant = rows
    at = max(now, int(user.state["last_at"]) + 1)
    if (bar := barred(world, item, variant, at)) is not None:
        kind, reason = bar
        raise Problem(409, f"{kind}_id", f"{kind} {named[kind]!r} {SAYS[reason]}")
    drawn = Drawn(body.item_id, body.variant_id, "", item, variant, at, 1.0, "critical")
    return Draft(keyed, user, at, drawn, world, "critical")


def _reachable(user: User | None, user_id: str) -> User:
    """The user, who must be known, have consented and not have unsubscribed."""
    if user is None:
        raise Problem(404, "user_id", f"there is no user {user_id!r}")
    check_readable(user)
    if user.state["unsubscribed"] or not user.consent:
        raise Problem(409, "user_id", f"user {user_id!r} has not consented, or has unsubscribed")
    return user
