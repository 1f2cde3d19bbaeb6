"""Pairs what was brought back or cancelled with its purchase."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ingestion.log import epoch_us

OF = ["user_id", "item_id"]


@dataclass(frozen=True)
class Pairing:
    """What is left of each purchase, and what became of each return."""

    left: np.ndarray
    """units (n,) float64 of each purchase that were kept"""
    paired: np.ndarray
    """whether (m,) bool all units of a return were found among earlier purchases"""
    partly: np.ndarray
    """whether (m,) bool only some of them were"""


def pair_returns(purchases: pd.DataFrame, returns: pd.DataFrame) -> Pairing:
    """Takes returns off purchases of the same user and item, the latest before the return first.

    Both frames have user_id, item_id, at (datetime64, UTC) and units (above 0). A purchase at the
    very instant of the return counts as before it. Units that no earlier purchase accounts for
    (bought before the log began, or by somebody else) are left over.
    """
    left = purchases["units"].to_numpy(np.float64).copy()
    bought_at, back_at = epoch_us(purchases["at"]), epoch_us(returns["at"])
    units = returns["units"].to_numpy(np.float64)
    rest = units.copy()
    groups = returns.groupby(OF).indices
    mine = pd.MultiIndex.from_frame(purchases[OF]).isin(list(groups))
    positions = np.flatnonzero(mine)
    bought = purchases[OF].iloc[positions].groupby(OF).indices
    for key, backs in groups.items():
        own = positions[bought.get(key, np.zeros(0, np.int64))]
        own = own[np.argsort(bought_at[own], kind="stable")]
        for back in backs[np.argsort(back_at[backs], kind="stable")]:
            before = own[: np.searchsorted(bought_at[own], back_at[back], "right")]
            for purchase in before[::-1]:
                taken = min(left[purchase], rest[back])
                left[purchase] -= taken
                rest[back] -= taken
                if rest[back] == 0:
                    break
    return Pairing(left, rest == 0, (rest > 0) & (rest < units))
