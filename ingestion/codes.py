"""Columns of texts as integers, so that comparing, counting and looking up need no texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from ingestion.schema import SEPARATOR
from mdp.hashing import hash_ids

AT_ONCE = 100_000
"""Ids, or lists of them, that are taken apart at a time."""


@dataclass(frozen=True)
class Codes:
    """A column of n texts as places in its D distinct texts."""

    of: np.ndarray
    """(n,) int64, -1 for a missing text"""
    distinct: pa.Array
    """the texts (D,)"""

    def each(self, test: Callable[[str], Any]) -> np.ndarray:
        """Whether each text (n,) passes; a missing one doesn't. bool (n,)."""
        passed = [bool(test(text)) for text in self.distinct.to_pylist()]
        return np.array([*passed, False])[self.of]


def column_of(texts: pd.Series) -> pa.Array:
    """A column of texts (n,) in one piece, null where one is missing."""
    column = pa.array(texts, pa.large_string(), from_pandas=True)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def codes_of(texts: pd.Series) -> Codes:
    """The codes of a column of texts (n,)."""
    coded = column_of(texts).dictionary_encode()
    of = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return Codes(of, coded.dictionary)


def rows_in(codes: Codes, keys: pd.Series) -> np.ndarray:
    """Row of each text (n,) int64 in a column of keys, the first of equal ones; -1 for none."""
    found = pc.index_in(codes.distinct, value_set=column_of(keys), skip_nulls=True).fill_null(-1)
    return np.append(found.to_numpy(zero_copy_only=False).astype(np.int64), -1)[codes.of]


def id_hashes(ids: pd.Series) -> np.ndarray:
    """`hash_ids` (n,) uint64 of a column of ids, each distinct one hashed once; that of "" where
    one is missing."""
    codes = codes_of(ids)
    size = len(codes.distinct)
    parts = [codes.distinct[n : n + AT_ONCE].to_pylist() for n in range(0, size, AT_ONCE)]
    return np.concatenate([*map(hash_ids, parts), hash_ids([""])])[codes.of]


def text_hashes(texts: pd.Series) -> np.ndarray:
    """64-bit hashes (n,) uint64 of texts, 0 for a missing one; the same in every process."""
    column = column_of(texts)
    out = np.zeros(len(column), np.uint64)
    if len(column):
        _, ends, data = column.buffers()
        bounds = np.frombuffer(ends, np.int64)[column.offset : column.offset + len(column) + 1]
        bytes_ = np.frombuffer(data or b"", np.uint8)
        _hash_all(bytes_, bounds, out)
        out[column.is_null().to_numpy(zero_copy_only=False)] = 0
    return out


@njit(cache=True)
def _hash_all(data: Any, bounds: Any, out: Any) -> None:
    # FNV-1a, then the mixing of MurmurHash3, so that all bits depend on all bytes.
    for i in range(out.size):
        value = np.uint64(14695981039346656037)
        for k in range(bounds[i], bounds[i + 1]):
            value = (value ^ np.uint64(data[k])) * np.uint64(1099511628211)
        value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
        value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
        out[i] = max(value ^ (value >> np.uint64(33)), np.uint64(1))


def again(texts: pd.Series) -> np.ndarray:
    """Whether each text (n,) was there before, bool (n,); a missing one was not."""
    out = np.zeros(len(texts), bool)
    rows = np.flatnonzero(pd.Series(text_hashes(texts)).duplicated(keep=False) & texts.notna())
    out[rows] = texts.iloc[rows].duplicated().to_numpy()
    return out


def repeated(table: pd.DataFrame, key: str | None = None) -> np.ndarray:
    """Whether each row (n,) equals an earlier one throughout, bool (n,).

    Most rows are told apart by their key or their times, which are looked at first.
    """
    rows = np.arange(len(table))
    first = [name for name in table.columns if name == key and table[name].dtype != object]
    first += [name for name in table.columns if table[name].dtype.kind == "M"]
    for name in first:
        values = table[name].iloc[rows]
        same = pd.Series(text_hashes(values)) if values.dtype == "str" else values
        rows = rows[same.duplicated(keep=False).to_numpy()]
    out = np.zeros(len(table), bool)
    if len(rows):
        out[rows] = comparable(table.iloc[rows]).duplicated().to_numpy()
    return out


def comparable(table: pd.DataFrame) -> pd.DataFrame:
    """The table with lists and structures, which can't be compared, as text."""
    nested = [name for name in table.columns if table[name].dtype == object]
    if not nested:
        return table
    return table.assign(**{name: table[name].map(repr) for name in nested})


def listed(lists: pd.Series) -> Iterator[tuple[np.ndarray, pa.Array]]:
    """The ids in lists of ids such as `a|b|c` (n,), some lists at a time: the row of the list that
    each id stands in (m,) int64, ascending, and the ids (m,)."""
    rows = np.flatnonzero(lists.notna())
    for begin in range(0, len(rows), AT_ONCE):
        some = rows[begin : begin + AT_ONCE]
        parts = pc.split_pattern(column_of(lists.iloc[some]), SEPARATOR)
        yield some[pc.list_parent_indices(parts).to_numpy()], pc.list_flatten(parts)
