"""Statements that every decision runs: compiled once, and given to the database's driver itself.

SQLAlchemy takes several times as long to hand such a statement on as SQLite takes to run it.
Values go in and come out as the driver has them: JSON is text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement


class Prepared:
    """A statement, in the words of whichever database it is run in."""

    def __init__(self, statement: ClauseElement, columns: Sequence[str] | None = None) -> None:
        """columns: those that an insert fills."""
        self._statement, self._columns = statement, columns
        self._compiled: dict[str, tuple[str, list[str] | None]] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows that it finds."""
        words, order = self._in(connection.dialect)
        return list(_driver(connection).execute(words, _given(values, order)).fetchall())

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it once for each of the rows of values."""
        if not rows:
            return
        words, order = self._in(connection.dialect)
        given = [_given(row, order) for row in rows]
        if len(given) == 1:
            _driver(connection).execute(words, given[0])
        else:
            _driver(connection).cursor().executemany(words, given)

    def _in(self, dialect: Dialect) -> tuple[str, list[str] | None]:
        """The words, and the values' order where they go by place."""
        found = self._compiled.get(dialect.name)
        if found is None:
            made = self._statement.compile(dialect=dialect, column_keys=self._columns)
            order = getattr(made, "positiontup", None)
            found = self._compiled[dialect.name] = str(made), order
        return found


def _given(values: Mapping[str, Any], order: Sequence[str] | None) -> Any:
    return values if order is None else [values[name] for name in order]


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
