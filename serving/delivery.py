"""Who delivers the sends of a store: pushwise, from its outbox, or the shop, by the answers.

It is a fact of the store, which a server's start settles. Whoever decides in the store (another
worker, a nightly batch) goes by it, so that every send is somebody's, and nobody's twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from mdp.errors import BadSetting
from serving.settings import Settings
from serving.store import all_settings, put_setting
from serving.tables import OUTBOX

DELIVERY = "delivery"
"""Setting of the store that says who delivers."""
PUSHWISE, SHOP = "pushwise", "shop"


def deliverer(values: Mapping[str, Any]) -> str:
    """Who delivers, by the store's settings: the shop, where no server has had a sender."""
    return str(values.get(DELIVERY, SHOP))


def settle_delivery(connection: Connection, settings: Settings) -> None:
    """Have a server that starts, and the store, agree on who delivers.

    A sender makes it pushwise, `shop` the shop. Raises `BadSetting` where sends that pushwise is
    to deliver would then be delivered by nobody.
    """
    kept, sender = deliverer(all_settings(connection)), settings.sender
    if sender is None:
        if kept == PUSHWISE:
            raise BadSetting(
                "pushwise delivers the sends of this store, and PUSHWISE_SENDER is not set: name "
                "the sender, or `shop` to have the shop deliver them from now on"
            )
        return
    wanted = SHOP if sender == SHOP else PUSHWISE
    if wanted == kept:
        return
    waiting = connection.scalar(select(func.count()).where(OUTBOX.c.state == "waiting"))
    if wanted == SHOP and waiting:
        raise BadSetting(
            f"PUSHWISE_SENDER is shop, and {waiting} sends wait for pushwise to deliver them: "
            "serve with the sender until none waits, or cancel them"
        )
    put_setting(connection, DELIVERY, wanted)


def delivery_of(connection: Connection, settings: Settings) -> str:
    """Who delivers what a batch decides; raises `BadSetting` where its setting says otherwise
    than the store."""
    kept, sender = deliverer(all_settings(connection)), settings.sender
    if sender is not None and (sender == SHOP) != (kept == SHOP):
        raise BadSetting(
            f"PUSHWISE_SENDER is {sender}, but the {'shop' if kept == SHOP else 'server'} delivers "
            "the sends of this store: start a server with this setting first, or unset it here"
        )
    return kept
