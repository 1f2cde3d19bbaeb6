"""Whether a policy is of the shop that a store is of, before it decides there."""

from __future__ import annotations

import numpy as np
from sqlalchemy import Connection, func, select

from mdp.clock import NEVER
from mdp.hashing import new_hashes
from mdp.shop import Shop, need_same_shop
from policies.saved import PolicyBundle
from serving.tables import DECISIONS, EVENTS, ITEMS, USERS

AT_ONCE = 10_000
"""Users in memory at a time."""


def need_shop_of(connection: Connection, bundle: PolicyBundle, name: str) -> None:
    """Raises `BadInput` where a store is of another shop than the policy of that name. A policy
    that does not say whose it is may decide in any, and any policy in a store that holds neither
    users nor items. It reads every user's id, so outside the transactions that others wait for.
    """
    known = bundle.shop
    if known is None:
        return
    found = _shop(connection, known.users[known.signed_up != NEVER])
    if len(found.users) or len(found.items):
        need_same_shop(
            found,
            known,
            bundle.trained_until,
            f"the store is not of the shop that policy {name} was trained for",
            "name a policy that was trained in a fit to this shop's log",
        )


def _shop(connection: Connection, told: np.ndarray) -> Shop:
    """Of a store; told: hashes of the users whose sign-ups a policy knows (T,) uint64."""
    items = new_hashes(connection.scalars(select(ITEMS.c.item_id)))
    people = select(USERS.c.user_id, USERS.c.signed_up_at)
    rows = connection.execute(people, execution_options={"yield_per": AT_ONCE})
    hashes, signed_up, first = [np.empty(0, np.uint64)], list[int](), list[int]()
    for some in rows.partitions():
        hashes.append(new_hashes(row.user_id for row in some))
        signed_up += [row.signed_up_at for row in some]
        is_told = np.isin(hashes[-1], told).tolist()
        first += [
            _first(connection, row.user_id) if wanted else NEVER
            for row, wanted in zip(some, is_told, strict=True)
        ]
    when, heard = np.array(signed_up, np.int64), np.array(first, np.int64)
    return Shop.of(np.concatenate(hashes), when, heard, items)


def _first(connection: Connection, user_id: str) -> int:
    """When a user was first heard of; `NEVER` where not at all."""
    of = (
        select(func.min(EVENTS.c.at)).where(EVENTS.c.user_id == user_id),
        select(func.min(DECISIONS.c.decided_at)).where(DECISIONS.c.user_id == user_id),
    )
    return min((at for query in of if (at := connection.scalar(query)) is not None), default=NEVER)
