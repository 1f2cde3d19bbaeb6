"""Lists of hours as a log writes them: `8|9|10`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ingestion.schema import SEPARATOR
from mdp.actions import HOURS


def hour_flags(lists: pd.Series) -> np.ndarray:
    """Which hours each list of a checked log (n,) names, bool (n, 24); a missing one names none."""
    codes, texts = pd.factorize(lists)
    flags = np.zeros((len(texts) + 1, HOURS), bool)
    for row, text in enumerate(texts):
        flags[row, [int(part) for part in text.split(SEPARATOR)]] = True
    return flags[codes]
