"""Observations that look like the simulator's, without one."""

from collections.abc import Callable

import numpy as np
import pytest

from mdp.observation import NAMES, Observation


def _observation(N: int = 6, K: int = 3, V: int = 2, seed: int = 0) -> Observation:
    """N decisions with random features and masks; the first allows nothing, the last all."""
    rng = np.random.default_rng(seed)
    item, variant, hour = (rng.random((N, size)) < 0.7 for size in (K, V, 24))
    item[0], item[-1], variant[-1], hour[-1] = False, True, True, True
    sizes = {"user": (N,), "candidates": (N, K), "variants": (N, V), "hours": (N, 24)}
    arrays = {
        name: rng.normal(size=(*size, len(NAMES[name]))).astype(np.float32)
        for name, size in sizes.items()
    }
    parts = rng.random((N, K, V, 6)).astype(np.float32) * 0.3
    parts[..., 0] -= 0.1
    arrays["pairs"] = parts * (item[:, :, None] & variant[:, None, :])[..., None]
    arrays["hours"][..., 3] = rng.normal(0.1, 0.1, (N, 24)) * hour
    arrays["action_mask"] = np.concatenate([item, variant, hour], 1).astype(np.int8)
    return arrays


@pytest.fixture(scope="session")
def make_observation() -> Callable[..., Observation]:
    """Makes an observation of N decisions with K candidates and V variants."""
    return _observation
