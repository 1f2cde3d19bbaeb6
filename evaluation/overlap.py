"""Overlap: what share of the log, and of the target's choices, each item, variant and hour has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.sample import Labels, Sample

LEVELS = 30
"""Most names of a feature that are shown; the rest are put together."""
_COLUMNS = ("rows", "weight", "squares")
Held = Mapping[str, pd.DataFrame]
"""By feature, what its names hold: rows, Σ w and Σ w², a line for each name."""


@dataclass(frozen=True)
class Level:
    """One item, variant or hour: how much of the log and of the target's choices it makes up."""

    name: str
    rows: int
    logged: float
    """Share of the rows."""
    target: float
    """Share of the weight: of what the target would do."""
    effective_sample_size: float
    """Of its rows alone."""


def held(sample: Sample) -> Held:
    """What each name of each feature holds of a sample."""
    return {name: _sums(labels, sample.weights) for name, labels in sample.features.items()}


def _sums(labels: Labels, weights: np.ndarray) -> pd.DataFrame:
    size = len(labels.names)
    sums = (np.bincount(labels.codes, values, size) for values in (None, weights, weights**2))
    return pd.DataFrame(dict(zip(_COLUMNS, sums, strict=True)), index=list(labels.names))


def together(one: Held, two: Held) -> Held:
    """What two samples hold."""
    return {name: one[name].add(two[name], fill_value=0.0) for name in one}


def overlap(found: Held) -> dict[str, tuple[Level, ...]]:
    """Logged and target shares by item, variant and hour, the most frequent first."""
    return {name: _levels(sums) for name, sums in found.items()}


def _levels(sums: pd.DataFrame) -> tuple[Level, ...]:
    order = np.lexsort((sums.index.to_numpy(str), -sums["rows"].to_numpy()))
    names, values = sums.index.to_numpy(str)[order].tolist(), sums.to_numpy(np.float64)[order]
    if len(names) > LEVELS:
        rest = values[LEVELS - 1 :].sum(0, keepdims=True)
        values = np.concatenate([values[: LEVELS - 1], rest])
        names = [*names[: LEVELS - 1], f"{len(names) - LEVELS + 1} others"]
    all_rows, all_weight, _ = values.sum(0)
    return tuple(
        Level(
            name,
            int(rows),
            float(rows / all_rows),
            float(weight / max(all_weight, 1e-300)),
            float(weight**2 / squares) if squares > 0 else 0.0,
        )
        for name, (rows, weight, squares) in zip(names, values, strict=True)
    )
