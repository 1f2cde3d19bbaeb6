"""Fatigue acts above its threshold alone, as the user bears it; new items are known by words."""

from dataclasses import replace

import numpy as np
import pytest

from mdp.clock import DAY, HOUR, zone_codes
from mdp.errors import BadArtifact
from mdp.hashing import hash_ids
from mdp.recency import Recency
from mdp.response import HEADS, ResponseModel
from mdp.state import TASTE, TRAITS
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


@pytest.fixture
def on_day(model) -> ResponseModel:
    """That knows the day of `AT`, and another one."""
    days = np.array([AT // DAY, AT // DAY + 9], np.int32)
    effect = np.random.default_rng(3).normal(size=(2, len(HEADS))).astype(np.float32)
    return replace(model, special_day=days, special_effect=effect)


def test_a_special_day_acts_by_the_local_date(on_day, model, catalog):
    traits = np.zeros(5, TRAITS)
    traits["openness_var"] = 0.3  # what is unsure lifts by the day's logit
    traits["openness"] = 0.2
    none = np.zeros((5, 1), np.int32)
    at = np.array([AT - DAY, AT, AT + 9 * DAY, AT + 8 * HOUR, AT + 17 * HOUR])
    zone = zone_codes(("UTC", "UTC", "UTC", "UTC", "Asia/Kolkata"))
    zero = np.zeros((5, 1), np.float32)
    recency = Recency(np.zeros(5, np.float32), zero, zero, zero, zero)
    exact = [replace(one, uncertainty_weight=np.zeros(5, np.float32)) for one in (on_day, model)]
    for known, plain in ((on_day, model), exact):
        with_days, without = (
            one.bind(catalog).terms(np.empty(0), traits, none, none, at, zone, recency)
            for one in (known, plain)
        )
        apart = with_days.base - without.base
        assert (apart[[0, 4]] == 0).all()
        np.testing.assert_array_equal(with_days.hour, without.hour)
    expected = on_day.special_effect[[0, 1, 0]]
    np.testing.assert_allclose(apart[1:4], expected, atol=1e-5)


def test_a_model_without_special_days_is_saved_as_before(on_day, model):
    assert not any(name.startswith("special") for name in model.arrays())
    again = ResponseModel(**on_day.arrays())
    assert again.hash == on_day.hash != model.hash
    with pytest.raises(BadArtifact, match="ascending"):
        replace(on_day, special_day=on_day.special_day[[1, 1]])
    with pytest.raises(BadArtifact, match="special_effect is"):
        replace(on_day, special_effect=on_day.special_effect[:1])


@pytest.fixture
def reading(model) -> ResponseModel:
    """That knows two words."""
    tastes = np.random.default_rng(2).normal(size=(2, TASTE)).astype(np.float32)
    return replace(model, word_hash=hash_ids(["red", "larch"]), word_taste=tastes)


def test_an_item_never_fitted_is_known_by_category_and_words(model, reading, catalog):
    titles = ("red", *catalog.items.titles[1:5], "A red box")
    items = replace(catalog.items, titles=titles, brands=("",) * 5 + ("Larch",))
    found = reading.bind(replace(catalog, items=items)).item_taste
    expected = model.category_taste[2] + reading.word_taste.sum(0) / np.sqrt(2)
    np.testing.assert_allclose(found[5], expected, rtol=1e-5)
    np.testing.assert_array_equal(found[:5], model.item_taste)


def test_a_model_saved_without_words_has_none(model, reading, catalog):
    saved = {name: a for name, a in model.arrays().items() if not name.startswith("word_")}
    items = replace(catalog.items, titles=("red",) * 6)
    found = ResponseModel(**saved).bind(replace(catalog, items=items)).item_taste
    np.testing.assert_array_equal(found[5], model.category_taste[2])
    assert reading.hash != model.hash


def test_words_without_as_many_vectors_are_refused(reading):
    with pytest.raises(BadArtifact, match="word_taste is"):
        replace(reading, word_taste=reading.word_taste[:1])
