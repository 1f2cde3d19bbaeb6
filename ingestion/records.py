"""Reads records of foreign exports: CSV, Parquet, JSON, JSON lines, Avro; gzipped or not."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mdp.errors import BadInput

ENDINGS = (".csv", ".parquet", ".jsonl", ".ndjson", ".json", ".avro")


def record_files(paths: Iterable[Path]) -> list[Path]:
    """The files, and those below directories whose ending is known, in the order of their names."""
    found = []
    for path in paths:
        if path.is_dir():
            below = sorted(file for file in path.rglob("*") if ending(file) in ENDINGS)
            if not below:
                raise BadInput(f"{path} holds no file that ends in {', '.join(ENDINGS)}")
            found += below
        elif path.is_file():
            found.append(path)
        else:
            raise BadInput(f"{path} is not there")
    if not found:
        raise BadInput("no file is given")
    return found


def read_records(file: Path) -> pd.DataFrame:
    """A file's records, one row each, structures as they are; what its directories' names say
    (`event_type=…/date=…`) as columns. Raises `BadInput` for a file that can't be read."""
    kind = ending(file)
    try:
        frame = _READERS[kind](file) if kind in _READERS else None
    except (ValueError, pa.ArrowException, EOFError, OSError, RecursionError, zlib.error) as error:
        raise BadInput(f"{file} can't be read as {kind[1:]}: {error}") from error
    if frame is None:
        raise BadInput(f"{file} ends in none of {', '.join(ENDINGS)} (or one of them and .gz)")
    for part in file.parts[:-1]:
        name, equals, value = part.partition("=")
        if equals and name not in frame:
            frame[name] = value
    return frame


def ending(file: Path) -> str:
    """What a file's name ends in, compression aside."""
    return Path(file.stem).suffix if file.suffix == ".gz" else file.suffix


def _bytes(file: Path) -> bytes:
    return gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()


def _csv(file: Path) -> pd.DataFrame:
    return pd.read_csv(file, dtype=str, keep_default_na=False, na_values=[""], encoding="utf-8-sig")


def _parquet(file: Path) -> pd.DataFrame:
    # Structures and lists as Python's, so that all formats look alike.
    table = pq.read_table(file)
    return pd.DataFrame(
        {
            name: pd.Series(column.to_pylist(), dtype=object)
            if pa.types.is_nested(column.type)
            else column.to_pandas()
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
    )


def _json_lines(file: Path) -> pd.DataFrame:
    return _frame(_lines(_bytes(file)))


def _lines(content: bytes) -> Iterator[Any]:
    for number, line in enumerate(content.decode("utf-8-sig").split("\n"), 1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ValueError(f"line {number} is not JSON ({error})") from error


def _json(file: Path) -> pd.DataFrame:
    content = _bytes(file)
    if content.lstrip().startswith(b"["):
        return _frame(json.loads(content))
    return _frame(_lines(content))


def _avro(file: Path) -> pd.DataFrame:
    import io

    import fastavro

    try:
        return _frame(fastavro.reader(io.BytesIO(_bytes(file))))
    except Exception as error:  # of whatever kind fastavro stumbles with
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _frame(records: Iterable[Any]) -> pd.DataFrame:
    rows = list(records)
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ValueError(f"record {number} is {type(row).__name__}, not an object")
    names = dict.fromkeys(name for row in rows for name in row)
    # As objects: pandas would make floats of ids where some are missing.
    return pd.DataFrame(
        {name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names}
    )


_READERS = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".avro": _avro,
}
