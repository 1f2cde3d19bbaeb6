"""Migrations of the store: `pushwise serve` and `load` bring an older one up to date by them.

    versions/0001_first.py   the tables before migrations were counted
    versions/0002_….py       …

A migration only adds (tables, nullable columns, in PostgreSQL a partitioned table above another),
so that servers of the version before go on beside those of the new one while they are replaced one
by one.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from mdp.errors import BadSetting

FIRST = "0001"


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration over an open connection."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.attributes["connection"] = connection
    return made


def newest() -> str:
    """The last revision that there is."""
    return str(ScriptDirectory.from_config(config()).get_current_head())


def migrate(connection: Connection, found: str | None) -> None:
    """Bring a store from revision `found` (None: made before they were counted) up to date.

    Raises `BadSetting` for a store of a newer pushwise.
    """
    try:
        if found is None:
            command.stamp(config(connection), FIRST)
        command.upgrade(config(connection), "head")
    except CommandError as error:
        raise BadSetting(
            f"the store is of revision {found}, which this pushwise does not know: it needs a "
            "newer pushwise"
        ) from error
