"""Statements that every decision runs: compiled once, and given to the database's driver itself.

SQLAlchemy takes several times as long to hand such a statement on as SQLite takes to run it.
Values go in and come out as the driver has them: JSON is text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement

_BY_NAME = {"sqlite": sqlite.dialect(paramstyle="named")}
"""Dialects whose statements would take their values by place."""


class Prepared:
    """A statement, in the words of whichever database it is run in."""

    def __init__(self, statement: ClauseElement, columns: Sequence[str] | None = None) -> None:
        """columns: those that an insert fills."""
        self._statement, self._columns = statement, columns
        self._compiled: dict[str, str] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows that it finds."""
        return list(_driver(connection).execute(self._in(connection.dialect), values).fetchall())

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it once for each of the rows of values."""
        if not rows:
            return
        words = self._in(connection.dialect)
        if len(rows) == 1:
            _driver(connection).execute(words, rows[0])
        else:
            _driver(connection).cursor().executemany(words, rows)

    def _in(self, dialect: Dialect) -> str:
        """The words, with values by name."""
        found = self._compiled.get(dialect.name)
        if found is None:
            by_name = _BY_NAME.get(dialect.name, dialect)
            made = self._statement.compile(dialect=by_name, column_keys=self._columns)
            found = self._compiled[dialect.name] = str(made)
        return found


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


@contextmanager
def driver_errors(connection: Connection) -> Iterator[None]:
    """Raises the driver's errors as SQLAlchemy's."""
    kind = connection.dialect.loaded_dbapi.Error
    try:
        yield
    except kind as error:
        raise DBAPIError.instance(None, None, error, kind, dialect=connection.dialect) from error
