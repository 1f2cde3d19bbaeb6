"""Posteriors: who a simulated user is, drawn anew for every episode."""

from __future__ import annotations

import numpy as np

from simulator.randomness import normals


def drawn_traits(traits: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Traits (N,) `TRAITS` drawn from the posteriors `traits` (N,), by keys (N,) uint64."""
    out = traits.copy()
    noise = normals(key, traits["taste"].shape[1] + 2)
    for column, name in enumerate(("openness", "tolerance")):
        out[name] += np.sqrt(traits[f"{name}_var"]) * noise[:, column]
        out[f"{name}_var"] = 0.0
    out["taste"] += np.sqrt(traits["taste_var"])[:, None] * noise[:, 2:]
    out["taste_var"] = 0.0
    return out
