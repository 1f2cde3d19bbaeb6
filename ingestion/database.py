"""Records of a shop's database: the queries of a mapping, run over SQLAlchemy, read only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mdp.errors import BadInput

QUERY = "query"
"""Column of a record that says which query gave it."""


def is_database(source: str) -> bool:
    """Whether a source is a database's URL and no file."""
    return "://" in source


def read_queries(url: str, queries: Mapping[str, str]) -> list[pd.DataFrame]:
    """The rows of each query, values as the driver gives them, with the query's name in `query`.

    Everything is read in one transaction, which is rolled back; PostgreSQL and SQLite are asked to
    let nothing be written in it. Raises `BadInput`, without the URL's password, where the database
    can't be reached or refuses a query.
    """
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import SQLAlchemyError

    if not queries:
        raise BadInput(
            "the mapping has no [queries]: name there what is read from a database, such as "
            'orders = "SELECT * FROM orders"'
        )
    shown, doing = _shown(url), "be opened"
    try:
        engine = create_engine(_to_read(url), execution_options={"postgresql_readonly": True})
        try:
            frames = []
            with engine.connect() as connection:
                for name, query in queries.items():
                    doing = f"answer the query {name!r}"
                    result = connection.execute(text(query))
                    if not result.returns_rows:
                        raise BadInput(f"the query {name!r} gives no rows: write a SELECT")
                    frames.append(_frame(name, list(result.keys()), list(result)))
            return frames
        finally:
            engine.dispose()
    except ModuleNotFoundError as error:
        if error.name == "psycopg":
            raise
        raise BadInput(f"{shown} needs the driver {error.name}: pip install {error.name}") from None
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error)
        raise BadInput(f"the database {shown} can't {doing}: {reason}") from None


def _frame(name: str, columns: list[str], rows: list[Any]) -> pd.DataFrame:
    twice = {column for column in columns if columns.count(column) > 1}
    if twice or QUERY in columns:
        wrong = min(twice) if twice else QUERY
        raise BadInput(f"the query {name!r} has a column {wrong!r} too many: give it another name")
    frame = pd.DataFrame(
        {
            column: pd.Series([row[n] for row in rows], dtype=object)
            for n, column in enumerate(columns)
        }
    )
    return frame.assign(**{QUERY: name})


def _to_read(url: str) -> Any:
    """The URL with a driver, and of a file such that it is neither made nor changed."""
    from sqlalchemy import make_url

    parsed = make_url(url)
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    file = parsed.database
    if parsed.get_backend_name() == "sqlite" and file and not file.startswith((":", "file:")):
        parsed = parsed.set(database=Path(file).resolve().as_uri())
        parsed = parsed.update_query_dict({"mode": "ro", "uri": "true"})
    return parsed


def _shown(url: str) -> str:
    """The URL without its password."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url.partition("://")[0] + "://…"
