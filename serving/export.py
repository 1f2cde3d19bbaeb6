"""The store as a log: the tables that `pushwise fit` reads."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import chain
from typing import IO, Any, Literal, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, CursorResult, Select, select

from ingestion.schema import FORMAT_VERSION, TABLES
from ingestion.write import ARROW
from serving.accounts import columns
from serving.catalog import frame_of, with_times
from serving.rules import holdout_in_force
from serving.schemas import iso
from serving.sealing import UNREADABLE, Unreadable
from serving.settings import Settings
from serving.store import CURRENCY, setting
from serving.tables import ITEMS, METADATA, USERS, VARIANTS
from serving.users import User

LOGGED = ("users", "items", "variants", "events", "decisions", "outcomes", "changes")
"""Tables of the log that a store holds."""
WHEN = {"events": "at", "decisions": "decided_at", "outcomes": "at", "changes": "at"}
"""When a row of a table happened: the column."""
PARTED = ("events", "decisions", "outcomes")
"""Tables that grow for ever and have the same columns in every row: they are read part by part."""
PART = 20_000
"""Rows of a part."""
UNKNOWN_ZONE = "UTC"
"""What a log says of a user whose zone nobody knows: hours were counted by it."""


class Range(NamedTuple):
    """From an instant on, and before another, microseconds UTC; None: without an end."""

    start: int | None = None
    end: int | None = None


ALL = Range()


class Spooled(NamedTuple):
    """A table in a temporary file, which is gone once it is closed."""

    file: IO[bytes]
    size: int
    """Bytes."""
    unreadable: int
    """Rows that hold something that no key opens."""


def spooled(
    connection: Connection,
    name: str,
    settings: Settings,
    form: Literal["csv", "parquet"],
    within: Range = ALL,
) -> Spooled:
    """A table of the log as a file, written part by part, so that memory does not grow with it and
    whoever reads it slowly keeps nothing of the store waiting."""
    file = tempfile.TemporaryFile()  # noqa: SIM115
    unreadable = 0
    try:
        parts = table_parts(connection, name, settings, within)
        if form == "csv":
            for n, part in enumerate(parts):
                unreadable += unreadable_rows(part)
                file.write(as_csv(part, header=n == 0))
        else:
            first = next(parts)
            unreadable = unreadable_rows(first)
            with pq.ParquetWriter(file, arrow_schema(first, name)) as writer:
                for part in chain([first], parts):
                    table = pa.Table.from_pandas(part, writer.schema, preserve_index=False)
                    writer.write_table(table.replace_schema_metadata(None))
        size = file.tell()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return Spooled(file, size, unreadable)


def table_parts(
    connection: Connection, name: str, settings: Settings, within: Range = ALL
) -> Iterator[pd.DataFrame]:
    """A table of the log in parts, at least one."""
    if name not in PARTED:
        yield table_frame(connection, name, settings, within)
        return
    result = connection.execute(_rows(name, within), execution_options={"yield_per": PART})
    columns, empty = list(result.keys()), True
    for rows in result.partitions():
        yield typed(pd.DataFrame(rows, columns=columns), name)
        empty = False
    if empty:
        yield typed(pd.DataFrame(columns=columns), name)


def table_frame(
    connection: Connection, name: str, settings: Settings, within: Range = ALL
) -> pd.DataFrame:
    """A table of the log, typed as the log format says, in a fixed order."""
    if name == "users":
        frame = _users(connection, settings)
    elif name in ("items", "variants"):
        frame = frame_of(connection, ITEMS if name == "items" else VARIANTS)
    elif name == "changes":  # as text of pandas a value would forget that no key opens it
        frame = _without_closed(framed(connection.execute(_rows(name, within)), object))
    else:
        frame = framed(connection.execute(_rows(name, within)))
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


def _rows(name: str, within: Range) -> Select[Any]:
    """The rows of a table that happened in a range, in their order."""
    table = METADATA.tables[name]
    when = table.c[WHEN[name]]
    rows = select(*logged_columns(name)).order_by(when, *table.primary_key.columns)
    if within.start is not None:
        rows = rows.where(when >= within.start)
    return rows if within.end is None else rows.where(when < within.end)


def logged_columns(name: str) -> list[Any]:
    """The columns of a store's table that the log has too."""
    known = METADATA.tables[name].c
    return [known[column.name] for column in TABLES[name].columns if column.name in known]


def framed(result: CursorResult[Any], dtype: Any = None) -> pd.DataFrame:
    """Rows as a frame, of a type for all or of those that pandas finds."""
    return pd.DataFrame(result.all(), columns=list(result.keys()), dtype=dtype)


def _users(connection: Connection, settings: Settings) -> pd.DataFrame:
    known = [USERS.c[name] for name in User._fields]
    rows = connection.execute(select(*known).order_by(USERS.c.user_id))
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


def arrow_schema(frame: pd.DataFrame, name: str) -> pa.Schema:
    """How Parquet has a table: known columns by their types in the log format, others as found."""
    known = {column.name: ARROW.get(column.type, pa.string()) for column in TABLES[name].columns}
    found = pa.Schema.from_pandas(frame, preserve_index=False)
    return pa.schema([(field.name, known.get(field.name, field.type)) for field in found])


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
        **holdout_in_force(connection),
    }
