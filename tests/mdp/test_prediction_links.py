"""Links: the same terms are other probabilities on the logit and on the log-log scale."""

from dataclasses import replace

import numpy as np

from mdp.prediction import PARTS, outcomes_of, predict
from mdp.response import HEADS, Terms
from mdp.reward import Reward


def terms(cloglog: np.ndarray) -> Terms:
    """One decision with one item and one variant."""
    zeros = np.zeros((1, 1, 5), np.float32)
    base = np.array([[-1.0, -0.5, -2.0, -1.5, -4.0]], np.float32)
    hour = np.linspace(0.0, 1.0, 24, dtype=np.float32)[None, :, None].repeat(5, 2)
    return replace(Terms(base, zeros, zeros, hour, None), cloglog=cloglog)  # type: ignore[arg-type]


def test_each_head_takes_its_own_link():
    links = np.array([False, True, False, True, True])
    none = np.zeros(1, np.int64)
    got = outcomes_of(terms(links), none, none, none)[0]
    eta = np.array([-1.0, -0.5, -2.0, -1.5, -4.0])
    np.testing.assert_allclose(
        got, np.where(links, 1 - np.exp(-np.exp(eta)), 1 / (1 + np.exp(-eta))), rtol=1e-6
    )


def test_prediction_and_draws_agree_on_the_link():
    links = np.arange(len(HEADS)) >= 3
    given = terms(links)
    ok = np.zeros((1, 1), np.int8)
    prediction = predict(given, ok, ok, np.zeros((1, 24), np.int8), np.ones((1, 1)), Reward())
    hour, none = prediction.best_hour, np.zeros(1, np.int64)
    head = outcomes_of(given, none, none, hour)[0]
    part = dict(zip(PARTS, prediction.pair[0, 0, 0], strict=True))
    np.testing.assert_allclose(part["unsubscribe"], head[4], rtol=1e-5)
    np.testing.assert_allclose(part["dismiss"], (1 - head[0]) * head[3], rtol=1e-5)
    np.testing.assert_allclose(part["click"], head[0] * head[1], rtol=1e-5)
