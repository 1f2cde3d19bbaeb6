"""Statements that every decision runs: compiled once, and given to the database's driver itself.

SQLAlchemy takes several times as long to hand such a statement on as SQLite takes to run it.
Values go in and come out as the driver has them: JSON is text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement

_BY_PLACE = {"sqlite": "qmark", "postgresql": "format"}
"""Styles in which values go by their place: names would be looked up for every row."""
Values = Callable[[Mapping[str, Any]], Sequence[Any]]


class Prepared:
    """A statement, in the words of whichever database it is run in."""

    def __init__(self, statement: ClauseElement, columns: Sequence[str] | None = None) -> None:
        """columns: those that an insert fills."""
        self._statement, self._columns = statement, columns
        self._compiled: dict[str, tuple[str, Values]] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows that it finds."""
        words, placed = self._in(connection.dialect)
        return list(_driver(connection).execute(words, placed(values)).fetchall())

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it once for each of the rows of values."""
        if not rows:
            return
        words, placed = self._in(connection.dialect)
        _driver(connection).cursor().executemany(words, [placed(row) for row in rows])

    def _in(self, dialect: Dialect) -> tuple[str, Values]:
        """The words, and what puts values by name into their places."""
        found = self._compiled.get(dialect.name)
        if found is None:
            kind: Any = type(dialect)
            by_place = kind(paramstyle=_BY_PLACE[dialect.name])
            made: Any = self._statement.compile(dialect=by_place, column_keys=self._columns)
            found = self._compiled[dialect.name] = str(made), _placing(made.positiontup or ())
        return found


def _placing(names: Sequence[str]) -> Values:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: [values[name] for name in names]


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
