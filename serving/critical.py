"""Critical messages: sent at once past caps, gaps and quiet hours, with a line in the audit log."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from serving.commit import Draft, Keyed, commit
from serving.problems import Problem
from serving.registry import World
from serving.schemas import Ask, CriticalIn
from serving.scoring import Drawn
from serving.service import Service
from serving.store import reading
from serving.users import User, check_readable, read_users


def critical(service: Service, who: str, body: CriticalIn) -> dict[str, Any]:
    """The answer about a send that is due now; raises `Problem` where it may not be sent."""
    while True:
        now = service.clock()
        with reading(service.engine) as connection:
            draft = _draft(connection, service.registry.world(connection), body, now)
        draft = draft._replace(who=who, told=body.model_dump())
        done = commit(service.engine, draft.world, {0: draft}, now, service.settings)
        if done:
            return done[0]


def _draft(connection: Connection, world: World, body: CriticalIn, now: int) -> Draft:
    if world.stopped.everything:
        raise Problem(409, None, "the kill switch is on")
    user = _reachable(read_users(connection, [body.user_id]).get(body.user_id), body.user_id)
    rows = []
    for kind, ids, name in (
        ("item", world.catalog.items, body.item_id),
        ("variant", world.catalog.variants, body.variant_id),
    ):
        if name not in ids.row:
            raise Problem(422, f"{kind}_id", f"there is no {kind} {name!r}")
        rows.append(ids.row[name])
    item, variant = rows
    at = max(now, int(user.state["last_at"]) + 1)
    drawn = Drawn((item,), (variant,), (), item, variant, at, 1.0, "critical")
    ask = Ask(user_id=user.user_id)
    return Draft(Keyed(ask), user, at, drawn, world, "critical")


def _reachable(user: User | None, user_id: str) -> User:
    """The user, who must be known, have consented and not have unsubscribed."""
    if user is None:
        raise Problem(404, "user_id", f"there is no user {user_id!r}")
    check_readable(user)
    if user.state["unsubscribed"] or not user.consent:
        raise Problem(409, "user_id", f"user {user_id!r} has not consented, or has unsubscribed")
    return user
