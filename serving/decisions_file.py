"""Decisions in a file, written part by part: it gets its name when it is whole and on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.write import sync
from mdp.errors import PushwiseError

Rows = Sequence[Mapping[str, Any]]
_TEXTS = (
    "decision_id", "user_id", "action", "item_id", "variant_id", "title", "body", "decided_at",
    "send_at",
)  # fmt: skip
SCHEMA = pa.schema(
    [
        *[(name, pa.string()) for name in _TEXTS],
        ("propensity", pa.float64()),
        *[(name, pa.string()) for name in ("policy", "arm", "reason")],
        *[(name, pa.bool_()) for name in ("cold_start", "repeated")],
    ]
)
"""The columns, which are the fields of `serving.commit.answer`."""
GROUP = 50_000
"""Rows of a Parquet file that are written together, at least: some 70 MB until then."""


@contextmanager
def decisions_file(out: Path) -> Iterator[Callable[[Rows], None]]:
    """A function that adds decisions to a file, `.csv` or `.parquet`.

    They are written beside `out`, which is replaced at the end; if that is not reached nothing is
    left but, after a kill, `.NAME.partPID`. Raises `PushwiseError` where there is no room.
    """
    part = out.with_name(f".{out.name}.part{os.getpid()}")
    try:
        with part.open("wb") as file:
            writer = _Csv(file) if out.suffix == ".csv" else _Parquet(file)

            def add(rows: Rows) -> None:
                with _told(out):
                    writer.add(rows)

            try:
                yield add
            except BaseException:
                with suppress(OSError):
                    writer.close()
                raise
            with _told(out):
                writer.close()
                file.flush()
                os.fsync(file.fileno())
        os.replace(part, out)
        sync(out.parent)
    finally:
        part.unlink(missing_ok=True)


class _Csv:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.add([], header=True)

    def add(self, rows: Rows, header: bool = False) -> None:
        frame = pd.DataFrame(list(rows), columns=SCHEMA.names)
        self._file.write(frame.to_csv(index=False, header=header).encode())

    def close(self) -> None:
        pass


class _Parquet:
    def __init__(self, file: IO[bytes]) -> None:
        self._writer = pq.ParquetWriter(file, SCHEMA)
        self._waiting: list[pa.Table] = []

    def add(self, rows: Rows) -> None:
        self._waiting.append(pa.Table.from_pylist(list(rows), SCHEMA))
        if sum(len(table) for table in self._waiting) >= GROUP:
            self._write()

    def close(self) -> None:
        self._write()
        self._writer.close()

    def _write(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
            self._waiting = []


@contextmanager
def _told(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PushwiseError(
            f"{out} can't be written ({error.strerror or error}): what was decided is in the "
            "store, and the same command goes on with it"
        ) from error
