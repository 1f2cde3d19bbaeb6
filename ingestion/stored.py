"""Tables on disk while they are worked on: stored in pieces, put in order, written as Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.records import NULLABLE
from ingestion.schema import TABLES
from ingestion.write import ARROW

ROW = "\x00row"
"""Column of a part: the row of the whole table, from 0."""
GROUP = 1_000_000
"""Rows of a group of a Parquet file."""


class Rows:
    """Rows of one table on disk, in the order in which they came."""

    def __init__(self, file: Path, schema: pa.Schema) -> None:
        self.file = file
        self.schema = schema
        self.count = 0
        """rows so far"""
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._writer = pa.ipc.new_stream(str(file), schema, options=options)

    def append(self, table: pa.Table) -> None:
        """The next rows."""
        self._writer.write_table(table)
        self.count += len(table)

    def tables(self) -> Iterator[pa.Table]:
        """All rows, as they were appended; nothing is appended any more."""
        self._writer.close()
        with pa.ipc.open_stream(pa.OSFile(str(self.file))) as stream:
            for batch in stream:
                yield pa.Table.from_batches([batch], self.schema)


def read_file(file: Path, schema: pa.Schema) -> pa.Table:
    """A table that was stored; empty where there is no file."""
    if not file.exists():
        return schema.empty_table()
    with pa.ipc.open_stream(pa.OSFile(str(file))) as stream:
        return stream.read_all()


def write_file(file: Path, table: pa.Table, chunk: int) -> None:
    """Store a table, some rows in a piece."""
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_stream(str(file), table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=chunk)


def frame_of(table: pa.Table) -> pd.DataFrame:
    """A stored table as a frame whose types don't depend on which values are missing."""
    frame = table.drop_columns([ROW] if ROW in table.column_names else []).to_pandas(
        types_mapper=NULLABLE.get
    )
    return frame.reset_index(drop=True)


def table_of(name: str, frame: pd.DataFrame, raw: pa.Schema) -> pa.Table:
    """A typed frame as it will be written: columns of the format by their types, others as they
    came. Optional columns that the log does not have are left out."""
    types = {column.name: column for column in TABLES[name].columns}
    fields = []
    for column in frame.columns:
        known = types.get(column)
        if known is None:
            fields.append(raw.field(column).with_metadata(None))
        elif column in raw.names or known.required or known.default is not None:
            fields.append(pa.field(column, ARROW.get(known.type, pa.string())))
    schema = pa.schema(fields)
    return pa.Table.from_pandas(frame[schema.names], schema, preserve_index=False).cast(schema)


def kept(name: str, columns: Iterable[str], filled: set[str]) -> list[str]:
    """Columns without the optional ones that are missing throughout."""
    optional = {column.name for column in TABLES[name].columns if not column.required}
    return [c for c in columns if c != ROW and (c in filled or c not in optional)]


def write_groups(file: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Write a Parquet file whose groups of rows are alike, in whatever pieces the rows come."""
    with pq.ParquetWriter(file, schema) as writer:
        waiting = [schema.empty_table()]
        for table in tables:
            waiting.append(table.replace_schema_metadata(None))
            while sum(map(len, waiting)) >= GROUP:
                whole = pa.concat_tables(waiting)
                writer.write_table(whole.slice(0, GROUP).combine_chunks())
                waiting = [whole.slice(GROUP)]
        writer.write_table(pa.concat_tables(waiting).combine_chunks())


def in_order(files: list[Path], column: str) -> Iterator[pa.Table]:
    """The rows of stored tables, each ascending by an int64 column, ascending by it as a whole."""
    streams = [pa.ipc.open_stream(pa.OSFile(str(file))) for file in files if file.exists()]
    heads = [_next(stream) for stream in streams]
    while any(head is not None for head in heads):
        keys = [None if h is None else h.column(column).to_numpy() for h in heads]
        bound = min(key[-1] for key in keys if key is not None)
        taken = []
        for n, (head, key) in enumerate(zip(heads, keys, strict=True)):
            if head is not None and key is not None:
                count = int(np.searchsorted(key, bound, "right"))
                taken.append(head.slice(0, count))
                heads[n] = head.slice(count) if count < len(head) else _next(streams[n])
        whole = pa.Table.from_batches([batch for batch in taken if len(batch)])
        order = np.argsort(whole.column(column).to_numpy(), kind="stable")
        yield whole.take(pa.array(order))


def _next(stream: pa.RecordBatchReader) -> pa.RecordBatch | None:
    for batch in stream:
        if len(batch):
            return batch
    return None
