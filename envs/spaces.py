"""Action and observation spaces of a simulator."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from mdp.actions import HOURS, action_count
from mdp.observation import LIMIT, NAMES
from simulator.description import Simulator


def action_space(simulator: Simulator) -> spaces.Discrete:
    """Hold (0), or one of K candidates × V variants × 24 hours."""
    K, V = simulator.lists
    return spaces.Discrete(action_count(K, V))


def observation_space(simulator: Simulator) -> spaces.Dict:
    """The arrays of an observation of one decision."""
    K, V = simulator.lists
    rows = {"user": (), "candidates": (K,), "variants": (V,), "hours": (HOURS,), "pairs": (K, V)}
    boxes: dict[str, spaces.Space] = {
        name: spaces.Box(-LIMIT, LIMIT, (*shape, len(NAMES[name])), np.float32)
        for name, shape in rows.items()
    }
    boxes["action_mask"] = spaces.Box(0, 1, (K + V + HOURS,), np.int8)
    return spaces.Dict(boxes)


def flat_masks(allowed: np.ndarray, lists: tuple[int, int]) -> np.ndarray:
    """Which flat actions are allowed (N, 1 + K·V·24) bool, of factored masks (N, K + V + 24)."""
    K, V = lists
    out = np.ones((len(allowed), action_count(K, V)), bool)
    pairs = allowed[:, :K, None] & allowed[:, None, K : K + V]
    sends = out[:, 1:].reshape(-1, K, V, HOURS)  # a view
    np.logical_and(pairs[..., None], allowed[:, None, None, K + V :], out=sends)
    return out
