"""Recommenders by the kind that a manifest names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from generation.candidates.base import Recommender
from generation.candidates.logged import Logged
from generation.candidates.noisy_taste import NoisyTaste
from generation.candidates.own_popular import OwnPopular
from generation.candidates.ranked import Ranked
from mdp.catalog import Catalog
from mdp.errors import BadArtifact

KINDS = {cls.kind: cls for cls in (OwnPopular, Logged, NoisyTaste, Ranked)}
"""Recommender classes by kind; each has `from_arrays(arrays, catalog)`."""


def recommender_of(kind: str, arrays: Mapping[str, np.ndarray], catalog: Catalog) -> Recommender:
    """The recommender that `arrays()` took apart; raises `BadArtifact` for an unknown kind."""
    if kind not in KINDS:
        raise BadArtifact(f"unknown recommender {kind!r}; known: {', '.join(KINDS)}")
    return KINDS[kind].from_arrays(arrays, catalog)
