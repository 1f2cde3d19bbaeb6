"""Fatigue acts above its threshold alone, as the user bears it."""

from dataclasses import replace

import numpy as np
import pytest

from mdp.errors import BadArtifact
from mdp.recency import Recency
from mdp.response import HEADS, ResponseModel
from mdp.state import TRAITS
from tests.mdp.conftest import AT

THRESHOLD = 1.5


def base(model: ResponseModel, catalog, fatigue: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """What all sends to users (N,) so tired share (N, H)."""
    N = len(fatigue)
    traits = np.zeros(N, TRAITS)
    traits["tolerance"] = tolerance
    none, where = np.zeros((N, 1), np.int32), (np.full(N, AT), np.zeros(N, np.int16))
    zero = np.zeros((N, 1), np.float32)
    recency = Recency(fatigue.astype(np.float32), zero, zero, zero, zero)
    bound = model.bind(catalog)
    return bound.terms(np.empty(0), traits, none, none, *where, recency).base


def test_fatigue_acts_by_how_far_it_is_above_the_threshold(model, catalog):
    bent = replace(model, threshold=np.array([THRESHOLD], np.float32))
    fatigue, tolerance = np.array([0, 1, 2, 3, 4, 4]), np.array([0, 0, 0, 0.2, 0.2, 2])
    above = np.maximum(fatigue * np.exp(-tolerance) - THRESHOLD, 0)
    np.testing.assert_array_equal(above > 0, [False, False, True, True, True, False])
    rested = base(bent, catalog, np.zeros(6), tolerance)
    found = base(bent, catalog, fatigue, tolerance) - rested
    np.testing.assert_allclose(found, above[:, None] * model.fatigue_weight, atol=1e-5)
    assert bent.knee == THRESHOLD


def test_a_model_saved_without_a_threshold_has_none(model):
    saved = {name: array for name, array in model.arrays().items() if name != "threshold"}
    assert ResponseModel(**saved).knee == 0
    assert replace(model, threshold=np.ones(1, np.float32)).hash != model.hash


def test_a_threshold_of_another_shape_is_refused(model):
    with pytest.raises(BadArtifact, match="threshold is"):
        replace(model, threshold=np.zeros(len(HEADS), np.float32))
