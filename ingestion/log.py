"""A log in memory: typed frames, what `log.json` says, and what could not be read as its type."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pandas as pd

from ingestion.codes import Codes, alike, codes_of, rows_in
from ingestion.schema import FORMAT_VERSION, TABLES
from mdp.hashing import content_hash

LOGGED, ESTIMATED, NONE = "logged", "estimated", "none"


@dataclass(frozen=True)
class LogMeta:
    """What `log.json` says."""

    format_version: int = FORMAT_VERSION
    """version of the log format"""
    currency: str | None = None
    """the shop's one currency, such as GBP"""
    default_timezone: str | None = None
    """IANA zone for users without a known one and for times without a zone"""
    complete_until: pd.Timestamp | None = None
    """instant (UTC) up to which every outcome is in the log"""
    propensities: str = LOGGED
    """logged, estimated or none"""
    candidates: str = LOGGED
    """logged or none"""
    source: str | None = None
    """where the log comes from"""
    holdout_share: float | None = None
    """share of the users who were held out since `holdout_since`"""
    holdout_since: pd.Timestamp | None = None
    """instant (UTC) since when that share, and who they are, has not been changed"""
    other: Mapping[str, Any] = field(default_factory=dict)
    """keys that the format does not know, kept as they are"""


@dataclass(frozen=True, eq=False)
class Problem:
    """What reading found wrong in one column of one table."""

    table: str
    """table's name, or `log.json`"""
    column: str | None
    """column's name; None for the whole table"""
    rule: str
    """name of the broken rule"""
    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """positions (n,) int64 of the rows, 0 first; empty where the whole column or table is meant"""
    values: tuple[str, ...] = ()
    """what stood in those rows (n,), or what stood in `log.json` (1,)"""


@dataclass(frozen=True, eq=False)
class Log:
    """A shop's log. Make one with `read_log(path)` or, from frames, with `log_of(tables, meta)`."""

    tables: Mapping[str, pd.DataFrame]
    """Every table of the format by name, with every known column, typed as `ingestion.schema` says.

    What the log lacks is there as an empty frame or as a column of missing values (or of the
    column's default). Times are datetime64[us, UTC], ids and texts str, numbers float64.
    """
    meta: LogMeta = LogMeta()
    """what `log.json` says"""
    problems: tuple[Problem, ...] = ()
    """what could not be read as its type (such values are missing in `tables`), or is not there"""
    clocks: Mapping[str, int] | None = None
    """source → how far its clock is behind, microseconds, where that is known of the whole log"""
    _seen: dict[tuple[str, str], Any] = field(default_factory=dict, init=False, repr=False)

    def codes(self, table: str, column: str) -> Codes:
        """A column of ids or words as integers; made once."""
        if (table, column) not in self._seen:
            self._seen[table, column] = codes_of(self.tables[table][column])
        return self._seen[table, column]

    def alike(self, table: str, column: str) -> np.ndarray:
        """Rows (k,) int64 of a column of ids that are `ingestion.codes.alike`; made once."""
        key = (table, f"alike {column}")
        if key not in self._seen:
            self._seen[key] = alike(self.tables[table][column])
        return cast(np.ndarray, self._seen[key])

    def rows_of(self, table: str, column: str) -> np.ndarray:
        """Row (n,) int64 of the table that a column of ids refers to, or whose key it is: the first
        with that id, -1 where there is none."""
        described = TABLES[table].column(column)
        other = TABLES[described.refers_to or table]
        return rows_in(self.codes(table, column), self.tables[other.name][other.key])

    @property
    def people(self) -> pd.DataFrame:
        """The users table, a row for each user in the order of their ids; made once."""
        key = ("users", "")
        if key not in self._seen:
            users = self.tables["users"]
            self._seen[key] = users.drop_duplicates("user_id").sort_values("user_id")
        return cast(pd.DataFrame, self._seen[key])

    @property
    def hash(self) -> str:
        """Hash of all its rows in their order, whatever files they came from, and of what
        `log.json` says; made once."""
        key = ("", "hash")
        if key not in self._seen:
            parts: list[Any] = [repr(self.meta)]
            for name, table in sorted(self.tables.items()):
                plain = table.astype({c: str for c in table if table[c].dtype == object})
                rows = pd.util.hash_pandas_object(plain, index=False)
                parts += [name, list(map(str, table)), rows.to_numpy()]
            self._seen[key] = content_hash(*parts)
        return cast(str, self._seen[key])

    def replace_tables(self, **tables: pd.DataFrame) -> "Log":
        """This log with other frames in place of some, typed like those they replace."""
        return dataclasses.replace(self, tables={**self.tables, **tables})


def epoch_us(times: pd.Series) -> np.ndarray:
    """Microseconds since 1970-01-01 UTC (n,) int64 of a time column; missing is the least int64."""
    return times.dt.tz_localize(None).to_numpy("datetime64[us]").view(np.int64)


def time_column(instants: np.ndarray) -> pd.Series:
    """A time column (n,) datetime64[us, UTC] of microseconds (n,) int64; the least is missing."""
    return pd.Series(np.asarray(instants, np.int64).view("datetime64[us]")).dt.tz_localize("UTC")
