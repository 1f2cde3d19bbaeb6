"""Puts the parts of a cleaned log together: its tables and its record in the order of the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.clean import COLUMNS, Cleaning, Record, in_rows
from ingestion.parts import ROW, table_of, write_file
from ingestion.schema import TABLES

GROUP = 1_000_000
"""Rows of a group of a Parquet file."""
_RECORD = pa.schema([(name, pa.int64() if name == "row" else pa.string()) for name in COLUMNS])


def store_record(directory: Path, cleaning: Cleaning, phase: int, chunk: int, number: int) -> None:
    """Store a part's record by table, so that those of all parts can be put in order."""
    rows = in_rows(cleaning.record.parts)
    for name in cleaning.names:
        table = pa.Table.from_pandas(rows[rows["table"] == name], _RECORD, preserve_index=False)
        # What was mended comes before what is flagged of the same row.
        key = 2 * table.column("row").to_numpy() + phase
        table = table.replace_schema_metadata(None).append_column(ROW, pa.array(key))
        write_file(directory / f"record-{name}.{phase}.{number}", table, chunk)


def write_whole(directory: Path, name: str, frame: pd.DataFrame, raw: pa.Schema) -> None:
    """Write a table that was not taken apart; `raw` is the schema that it came with."""
    table = table_of(name, frame, raw)
    filled = {c for c in table.column_names if table.column(c).null_count < len(table)}
    table = table.select(kept(name, table.column_names, filled))
    write_groups(directory / f"{name}.parquet", table.schema, [table])


def merge_parts(
    files: list[Path], directory: Path, name: str, schema: pa.Schema, filled: set[str]
) -> None:
    """Write a table of stored parts in the order of its rows; `filled` columns hold values."""
    columns = pa.schema([schema.field(column) for column in kept(name, schema.names, filled)])
    tables = (table.select(columns.names) for table in in_order(files, ROW))
    write_groups(directory / f"{name}.parquet", columns, tables)


def merge_records(directory: Path, out: Path, shared: Record, parts: int) -> None:
    """Write the record of all parts and of the shared tables, by table and row."""
    write_groups(out, _RECORD, _records(directory, in_rows(shared.parts), parts))


def _records(directory: Path, shared: pd.DataFrame, parts: int) -> Iterator[pa.Table]:
    for name in TABLES:
        mine = shared[shared["table"] == name] if len(shared) else shared
        if len(mine):
            yield pa.Table.from_pandas(mine, _RECORD, preserve_index=False)
        files = [
            directory / f"record-{name}.{phase}.{number}"
            for phase in (0, 1)
            for number in range(parts)
        ]
        for table in in_order(files, ROW):
            yield table.select(_RECORD.names)


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
