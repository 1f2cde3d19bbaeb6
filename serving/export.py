"""The store as a log: the tables that `pushwise fit` reads."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd
from sqlalchemy import Connection, CursorResult, select

from ingestion.schema import FORMAT_VERSION, TABLES
from serving.accounts import columns
from serving.catalog import frame_of, with_times
from serving.schemas import iso
from serving.sealing import UNREADABLE, Unreadable
from serving.settings import Settings
from serving.store import CURRENCY, setting
from serving.tables import ITEMS, METADATA, USERS, VARIANTS
from serving.users import User

LOGGED = ("users", "items", "variants", "events", "decisions", "outcomes", "changes")
"""Tables of the log that a store holds."""
UNKNOWN_ZONE = "UTC"
"""What a log says of a user whose zone nobody knows: hours were counted by it."""


def table_frame(connection: Connection, name: str, settings: Settings) -> pd.DataFrame:
    """A table of the log, typed as the log format says, in a fixed order."""
    if name == "users":
        frame = _users(connection, settings)
    elif name in ("items", "variants"):
        frame = frame_of(connection, ITEMS if name == "items" else VARIANTS)
    else:
        frame = _rows(connection, name)
    if name == "changes":
        frame = _without_closed(frame)
    return typed(frame, name)


def typed(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Rows of a table as the log format has them."""
    required = [column.name for column in TABLES[name].columns if column.required]
    absent = [column for column in required if column not in frame]
    frame = frame.reindex(columns=[*frame.columns, *absent])
    known = [column.name for column in TABLES[name].columns if column.name in frame]
    others = [column for column in frame.columns if column not in known]
    for column in others:
        frame[column] = _of_one_type(frame[column])
    return with_times(frame[known + others], name)


def _of_one_type(column: pd.Series) -> pd.Series:
    """The column of an attribute, which Parquet wants of one type: text where it is of several."""
    types = {type(value) for value in column.dropna()}
    if len(types) < 2 or types == {int, float}:
        return column
    return column.map(_as_text, na_action="ignore")


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rows(connection: Connection, name: str) -> pd.DataFrame:
    table = METADATA.tables[name]
    order = [
        table.c[column] for column in ("at", "decided_at", "number") if column in table.columns
    ]
    rows = select(*logged_columns(name)).order_by(*order, *table.primary_key.columns)
    # As text of pandas a value would forget that no key opens it.
    return framed(connection.execute(rows), object if name == "changes" else None)


def logged_columns(name: str) -> list[Any]:
    """The columns of a store's table that the log has too."""
    known = METADATA.tables[name].c
    return [known[column.name] for column in TABLES[name].columns if column.name in known]


def framed(result: CursorResult[Any], dtype: Any = None) -> pd.DataFrame:
    """Rows as a frame, of a type for all or of those that pandas finds."""
    return pd.DataFrame(result.all(), columns=list(result.keys()), dtype=dtype)


def _users(connection: Connection, settings: Settings) -> pd.DataFrame:
    rows = connection.execute(select(USERS).order_by(USERS.c.user_id))
    users = [User(**row._mapping) for row in rows]
    frame = pd.DataFrame([{"user_id": user.user_id, **_columns(user)} for user in users])
    if len(frame):
        frame["timezone"] = frame["timezone"].fillna(settings.default_timezone or UNKNOWN_ZONE)
        # A log reads no value as consent given; the user's history counts it as not given.
        frame["consent"] = frame["consent"].fillna(False).astype(bool)
    return frame


def _without_closed(changes: pd.DataFrame) -> pd.DataFrame:
    """The changes, a value that no key opens absent and its row marked."""
    closed = changes["value"].map(lambda value: isinstance(value, Unreadable)).astype(bool)
    if not closed.any():
        return changes
    return changes.assign(value=changes["value"].mask(closed), unreadable=closed)


def _columns(user: User) -> dict[str, Any]:
    """A user's columns; of one whose fields no key opens those that are known, and that mark."""
    known = columns(user)
    return known if user.is_readable else {**known, "preferences": None, UNREADABLE: True}


def unreadable_rows(frame: pd.DataFrame) -> int:
    """How many rows of a table hold something that no key opens."""
    return int(frame[UNREADABLE].eq(True).sum()) if UNREADABLE in frame else 0


def as_csv(frame: pd.DataFrame, header: bool = True) -> bytes:
    """CSV with times in ISO 8601."""
    text = frame.to_csv(index=False, header=header, date_format="%Y-%m-%dT%H:%M:%S.%fZ")
    return text.encode()


def as_parquet(frame: pd.DataFrame) -> bytes:
    """Parquet with times as timestamps in UTC."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def log_meta(connection: Connection, settings: Settings, now: int) -> dict[str, Any]:
    """`log.json`."""
    return {
        "format_version": FORMAT_VERSION,
        "currency": settings.currency or setting(connection, CURRENCY),
        "default_timezone": settings.default_timezone,
        "complete_until": iso(now),
        "propensities": "logged",
        "candidates": "logged",
        "source": "pushwise serve",
    }
