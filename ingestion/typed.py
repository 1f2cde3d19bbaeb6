"""A table of an import on disk: typed as far as its values allow, which is known at its end.

A column all of whose values are of its type is written as that type; another as text, with the
values that are not as they came, for `check` to name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.parse import absent, parse_column
from ingestion.schema import TABLES, Type
from ingestion.stored import kept, write_groups
from ingestion.write import ARROW

_CAME = "\x00came "
"""Begins the name of a column that holds what is not of a column's type, as it came."""


class Typed:
    """One table, as its rows come."""

    def __init__(self, name: str, columns: Sequence[str]) -> None:
        self.name = name
        known = {column.name: column for column in TABLES[name].columns}
        needed = [c for c in known if known[c].required and c not in columns]
        self.columns = {c: known.get(c) for c in (*columns, *needed)}
        self.seen = {c for c, known in self.columns.items() if known and known.required}
        """columns that are in any of the rows, or needed"""
        self.filled: set[str] = set()
        """columns with values"""
        self.wrong: set[str] = set()
        """columns with values that are not of their type"""
        fields = [(c, self._type(c)) for c in self.columns]
        fields += [(_CAME + c, pa.string()) for c in self.columns if self._type(c) != pa.string()]
        self.schema = pa.schema(fields)
        """of a stored part"""

    def _type(self, column: str) -> pa.DataType:
        known = self.columns[column]
        return ARROW.get(Type.TEXT if known is None else known.type, pa.string())

    def table(self, frame: pd.DataFrame) -> pa.Table:
        """Some rows, to be stored; columns that the frame lacks are missing."""
        self.seen |= set(frame.columns)
        arrays: dict[str, pa.Array] = {}
        for name, known in self.columns.items():
            if known is None:
                values = frame[name] if name in frame else pd.Series(None, frame.index, dtype="str")
                arrays[name] = pa.array(values, pa.string(), from_pandas=True)
                continue
            if name not in frame:
                arrays[name] = pa.array(absent(known, frame.index), self._type(name))
            else:
                parsed = parse_column(known, frame[name])
                arrays[name] = pa.array(parsed.values, self._type(name), from_pandas=True)
                broken = np.zeros(len(frame), bool)
                for mask in parsed.broken.values():
                    broken |= mask
                if broken.any():
                    self.wrong.add(name)
                    came = frame[name].astype("str")
                    arrays[_CAME + name] = pa.array(came.where(broken), pa.string())
        nothing = pa.nulls(len(frame), pa.string())
        whole = [arrays.get(name, nothing) for name in self.schema.names]
        table = pa.Table.from_arrays(whole, schema=self.schema)
        self.filled |= {
            name for name in self.schema.names if table.column(name).null_count < len(table)
        }
        return table

    def write(self, directory: Path, tables: Iterable[pa.Table]) -> None:
        """Write the table of stored parts, in their order."""
        filled = {name.removeprefix(_CAME) for name in self.filled}
        names = kept(self.name, [c for c in self.columns if c in self.seen], filled)
        types = {c: pa.string() if c in self.wrong else self._type(c) for c in names}
        columns = pa.schema(list(types.items()))
        rows = (pa.table([self._whole(t, c) for c in names], columns) for t in tables)
        write_groups(directory / f"{self.name}.parquet", columns, rows)

    def _whole(self, table: pa.Table, column: str) -> pa.ChunkedArray:
        values = table.column(column)
        if column not in self.wrong:
            return values
        return pc.coalesce(table.column(_CAME + column), values.cast(pa.string()))
