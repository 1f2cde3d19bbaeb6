"""Every method of the leaderboard, with the configurations that are tried on the validation month.

What a method needs is imported when it is asked for: implicit, scikit-learn, LightGBM and torch are
in the extra `train`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from generation.candidates.ranker import Ranker
from mdp.errors import BadSetting

METHODS = (
    "popularity",
    "own-history",
    "user-knn",
    "item-knn",
    "bm25",
    "als",
    "ease",
    "content",
    "gru",
    "cnn",
    "hybrid",
)
"""What `--methods` takes."""


def configurations(method: str, days: int, seed: int) -> Sequence[Ranker]:
    """Unfitted rankers of a method; raises `BadSetting` for an unknown one."""
    from generation.candidates import collaborative, content, hybrid, simple

    if method == "popularity":
        return [simple.Popular()]
    if method == "own-history":
        return [simple.OwnHistory(half_life) for half_life in (np.inf, 180, 90)]
    if method == "user-knn":
        return [collaborative.UserKNN(size) for size in (50, 100, 200, 400)]
    if method == "item-knn":
        return [collaborative.ItemKNN(size) for size in (20, 100, 400)]
    if method == "bm25":
        return [collaborative.ItemBM25(size) for size in (20, 100, 400)]
    if method == "als":
        return [
            collaborative.ALS(factors, regularization, alpha, seed)
            for factors in (64, 128)
            for regularization, alpha in ((0.1, 1.0), (10.0, 2.0), (30.0, 10.0))
        ]
    if method == "ease":
        return [collaborative.Ease(ridge) for ridge in (100.0, 250.0, 500.0, 1000.0)]
    if method == "content":
        return [content.Content(half_life) for half_life in (np.inf, 90)]
    if method == "hybrid":
        return [
            hybrid.Hybrid(days, windows, seed=seed, leaves=leaves)
            for windows, leaves in ((2, 15), (2, 31), (3, 31))
        ]
    if method in ("gru", "cnn"):
        from generation.learning.networks import CNN, GRU

        network = GRU if method == "gru" else CNN
        return [network(epochs=epochs, days=days, seed=seed) for epochs in (5, 15)]
    raise BadSetting(f"there is no method {method!r}; use {', '.join(METHODS)}")
