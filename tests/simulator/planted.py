"""Pushes whose opening follows a planted truth."""

import numpy as np

from mdp.response import HEADS
from mdp.wording import WORDING
from simulator.sends import OPEN, Sends


def pushes(logit: np.ndarray, rng: np.random.Generator, **columns: np.ndarray) -> Sends:
    """S pushes that are opened by logit (S,), of one user unless `columns` says otherwise."""
    size = len(logit)
    zero, none = np.zeros(size, np.float32), np.zeros(size, np.int64)
    outcome = np.zeros((size, len(HEADS)), np.float32)
    outcome[:, OPEN] = rng.random(size) < 1 / (1 + np.exp(-logit))
    plain: dict[str, np.ndarray] = {
        **dict.fromkeys(("user", "item", "variant", "bucket", "hour", "weekday", "special"), none),
        **dict.fromkeys(
            ("liking", "profile", "fatigue", "repetition", "wear", "bought", "views"), zero
        ),
        "item_features": np.zeros((size, 2), np.float32),
        "wording": np.zeros((1 + columns.get("variant", none).max(), len(WORDING)), np.float32),
        "outcome": outcome,
        "come": np.ones((size, len(HEADS)), bool),
        "decided_at": np.arange(size),
    }
    return Sends(**plain | columns)
