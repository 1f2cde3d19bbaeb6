"""Puts the parts of a cleaned log together: its tables and its record in the order of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa

from ingestion.clean import COLUMNS, Cleaning, Record, in_rows
from ingestion.schema import TABLES
from ingestion.stored import ROW, in_order, kept, table_of, write_file, write_groups

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
