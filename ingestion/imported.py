"""What every importer gives: a foreign log in our format, and an account of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ingestion.log import LogMeta

LEDGER = "followed.json"
"""File beside a log that says which files went into it by `--follow`."""


@dataclass(frozen=True)
class Account:
    """What became of every row of a foreign log."""

    rows: int
    """rows read"""
    sizes: Mapping[str, int]
    """rows of each table that was made"""
    dropped: dict[str, int]
    """rows dropped by the first reason that applies"""
    repaired: dict[str, int]
    """values repaired by reason"""
    found: dict[str, int] = field(default_factory=dict)
    """rows with each kind of dirt, a row under all that it has"""

    def kept(self) -> int:
        """Rows that became decisions, or events where the source has no decisions."""
        return self.sizes.get("decisions", self.sizes.get("events", 0))

    def to_mapping(self) -> dict[str, Any]:
        """Every row's fate in figures."""
        return {
            "rows": self.rows,
            "found": self.found,
            "kept": self.kept(),
            "dropped": self.dropped,
            "repaired": self.repaired,
        }


@dataclass(frozen=True, kw_only=True)
class Imported(Account):
    """A foreign log in our format, in memory, and its account."""

    tables: dict[str, pd.DataFrame]
    """tables of the log format by name"""
    meta: LogMeta
    """for `log.json`"""


def sizes_of(tables: Mapping[str, pd.DataFrame]) -> dict[str, int]:
    """Rows of each table."""
    return {name: len(table) for name, table in tables.items()}
