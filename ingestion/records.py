"""Reads records of foreign exports: CSV, Parquet, JSON, JSON lines, Avro; gzipped or not."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mdp.errors import BadInput

BATCH = 200_000
"""Records that are read at a time."""
SEPARATORS = (",", ";", "\t", "|")
"""Of CSV, as `separator_of` tells them."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
NULLABLE = {
    getattr(pa, name.lower())(): getattr(pd, f"{name}Dtype")()
    for name in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
} | {pa.bool_(): pd.BooleanDtype()}
"""Types of a frame that don't depend on which values are missing, by those of a file."""
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


def record_batches(file: Path) -> Iterator[pd.DataFrame]:
    """A file's records, `BATCH` of them at a time, one row each; structures as they are, and what
    its directories' names say (`event_type=…/date=…`) as columns.

    A JSON array is read whole. Raises `BadInput` for a file that can't be read.
    """
    kind = ending(file)
    if kind not in _READERS:
        raise BadInput(f"{file} ends in none of {', '.join(ENDINGS)} (or one of them and .gz)")
    said = [part.partition("=")[::2] for part in file.parts[:-1] if "=" in part]
    try:
        for frame in _READERS[kind](file):
            new = {name: value for name, value in said if name not in frame}
            yield frame.assign(**new) if new else frame
    except (ValueError, pa.ArrowException, EOFError, OSError, RecursionError, zlib.error) as error:
        raise BadInput(f"{file} can't be read as {kind[1:]}: {_reason(file, error)}") from error


def _reason(file: Path, error: Exception) -> str:
    if not isinstance(error, UnicodeDecodeError):
        return str(error)
    with file.open("rb") as opened:
        start = opened.read(4)
    if start.startswith(b"\x1f\x8b"):
        return "it is gzipped: give it a name that ends in .gz"
    if start == b"PK\x03\x04":
        return "it is a ZIP archive or an Excel file: export it as CSV in UTF-8"
    return f"it is not in UTF-8 ({error}): convert it, such as by `iconv -f WINDOWS-1252 -t UTF-8`"


def read_records(file: Path) -> pd.DataFrame:
    """All of a file's records, as `record_batches` gives them."""
    frames = list(record_batches(file))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def ending(file: Path) -> str:
    """What a file's name ends in, compression aside."""
    return Path(file.stem).suffix if file.suffix == ".gz" else file.suffix


def _opened(file: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(file)) if file.suffix == ".gz" else file.open("rb")


def separator_of(file: Path) -> str:
    """Of CSV: whichever of `SEPARATORS` the header has most of."""
    with _opened(file) as opened:
        head = opened.readline()
    return max(SEPARATORS, key=lambda separator: head.count(separator.encode()))


def _csv(file: Path) -> Iterator[pd.DataFrame]:
    header: pd.Index | None = None
    # The header is read as a row: pandas would rename a second column of the same name, and take
    # the first columns of rows that are longer than the header for an index.
    with pd.read_csv(
        file,
        header=None,
        sep=separator_of(file),
        dtype=str,
        keep_default_na=False,
        na_values=[""],
        encoding="utf-8-sig",
        chunksize=BATCH,
    ) as chunks:
        for chunk in chunks:
            frame = chunk
            if header is None:
                header, frame = pd.Index(chunk.iloc[0].fillna("")), chunk.iloc[1:]
                _once(header[header != ""])
            yield frame.set_axis(header, axis=1).loc[:, header != ""].reset_index(drop=True)


def _once(names: pd.Index) -> None:
    if names.has_duplicates:
        twice = names[names.duplicated()][0]
        raise ValueError(f"it has the column {twice!r} twice: keep one of them")


def _parquet(file: Path) -> Iterator[pd.DataFrame]:
    with pq.ParquetFile(file) as source:
        _once(pd.Index(source.schema_arrow.names))
        for batch in source.iter_batches(BATCH):
            frame = pa.Table.from_batches([batch]).to_pandas(
                types_mapper=NULLABLE.get, ignore_metadata=True
            )
            for n, column in enumerate(batch.columns):
                if pa.types.is_nested(column.type):
                    # Structures and lists as Python's, so that all formats look alike.
                    frame.isetitem(n, pd.Series(column.to_pylist(), dtype=object))
            yield frame


def _json_lines(file: Path) -> Iterator[pd.DataFrame]:
    with _opened(file) as lines:
        yield from _frames(_parsed(lines))


def _parsed(lines: Iterable[bytes]) -> Iterator[Any]:
    for number, line in enumerate(lines, 1):
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        if text.strip():
            try:
                yield _value(text)
            except ValueError as error:
                raise ValueError(f"line {number} is not JSON ({error})") from error


def _value(text: str) -> Any:
    value = json.loads(text)
    if _SURROGATE.search(text):
        # Half of a pair, which a text that was cut off ends in, is no character.
        whole = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        value = json.loads(whole)
    return value


def _json(file: Path) -> Iterator[pd.DataFrame]:
    with _opened(file) as opened:
        start = opened.read(1000).lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"["):
        with _opened(file) as opened:
            yield from _frames(iter(_value(opened.read().decode("utf-8-sig"))))
    else:
        yield from _json_lines(file)


def _avro(file: Path) -> Iterator[pd.DataFrame]:
    import fastavro

    try:
        with _opened(file) as opened:
            yield from _frames(fastavro.reader(opened))
    except Exception as error:  # of whatever kind fastavro stumbles with
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _frames(records: Iterator[Any]) -> Iterator[pd.DataFrame]:
    first = 0
    while rows := list(islice(records, BATCH)):
        for number, row in enumerate(rows, first + 1):
            if not isinstance(row, dict):
                raise ValueError(f"record {number} is {type(row).__name__}, not an object")
        names = dict.fromkeys(name for row in rows for name in row)
        # As objects: pandas would make floats of ids where some are missing.
        yield pd.DataFrame(
            {name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names}
        )
        first += len(rows)


_READERS = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".avro": _avro,
}
