"""Marginalised weights: of an action's features in place of the action itself.

A weight over 34 items may be wild where one over their 6 categories is tame; where the action
matters to the reward through its features only, it serves as well (Saito & Joachims 2022,
"Off-policy evaluation for large action spaces via embeddings").
"""

from __future__ import annotations

import numpy as np

from mdp.errors import BadInput


def marginal_weights(
    target: np.ndarray, logging: np.ndarray, given_action: np.ndarray, features: np.ndarray
) -> np.ndarray:
    """Weights (n,) float64 of features, Σ_a π(a) p(e|a) over Σ_a p(a) p(e|a).

    target, logging: (n, K) float64, both policies' probabilities; given_action: (K, C, D) float64,
    probability of value c of feature d given the action; features: (n, D) int64, the logged values.
    p(e|a) is the product over features, under both policies. Raises `BadInput` for shapes that
    don't fit, or features that the logging policy never gives.
    """
    n, D = features.shape
    if target.shape != logging.shape or len(target) != n:
        raise BadInput(
            f"target has shape {target.shape}, logging {logging.shape} and features "
            f"{features.shape}: give (n, K), (n, K) and (n, D)"
        )
    if given_action.shape[0] != target.shape[1] or given_action.shape[2] != D:
        raise BadInput(
            f"given_action has shape {given_action.shape}: give (K, C, D), here "
            f"({target.shape[1]}, C, {D})"
        )
    joint = np.ones((n, target.shape[1]))
    for feature in range(D):
        joint *= given_action[:, features[:, feature], feature].T
    below = (logging * joint).sum(1)
    if not (below > 0).all():
        row = int(np.flatnonzero(below <= 0)[0])
        raise BadInput(f"the logging policy never gives the features of row {row}")
    return (target * joint).sum(1) / below


def cell_weights(weights: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Marginalised weights (n,) from a log alone: the mean weight of the rows whose actions have
    the same features.

    weights: (n,) float64; cell: (n,) int64, a code of all features together. E[w | e] is the
    marginalised weight, averaged here over contexts.
    """
    return (np.bincount(cell, weights) / np.maximum(np.bincount(cell), 1))[cell]
