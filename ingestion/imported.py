"""What every importer gives: a foreign log in our format, and an account of its rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ingestion.log import LogMeta


@dataclass(frozen=True)
class Imported:
    """A foreign log in our format, and an account of every row."""

    tables: dict[str, pd.DataFrame]
    """tables of the log format by name"""
    meta: LogMeta
    """for `log.json`"""
    rows: int
    """rows read"""
    dropped: dict[str, int]
    """rows dropped by the first reason that applies"""
    repaired: dict[str, int]
    """values repaired by reason"""
    found: dict[str, int] = field(default_factory=dict)
    """rows with each kind of dirt, a row under all that it has"""

    def kept(self) -> int:
        """Rows that became decisions, or events where the source has no decisions."""
        return len(self.tables.get("decisions", self.tables.get("events", ())))

    def account(self) -> dict[str, Any]:
        """Every row's fate in figures."""
        return {
            "rows": self.rows,
            "found": self.found,
            "kept": self.kept(),
            "dropped": self.dropped,
            "repaired": self.repaired,
        }
