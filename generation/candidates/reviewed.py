"""What reviewers say of items, as features of content: which sides they praise or blame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from generation.copy.reviews import tones_of
from ingestion.log import epoch_us

UNDATED = np.iinfo(np.int64).max
"""Instant of a review without a date: it is known at the log's end and at no instant before."""
FEW = 5
"""Reviews of an item at which they count half."""


@dataclass(frozen=True, eq=False)
class Reviewed:
    """Reviews, each read as a tone for each aspect."""

    item: np.ndarray
    """Item's row of each review (R,) int64."""
    tone: np.ndarray
    """1 praise, -1 blame, 0 neither (R, A) int8, by aspect."""
    at: np.ndarray
    """(R,) int64, microseconds UTC, `UNDATED` without a date"""

    @classmethod
    def none(cls) -> Reviewed:
        """No reviews."""
        return cls(np.zeros(0, np.int64), np.zeros((0, 1), np.int8), np.zeros(0, np.int64))

    @classmethod
    def of(cls, reviews: pd.DataFrame, row: dict[str, int]) -> Reviewed:
        """A log's table of reviews, of the items that have a row."""
        kept = reviews[reviews["item_id"].isin(row) & reviews["text"].notna()]
        at = np.where(kept["at"].isna(), UNDATED, epoch_us(kept["at"]))
        return cls(kept["item_id"].map(row).to_numpy(np.int64), tones_of(kept["text"]), at)

    def before(self, until: int) -> Reviewed:
        """Those that were known at an instant."""
        kept = self.at < until
        return Reviewed(self.item[kept], self.tone[kept], self.at[kept])

    def features(self, items: int) -> np.ndarray:
        """How what is said of each item differs from what is said in the whole shop (I, A) float32.

        The mean tone of an item's reviews less that of all reviews, of length n / (n + `FEW`) for
        n reviews: few say little, and an item without any has zeros.
        """
        count = np.bincount(self.item, minlength=items)[:, None]
        said = np.zeros((items, self.tone.shape[1]))
        np.add.at(said, self.item, self.tone)
        apart = said - count * (said.sum(0) / max(len(self.item), 1))
        length = np.linalg.norm(apart, axis=1, keepdims=True)
        return (apart / np.maximum(length, 1e-9) * count / (count + FEW)).astype(np.float32)
