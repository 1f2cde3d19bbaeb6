"""Idempotency keys: the names under which their answers are kept."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row

from serving.commit import Keyed
from serving.rows import rows_by_key
from serving.tables import IDEMPOTENCY

_LIKE_A_PART = re.compile(r"/[0-9]+\Z")
MARK = "\r"
"""No client can send it in a key, as a header has no line break."""


def name_of(key: str) -> str:
    """The name of a client's key: itself, marked where it could be that of a batch's part."""
    return key + MARK if _LIKE_A_PART.search(key) else key


def part_of(name: str, number: int) -> str:
    """The name of one request of a batch, of whose key the name is given."""
    return f"{name}/{number}"


def answered_before(connection: Connection, requests: Iterable[Keyed]) -> dict[str, Row[Any]]:
    """What is stored under the requests' keys, by key.

    Names had no marks before, so one without is looked up too; but what is there may be of
    another's, and only counts where it is of the same request.
    """
    asked = {keyed.key: keyed for keyed in requests if keyed.key}
    if not asked:
        return {}
    unmarked = {key: key.replace(MARK, "") for key in asked if MARK in key}
    rows = rows_by_key(connection, IDEMPOTENCY, {*asked, *unmarked.values()})
    found = {key: rows[key] for key in asked if key in rows}
    for key, before in unmarked.items():
        if key not in found and before in rows and rows[before].request == asked[key].hash:
            found[key] = rows[before]
    return found
