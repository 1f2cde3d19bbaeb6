"""Columns of texts as integers, so that comparing, counting and looking up need no texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.schema import SEPARATOR
from mdp.hashing import hash_id, hash_ids

AT_ONCE = 100_000
"""Ids, or lists of them, that are taken apart at a time."""
LONG = 256
"""Bytes above which a text is hashed by itself."""
_FIRST = np.array([256**count - 1 for count in range(9)], np.uint64)
_ODD = np.uint64(0x9E3779B97F4A7C15)
_MIXING = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))


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
    if not len(column):
        return np.zeros(0, np.uint64)
    _, ends, data = column.buffers()
    bounds = np.frombuffer(ends, np.int64)[column.offset : column.offset + len(column) + 1]
    size = np.diff(bounds)
    bytes_ = np.frombuffer(data or b"", np.uint8)[bounds[0] : bounds[-1]]
    out = _mixed(_folded(bytes_, bounds[:-1] - bounds[0], size))
    for row in np.flatnonzero(size > LONG).tolist():
        out[row] = hash_id(column[row].as_py())
    out[column.is_null().to_numpy(zero_copy_only=False)] = 0
    return out


def _folded(data: np.ndarray, begin: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Runs of `size` (n,) bytes that begin at `begin` (n,), eight bytes after the other folded into
    a number (n,) uint64; of the long ones, the first bytes."""
    # The eight bytes that begin at each byte, as a number.
    words = np.ndarray(len(data) + 1, "<u8", np.append(data, np.zeros(8, np.uint8)), strides=(1,))
    out, left, rows = size.astype(np.uint64), np.minimum(size, LONG), np.arange(len(size))
    while len(rows):
        mixed = (out[rows] ^ (words[begin] & _FIRST[np.minimum(left, 8)])) * _ODD
        out[rows] = mixed ^ (mixed >> np.uint64(32))
        more = left > 8
        rows, begin, left = rows[more], begin[more] + 8, left[more] - 8
    return out


def _mixed(values: np.ndarray) -> np.ndarray:
    """The mixing of MurmurHash3, so that all bits depend on all others; never 0."""
    for factor in _MIXING:
        values = (values ^ (values >> np.uint64(33))) * factor
    return np.maximum(values ^ (values >> np.uint64(33)), np.uint64(1))


def alike(values: pd.Series) -> np.ndarray:
    """Rows (k,) int64, ascending, of the values (n,) that another row has as well; texts of one
    hash are taken for the same."""
    compared = pd.Series(text_hashes(values)) if values.dtype == "str" else values
    return np.flatnonzero(compared.duplicated(keep=False))


def again(texts: pd.Series, suspects: np.ndarray) -> np.ndarray:
    """Whether each text (n,) was there before, bool (n,); a missing one was not. `suspects` are the
    rows that are `alike`."""
    out = np.zeros(len(texts), bool)
    some = texts.iloc[suspects]
    out[suspects] = (some.duplicated() & some.notna()).to_numpy()
    return out


def repeated(table: pd.DataFrame, suspects: np.ndarray | None = None) -> np.ndarray:
    """Whether each row (n,) equals an earlier one throughout, bool (n,).

    Most rows are told apart by their keys, where `suspects` are the rows whose keys are `alike`,
    and by their times, which are looked at first.
    """
    rows = np.arange(len(table)) if suspects is None else suspects
    for name in table.columns:
        if table[name].dtype.kind == "M":
            rows = rows[alike(table[name].iloc[rows])]
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
