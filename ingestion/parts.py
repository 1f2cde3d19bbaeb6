"""A log in parts by user, on disk, so that it need not fit into memory.

All that is said of a user is in one part. What every part refers to, items and variants, is not
taken apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.codes import text_hashes
from ingestion.encryption import ENDING, opened
from ingestion.parse import parse_column
from ingestion.plain_text import trimmed
from ingestion.read import UNREADABLE, table_files
from ingestion.schema import PEOPLE, TABLES
from ingestion.stored import ROW, frame_of, read_file
from mdp.errors import BadLog

BATCH = 1_000_000
"""Rows that are read, or put in order, at a time."""
KEYS = {"events": "event_id", "decisions": "decision_id"}
"""Ids that may be used twice by rows of different users."""
_BUCKETS = 16


def log_batches(path: Path) -> Iterator[tuple[str, pa.Table]]:
    """A log's tables as their files hold them, some rows at a time, in the order of `TABLES`.

    Raises `BadLog` as `read_raw` does.
    """
    for name, file in table_files(path).items():
        kind = Path(file.name.removesuffix(ENDING)).suffix
        try:
            source = BytesIO(opened(file)) if file.suffix == ENDING else file
            for table in _parquet(source) if kind == ".parquet" else _csv(source):
                if len(set(table.column_names)) < len(table.column_names):
                    names = pd.Series(table.column_names)
                    twice = names[names.duplicated()].iloc[0]
                    raise BadLog(f"{file} has the column {twice!r} twice: keep one of them")
                yield name, table
        except UNREADABLE as error:
            if isinstance(error, OSError) and error.filename is not None:
                raise  # not what the file holds, but that it can't be opened
            raise BadLog(f"{file} can't be read as {kind[1:]}: {error}") from error


def _parquet(file: Path | BytesIO) -> Iterator[pa.Table]:
    with pq.ParquetFile(file) as source:
        nothing = source.schema_arrow.empty_table()
        nothing.to_pandas()  # raises where what pandas noted of its types is damaged
        yield nothing
        for batch in source.iter_batches(BATCH):
            yield pa.Table.from_batches([batch], source.schema_arrow)


def _csv(file: Path | BytesIO) -> Iterator[pa.Table]:
    header: list[str] = []
    try:
        # As `read_raw` does, the header is read as a row.
        with pd.read_csv(
            file,
            header=None,
            dtype=str,
            keep_default_na=False,
            na_values=[""],
            encoding="utf-8-sig",
            chunksize=BATCH,
        ) as chunks:
            for chunk in chunks:
                rows = chunk
                if not header:
                    header, rows = list(chunk.iloc[0].fillna("")), chunk.iloc[1:]
                columns = [pa.array(rows[n], pa.string(), from_pandas=True) for n in rows]
                yield pa.Table.from_arrays(columns, header)
    except pd.errors.EmptyDataError:
        yield pa.table({})


class Parts:
    """Tables of a log in parts; append all rows of one table before the next table's."""

    def __init__(self, directory: Path, count: int, trims: bool) -> None:
        self.directory = directory
        self.count = count
        self.trims = trims
        """whether white space around ids will go before they are compared"""
        self.rows: dict[str, int] = {}
        """rows of each table"""
        self._schemas: dict[str, pa.Schema] = {}
        self._open: tuple[str, dict[int, pa.RecordBatchStreamWriter]] = ("", {})
        self._ids: dict[str, list[np.ndarray]] = {name: [] for name in KEYS}
        self._owners: list[np.ndarray] = []
        self._decided: tuple[np.ndarray, np.ndarray] | None = None

    def append(self, name: str, table: pa.Table) -> None:
        """The next rows of a table, raw."""
        if self._open[0] != name:
            self.close()
            self._open = (name, {})
            self.rows[name] = 0
            self._schemas[name] = table.schema.append(pa.field(ROW, pa.int64()))
        first = self.rows[name]
        self.rows[name] += len(table)
        table = table.append_column(ROW, pa.array(np.arange(first, self.rows[name])))
        part = self._part(name, table) if self.count > 1 else np.zeros(len(table), np.int64)
        if self.count > 1:
            order = np.argsort(part, kind="stable")
            table, part = table.take(pa.array(order)), part[order]
        ends = np.searchsorted(part, np.arange(self.count + 1))
        for number in np.flatnonzero(np.diff(ends)):
            self._writer(name, int(number)).write_table(
                table.slice(ends[number], ends[number + 1] - ends[number])
            )

    def _writer(self, name: str, number: int) -> pa.RecordBatchStreamWriter:
        writers = self._open[1]
        if number not in writers:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            file = str(self.directory / f"{name}.{number}")
            writers[number] = pa.ipc.new_stream(file, self._schemas[name], options=options)
        return writers[number]

    def close(self) -> None:
        """Close the files of the last table."""
        for writer in self._open[1].values():
            writer.close()
        self._open = ("", {})

    def _part(self, name: str, table: pa.Table) -> np.ndarray:
        """The part (n,) int64 that each row belongs to."""
        if name in KEYS and KEYS[name] in table.column_names:
            self._ids[name].append(self._hashes(name, KEYS[name], table))
        column = "decision_id" if name == "outcomes" else "user_id"
        if column not in table.column_names:
            return np.zeros(len(table), np.int64)
        hashes = self._hashes(name, column, table)
        part = (hashes % np.uint64(self.count)).astype(np.int64)
        if name == "decisions":
            self._owners.append(part)
        elif name == "outcomes":
            ids, owners = self._decisions()
            at = np.minimum(np.searchsorted(ids, hashes), len(ids) - 1)
            part = np.where(ids[at] == hashes, owners[at], part)
        return part

    def _decisions(self) -> tuple[np.ndarray, np.ndarray]:
        """Hashes of the decisions' ids, ascending, and the part of each, the first of equals."""
        if self._decided is None:
            ids = np.concatenate([np.zeros(1, np.uint64), *self._ids["decisions"]])
            owners = np.concatenate([np.zeros(1, np.int64), *self._owners]).astype(np.int16)
            order = np.argsort(ids, kind="stable") if len(owners) == len(ids) else np.zeros(1, int)
            self._decided = ids[order], owners[order]
        return self._decided

    def _hashes(self, name: str, column: str, table: pa.Table) -> np.ndarray:
        """Hashes (n,) uint64 of ids as they will be compared, 0 for a missing one."""
        frame = frame_of(table.select([column]))
        ids = parse_column(TABLES[name].column(column), frame[column]).values
        return text_hashes(trimmed(ids) if self.trims else ids)

    def duplicates(self, name: str) -> np.ndarray:
        """Rows (k,) int64, ascending, of a table whose id an earlier row has, in whatever part."""
        hashes = np.concatenate([np.zeros(0, np.uint64), *self._ids.get(name, [])])
        twice = []
        for bucket in range(_BUCKETS):
            some = np.sort(hashes[hashes >> np.uint64(60) == bucket])
            twice.append(np.unique(some[1:][some[1:] == some[:-1]]))
        several = np.concatenate(twice)
        several = several[several > 0]
        if not len(several):
            return np.zeros(0, np.int64)
        found = []
        for begin in range(0, len(hashes), BATCH):
            some = hashes[begin : begin + BATCH]
            place = np.minimum(np.searchsorted(several, some), len(several) - 1)
            found.append(begin + np.flatnonzero(several[place] == some))
        rows = np.concatenate(found)
        return rows[pd.Series(hashes[rows]).duplicated().to_numpy()]

    def stored(self) -> Stored:
        """What another process needs to read the parts."""
        self.close()
        return Stored(self.directory, dict(self._schemas))


class Stored:
    """Parts on disk."""

    def __init__(self, directory: Path, schemas: Mapping[str, pa.Schema]) -> None:
        self.directory = directory
        self.schemas = schemas

    def read(self, number: int, names: tuple[str, ...] = PEOPLE) -> dict[str, pa.Table]:
        """The tables of one part, with `ROW`; each that the log has, be it empty."""
        return {
            name: read_file(self.directory / f"{name}.{number}", self.schemas[name])
            for name in names
            if name in self.schemas
        }
