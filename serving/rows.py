"""Statements that many share: rows by a list of keys, and rows put in or replaced."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import orjson
from sqlalchemy import Connection, CursorResult, Row, Select, String, Table, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class EachText(FunctionElement[str]):
    """The texts of a JSON list as rows of one column, `value`."""

    inherit_cache = True


@compiles(EachText, "sqlite")
def _each_in_sqlite(element: EachText, compiler: Any, **rest: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **rest)})"


@compiles(EachText, "postgresql")
def _each_in_postgresql(element: EachText, compiler: Any, **rest: Any) -> str:
    # As an array: PostgreSQL then expects ten rows, and looks each up in its partition. Of a JSON
    # list it expects a hundred, for which it would rather read small tables from end to end.
    texts = f"json_array_elements_text(CAST({compiler.process(element.clauses, **rest)} AS json))"
    return f"(SELECT unnest(ARRAY(SELECT {texts})) AS value)"


@cache
def by_key(table: Table, columns: tuple[str, ...] = ()) -> Select[Any]:
    """Rows of a table whose primary key is among the bound JSON list `keys`; made once, as making
    a statement takes longer than running it."""
    values = EachText(bindparam("keys", type_=String)).table_valued("value")
    chosen = [table.c[name] for name in columns] or list(table.columns)
    key = next(iter(table.primary_key.columns))
    return select(*chosen).where(key.in_(select(values.c.value)))


def found_by_key(
    connection: Connection, table: Table, keys: Iterable[str], *columns: str
) -> CursorResult[Any]:
    """Rows (or some columns) of a table whose primary key is among any number of values."""
    return connection.execute(by_key(table, columns), {"keys": key_list(keys)})


def key_list(keys: Iterable[str]) -> str:
    """The value that `by_key` binds as `keys`."""
    return orjson.dumps(list(keys)).decode()


def rows_by_key(connection: Connection, table: Table, keys: Iterable[str]) -> dict[str, Row[Any]]:
    """Rows by primary key, of those keys that exist."""
    return {row[0]: row for row in found_by_key(connection, table, keys)}


def inserting(connection: Connection, table: Table) -> Any:
    """An insert that can say what happens on a conflict."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def upsert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, or replace all their columns where the primary key exists."""
    if not rows:
        return
    statement = inserting(connection, table)
    keys = [column.name for column in table.primary_key.columns]
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), rows)
