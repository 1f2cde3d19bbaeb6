"""The factorised distribution is a softmax over all flat actions, and agrees with NumPy's."""

import numpy as np
import pytest
import torch

from agents.distribution import FactorisedDistribution
from policies.composition import Factors, distribution, flat_probabilities

N, K, V = 40, 3, 2


@pytest.fixture
def scores():
    rng = np.random.default_rng(1)
    mask = (rng.random((N, K + V + 24)) < 0.6).astype(np.int8)
    mask[0], mask[1, :K], mask[2] = 0, 0, 1
    return rng.normal(0, 2, N), rng.normal(0, 2, (N, K, V)), rng.normal(0, 2, (N, 24)), mask


def _torch(scores):
    hold, pair, hour, mask = (torch.as_tensor(part) for part in scores)
    return FactorisedDistribution().proba_distribution(hold, pair, hour, mask)


def _flat_log_softmax(scores):
    hold, pair, hour, mask = scores
    item, variant, when = mask[:, :K] > 0, mask[:, K:-24] > 0, mask[:, -24:] > 0
    send = pair[:, :, :, None] + hour[:, None, None, :]
    legal = item[:, :, None, None] & variant[:, None, :, None] & when[:, None, None, :]
    flat = np.concatenate([hold[:, None], np.where(legal, send, -np.inf).reshape(N, -1)], 1)
    return flat - np.logaddexp.reduce(flat, axis=1, keepdims=True)


def test_log_prob_equals_flat_softmax(scores):
    expected = _flat_log_softmax(scores)
    made = _torch(scores)
    for action in range(expected.shape[1]):
        got = made.log_prob(torch.full((N,), action)).numpy()
        legal = np.isfinite(expected[:, action])
        np.testing.assert_allclose(got[legal], expected[legal, action], atol=1e-9)
        assert (np.exp(got[~legal]) == 0).all()


def test_entropy_equals_flat_softmax(scores):
    log_p = _flat_log_softmax(scores)
    with np.errstate(invalid="ignore"):
        expected = -np.where(np.isfinite(log_p), np.exp(log_p) * log_p, 0.0).sum(1)
    np.testing.assert_allclose(_torch(scores).entropy().numpy(), expected, atol=1e-9)


def test_agrees_with_the_composition_that_decides(scores):
    hold, pair, hour, mask = scores
    deciding = flat_probabilities(distribution(Factors(hold, pair, hour), mask, 1.0, 0.0))
    np.testing.assert_allclose(np.exp(_flat_log_softmax(scores)), deciding, atol=1e-12)


def test_samples_follow_the_probabilities_and_the_mask(scores):
    torch.manual_seed(0)
    made, p = _torch(scores), np.exp(_flat_log_softmax(scores))
    draws = np.stack([made.sample().numpy() for _ in range(4000)])
    assert (p[np.arange(N), draws] > 0).all()
    seen = (draws == 0).mean(0)
    np.testing.assert_allclose(seen, p[:, 0], atol=0.04)
    top = p.argmax(1)
    np.testing.assert_allclose((draws == top).mean(0), p[np.arange(N), top], atol=0.04)


def test_mode_is_allowed_and_holds_where_nothing_can_be_sent(scores):
    mode = _torch(scores).mode().numpy()
    assert (np.exp(_flat_log_softmax(scores))[np.arange(N), mode] > 0).all()
    assert (mode[:2] == 0).all()


def test_gradients_are_finite_where_nothing_can_be_sent(scores):
    hold, pair, hour, mask = (torch.as_tensor(part) for part in scores)
    for part in (hold, pair, hour):
        part.requires_grad_()
    made = FactorisedDistribution().proba_distribution(hold, pair, hour, mask)
    (made.log_prob(made.sample()).sum() + made.entropy().sum()).backward()
    for part in (hold, pair, hour):
        assert part.grad is not None
        assert torch.isfinite(part.grad).all()
        assert (part.grad != 0).any()
