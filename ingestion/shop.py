"""What tells a log from another shop's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ingestion.log import Log, epoch_us
from ingestion.replay import UserEvents
from mdp.catalog import Catalog
from mdp.shop import Shop, need_same_shop


def shop_of(log: Log, users: UserEvents, catalog: Catalog) -> Shop:
    """Of a log, with what was taken from it."""
    signed_up = epoch_us(log.people["signed_up_at"])
    return Shop.of(users.hashes, signed_up, users.first, catalog.items.hashes)


def joined(parts: Sequence[Shop]) -> Shop:
    """Of a log, from those of its parts by user."""
    return Shop(
        np.concatenate([part.users for part in parts]),
        np.concatenate([part.signed_up for part in parts]),
        parts[0].items,
    )


def need_log_of(
    known: Shop | None, until: int | None, name: str, log: Log, users: UserEvents, catalog: Catalog
) -> None:
    """Raises `BadInput` where a log is of another shop than the policy of that name.

    known: what the policy says of its shop; None, where it says nothing, is any. until: instant
    that it was trained until, microseconds UTC.
    """
    need_shop_of(known, until, name, shop_of(log, users, catalog))


def need_shop_of(known: Shop | None, until: int | None, name: str, found: Shop) -> None:
    """As `need_log_of`, of what `shop_of` tells of a log."""
    if known is None:
        return
    need_same_shop(
        found,
        known,
        until,
        f"the log is not of the shop that {name} was trained for",
        "give that shop's log, or a policy trained in a fit to this one",
    )
