"""Marginalised weights of rows that are read in parts: a mean over all of them, wherever they are.

What a row adds to `mips` depends on the mean weight of all rows whose actions have the same
features, and so on rows that are not read yet: the rows are read twice. In one pass the sums of
every combination of features would have to be kept for every group of users, for intervals.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.sample import Labels, Sample

_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, eq=False)
class Cells:
    """Sums over the rows of C combinations of features."""

    keys: np.ndarray
    """Hash of each combination's names (C,) uint64, ascending."""
    rows: np.ndarray
    """(C,) float64"""
    weight: np.ndarray
    """Σ w (C,) float64"""

    def __add__(self, other: Cells) -> Cells:
        keys, place = np.unique(np.concatenate([self.keys, other.keys]), return_inverse=True)
        pairs = ((self.rows, other.rows), (self.weight, other.weight))
        rows, weight = (np.bincount(place, np.concatenate(pair)) for pair in pairs)
        return Cells(keys, rows, weight)

    def marginal(self, sample: Sample) -> np.ndarray:
        """Weights (n,) float64 of the features of a sample's rows, which are among these."""
        place = np.searchsorted(self.keys, _keys(sample.features.values()))
        return (self.weight / self.rows)[place]


def cells_of(sample: Sample) -> Cells:
    """Sums of one part's rows."""
    keys, place = np.unique(_keys(sample.features.values()), return_inverse=True)
    return Cells(keys, np.bincount(place).astype(np.float64), np.bincount(place, sample.weights))


def _keys(features: Iterable[Labels]) -> np.ndarray:
    """Hash (n,) uint64 of each row's names: another part has other codes for them."""
    key = np.zeros(1, np.uint64)
    for each in features:
        names = pd.util.hash_array(np.array(each.names, object), categorize=False)
        key = key * _ODD + names[each.codes]
    return key
