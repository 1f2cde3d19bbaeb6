"""Statements that every decision runs: compiled once, and given to the database's driver itself.

SQLAlchemy takes several times as long to hand such a statement on as SQLite takes to run it.
Values go in and come out as the driver has them: JSON is text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement

_BY_PLACE = {"sqlite": "qmark", "postgresql": "format"}
"""Styles in which values go by their place: names would be looked up for every row."""


class Prepared:
    """A statement, in the words of whichever database it is run in."""

    def __init__(self, statement: ClauseElement, names: Sequence[str] = ()) -> None:
        """names: of the values that go in, in the order in which they are given."""
        self._statement, self._names = statement, tuple(names)
        self._words: dict[str, str] = {}

    def rows(self, connection: Connection, *values: Any) -> list[tuple[Any, ...]]:
        """The rows that it finds."""
        words, driver = self._in(connection.dialect), driver_of(connection)
        # PostgreSQL else writes bytes as text, two letters each, and that takes most of the time.
        how = {"binary": True} if connection.dialect.name == "postgresql" else {}
        return list(driver.execute(words, values, **how).fetchall())

    def run(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Run it once for each of the rows of values."""
        if rows:
            words = self._in(connection.dialect)
            driver_of(connection).cursor().executemany(words, rows)

    def _in(self, dialect: Dialect) -> str:
        words = self._words.get(dialect.name)
        if words is None:
            kind: Any = type(dialect)
            by_place = kind(paramstyle=_BY_PLACE[dialect.name])
            made: Any = self._statement.compile(dialect=by_place, column_keys=self._names)
            if tuple(made.positiontup or ()) != self._names:
                raise ValueError(f"{made} takes {made.positiontup}, not {self._names}")
            words = self._words[dialect.name] = str(made)
        return words


def driver_of(connection: Connection) -> Any:
    """The driver's own connection."""
    return connection.connection.driver_connection


@contextmanager
def driver_errors(connection: Connection) -> Iterator[None]:
    """Raises the driver's errors as SQLAlchemy's."""
    kind = connection.dialect.loaded_dbapi.Error
    try:
        yield
    except kind as error:
        raise DBAPIError.instance(None, None, error, kind, dialect=connection.dialect) from error
