"""A log without errors in parts by user, on disk: for what need not see all of it at once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ingestion.by_parts import Raw, silent, split_up, tables_of
from ingestion.check import errors_of, together
from ingestion.freed import give_back
from ingestion.log import Log
from ingestion.parse import log_of
from ingestion.parts import log_batches
from ingestion.read import read_meta, refuse
from ingestion.schema import PEOPLE, SHARED
from ingestion.splits import INSTANTS, log_end, rows_of_users, split_time
from ingestion.stored import frame_of


@dataclass(frozen=True)
class PartedLog:
    """A log of which one part is in memory at a time."""

    raw: Raw
    count: int
    """how many parts there are"""
    span: Log
    """the first and the last instants of each table, as a log"""

    def parts(self) -> Iterator[tuple[Log, Mapping[str, np.ndarray]]]:
        """Each part as a log, and the place (n,) int64 of its tables' rows in the whole ones. All
        that is said of a user is in one part; items, variants and changes are in each."""
        for number in range(self.count):
            yield self.raw.read(number)
            give_back()

    @property
    def split(self) -> int:
        """`split_time` of the log."""
        return split_time(self.span)

    @property
    def end(self) -> int:
        """`log_end` of the log."""
        return log_end(self.span)

    def of_users(self, user_ids: Sequence[str]) -> Log:
        """What is said of some users alone, in the order of the whole log, and the catalogue."""
        found: dict[str, list[pd.DataFrame]] = {}
        for part, place in self.parts():
            chosen = rows_of_users(part, user_ids)
            for name, rows in place.items():
                mine = chosen.get(name, slice(None))
                found.setdefault(name, []).append(part.tables[name][mine].set_axis(rows[mine]))
        whole = {name: pd.concat(tables).sort_index() for name, tables in found.items()}
        return part.replace_tables(
            **{n: table.reset_index(drop=True) for n, table in whole.items()}
        )


@contextmanager
def parted(path: Path, count: int) -> Iterator[PartedLog]:
    """A log in so many parts, which are on disk as long as they are needed; raises `BadLog` as
    `load_checked` does."""
    with tempfile.TemporaryDirectory(prefix="pushwise-") as directory:
        meta = read_meta(path)
        split = split_up(log_batches(path), Path(directory), count, False, silent)
        shared = log_of({name: frame_of(table) for name, table in split.shared.items()}, meta)
        raw = Raw(split.stored, meta, tables_of(shared, SHARED), split.duplicates)
        found = errors_of(shared, SHARED)
        instants: dict[str, list[pd.Series]] = {name: [] for name in INSTANTS}
        whole = PartedLog(raw, count, Log({}, meta))
        for log, place in whole.parts():
            found += errors_of(log, PEOPLE, place)
            for name, column in INSTANTS.items():
                times = log.tables[name][column].dropna()
                instants[name] += [times.nsmallest(1), times.nlargest(1)]
        del log
        refuse(path, together(found))
        span = {n: pd.DataFrame({INSTANTS[n]: pd.concat(times)}) for n, times in instants.items()}
        yield replace(whole, span=Log(span, meta))
