"""Writes a log directory: one Parquet file per table, and `log.json`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.encryption import is_encrypted
from ingestion.log import LogMeta
from ingestion.read import META_FILE
from ingestion.schema import TABLES, Type
from mdp.errors import BadInput

ARROW = {
    Type.TIME: pa.timestamp("us", "UTC"),
    Type.NUMBER: pa.float64(),
    Type.INTEGER: pa.int64(),
    Type.BOOLEAN: pa.bool_(),
}
"""Types of columns in a file; all others hold text."""


def write_log(path: Path | str, tables: Mapping[str, pd.DataFrame], meta: LogMeta) -> None:
    """Write a log; optional columns that are missing throughout are left out.

    The same tables give the same bytes. Nothing of an earlier log in the directory is touched
    before all of this one is written beside it; then its tables are replaced, and files that are
    no tables are left alone. Raises `BadInput` where the directory holds files but no log.
    """
    with replacing(Path(path)) as temporary:
        write_tables(temporary, tables, meta)


def write_tables(directory: Path, tables: Mapping[str, pd.DataFrame], meta: LogMeta) -> None:
    """Write a log's files into a directory that has none of them."""
    for name, frame in tables.items():
        wanted = TABLES[name]
        optional = {column.name for column in wanted.columns if not column.required}
        empty = [c for c in frame.columns if c in optional and not frame[c].notna().any()]
        frame.drop(columns=empty).to_parquet(directory / f"{name}.parquet", index=False)
    write_meta(directory, meta)


def replace_tables(path: Path | str, tables: Mapping[str, pd.DataFrame]) -> None:
    """Replace some tables of a log; the others stay as they are.

    Each is written whole beside the old one and then takes its place. Raises `BadInput` where the
    directory is not there.
    """
    path = Path(path)
    if not path.is_dir():
        raise BadInput(f"{path} is not a directory: give one that holds a log's tables")
    for name, frame in tables.items():
        part = path / f".{name}.part{os.getpid()}"
        try:
            frame.to_parquet(part, index=False)
            os.replace(part, path / f"{name}.parquet")
        finally:
            part.unlink(missing_ok=True)
        (path / f"{name}.csv").unlink(missing_ok=True)


class LogStream:
    """Tables of a log that are written part by part, so that they need not fit into memory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._writers: dict[str, pq.ParquetWriter] = {}

    def append(self, name: str, frame: pd.DataFrame) -> None:
        """Rows of a table; every part of it has the same columns."""
        if name not in self._writers:
            types = {column.name: column.type for column in TABLES[name].columns}
            schema = [(c, ARROW.get(types.get(c, Type.TEXT), pa.string())) for c in frame.columns]
            file = self._directory / f"{name}.parquet"
            self._writers[name] = pq.ParquetWriter(file, pa.schema(schema))
        writer = self._writers[name]
        table = pa.Table.from_pandas(frame, writer.schema, preserve_index=False)
        writer.write_table(table.replace_schema_metadata(None))

    def finish(self, meta: LogMeta) -> None:
        """Write `log.json` after all parts."""
        write_meta(self._directory, meta)

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()


@contextmanager
def log_stream(path: Path | str) -> Iterator[LogStream]:
    """A log to write part by part; its files replace an earlier log's at the end, as `write_log`'s
    do, and nothing changes where writing fails."""
    with replacing(Path(path)) as temporary, closing(LogStream(temporary)) as stream:
        yield stream


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A directory to write a log's files into, which then take the place of those in `path`."""
    mine = {META_FILE} | {f"{name}.{ending}" for name in TABLES for ending in ("parquet", "csv")}
    there = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
    if path.exists() and not path.is_dir():
        raise BadInput(f"{path} is a file: give a directory for the log")
    if is_encrypted(path):
        raise BadInput(
            f"{path} is encrypted, and nothing is written in plain beside that: decrypt it into "
            "another directory, and encrypt what comes of it"
        )
    if there and not there & mine:
        raise BadInput(f"{path} is not empty and holds no log: choose another directory")
    temporary = path.with_name(path.name + f".part{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        path.mkdir(parents=True, exist_ok=True)
        new = sorted(file.name for file in temporary.iterdir())
        for name in new:
            os.replace(temporary / name, path / name)
        for name in (there & mine) - set(new):
            (path / name).unlink()
    finally:
        shutil.rmtree(temporary)


def write_meta(directory: Path, meta: LogMeta) -> None:
    """Write `log.json`."""
    (directory / META_FILE).write_text(json.dumps(meta_values(meta), indent=1) + "\n")


def meta_values(meta: LogMeta) -> dict[str, object]:
    """`log.json` as plain values, without what is not given."""
    values = {name: value for name, value in asdict(meta).items() if value is not None}
    for name, value in values.items():
        if isinstance(value, pd.Timestamp):
            values[name] = value.isoformat()
    return {**dict(values.pop("other")), **values}


def sync(path: Path) -> None:
    """Have a file, or the names in a directory, on disk."""
    if os.name == "nt" and path.is_dir():  # can't be opened, and is written at once
        return
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
