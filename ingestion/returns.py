"""Pairs what was brought back or cancelled with its purchase."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ingestion.log import epoch_us


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
    bought_of, back_of = _names(purchases), _names(returns)
    positions = np.flatnonzero(bought_of.isin(back_of))
    bought = bought_of.iloc[positions].groupby(bought_of.iloc[positions]).indices
    for name, backs in back_of.groupby(back_of).indices.items():
        own = positions[np.asarray(bought.get(name, []), np.int64)]
        own = own[np.argsort(bought_at[own], kind="stable")]
        order = np.asarray(backs, np.int64)
        for back in order[np.argsort(back_at[order], kind="stable")]:
            before = own[: np.searchsorted(bought_at[own], back_at[back], "right")]
            for purchase in before[::-1]:
                taken = min(left[purchase], rest[back])
                left[purchase] -= taken
                rest[back] -= taken
                if rest[back] == 0:
                    break
    return Pairing(left, rest == 0, (rest > 0) & (rest < units))


def _names(table: pd.DataFrame) -> pd.Series:
    """User and item (n,) as one text."""
    return (table["user_id"] + "\n" + table["item_id"]).reset_index(drop=True)
