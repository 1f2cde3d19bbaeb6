"""What is predicted of a user of whom much is unknown: the mean over all that the user may be."""

from dataclasses import replace

import numpy as np
import pytest

from mdp.clock import zone_code
from mdp.prediction import outcomes_of
from mdp.response import HEADS, ResponseModel
from mdp.state import TRAITS, features, new_histories
from tests.mdp.conftest import AT

DRAWS = 20_000
VARIANCES = {"openness": 0.35, "tolerance": 0.05, "taste": 0.05}


@pytest.fixture
def unsure(model) -> ResponseModel:
    """A model that predicts means, of items whose vectors are of length 1, copy and hours alike."""
    length = np.linalg.norm(model.item_taste, axis=1, keepdims=True)
    weights = {
        "openness_weight": (1, 0.3, 0, -0.6, -0.3),
        "tolerance_weight": (0, 0, 0, -0.9, -0.9),
        "fatigue_weight": (-0.2, -0.05, 0.1, 0.25, 0.4),
        "taste_weight": (0.2, 0.4, 0.4, -0.1, -0.1),
        "uncertainty_weight": np.ones(len(HEADS)),
    }
    own = {name: np.array(weight, np.float32) for name, weight in weights.items()}
    for name in ("hour", "style", "variant_effect", "variant_weight", "item_weight"):
        own[name] = np.zeros_like(getattr(model, name))
    return replace(model, item_taste=(model.item_taste / length).astype(np.float32), **own)


@pytest.fixture
def user() -> np.ndarray:
    traits = np.zeros(1, TRAITS)
    traits["openness"], traits["tolerance"], traits["taste"] = 0.4, -0.3, 0.2
    for name, variance in VARIANCES.items():
        traits[f"{name}_var"] = variance
    return traits


def answered(model: ResponseModel, catalog, traits: np.ndarray, sends: int = 2) -> np.ndarray:
    """Probabilities (N, 5) of users (N,) who were sent so much lately."""
    N, H = len(traits), np.zeros(len(traits), np.int64)
    bound, histories = model.bind(catalog), new_histories(N)
    at, zone = np.full(N, AT), np.full(N, zone_code("UTC"), np.int16)
    items, variants = np.full((N, 1), 2, np.int32), np.full((N, 1), 1, np.int32)
    known = bound.terms(features(histories, at), traits, items, variants, at, zone)
    tired = replace(known.recency, fatigue=np.full(N, sends, known.recency.fatigue.dtype))
    terms = bound.terms(histories, traits, items, variants, at, zone, tired)
    return outcomes_of(terms, H, H, H + 12)


def drawn_from(user: np.ndarray) -> np.ndarray:
    """Users (DRAWS,) of whom nothing is unknown."""
    rng, out = np.random.default_rng(0), np.repeat(user, DRAWS)
    for name in VARIANCES:
        noise = rng.normal(size=out[name].shape)
        spread = np.sqrt(out[f"{name}_var"]).reshape(-1, *[1] * (noise.ndim - 1))
        out[name] += (spread * noise).astype(np.float32)
        out[f"{name}_var"] = 0.0
    return out


@pytest.mark.parametrize("sends", [0, 2, 4])
@pytest.mark.parametrize("knee", [0.0, 2.6])
def test_the_mean_over_draws_is_predicted(unsure, catalog, user, sends, knee):
    unsure = replace(unsure, threshold=np.array([knee], np.float32))
    believed = replace(unsure, uncertainty_weight=np.zeros(len(HEADS), np.float32))
    drawn = answered(unsure, catalog, drawn_from(user), sends).mean(0)
    mean, likeliest = (answered(one, catalog, user, sends)[0] for one in (unsure, believed))
    np.testing.assert_allclose(mean, drawn, rtol=0.04)
    assert (drawn > likeliest * np.array([1.05, 0, 0, 1, 1.03])).all()


def test_nothing_unknown_changes_nothing(unsure, catalog, user):
    certain = drawn_from(user)[:100]
    assert unsure.uncertainty_weight.all()
    believed = replace(unsure, uncertainty_weight=np.zeros(len(HEADS), np.float32))
    one, two = (answered(model, catalog, certain) for model in (unsure, believed))
    assert one.tobytes() == two.tobytes()


def test_a_model_saved_without_it_predicts_of_users_as_believed(unsure, catalog, user):
    saved = {name: array for name, array in unsure.arrays().items() if name != "uncertainty_weight"}
    loaded, certain = ResponseModel(**saved), user.copy()
    for name in VARIANCES:
        certain[f"{name}_var"] = 0.0
    one, two = (answered(loaded, catalog, traits) for traits in (user, certain))
    assert one.tobytes() == two.tobytes() != answered(unsure, catalog, user).tobytes()


def test_who_is_less_known_is_lifted_more_where_outcomes_are_rare(unsure, catalog, user):
    stranger = user.copy()
    stranger["openness_var"] *= 2
    seldom = replace(unsure, base=np.full(len(HEADS), -4, np.float32))
    often = replace(unsure, base=np.full(len(HEADS), 4, np.float32))
    for model, sign in ((seldom, 1), (often, -1)):
        known, unknown = (answered(model, catalog, one)[0] for one in (user, stranger))
        lifted = sign * (unknown - known)
        assert (lifted[unsure.openness_weight != 0] > 0).all()
        assert lifted[2] == 0  # purchases, which openness has no part in
