"""Bandits' propensities are exact, and their scores are what the linear model says."""

from typing import Any

import numpy as np
import pytest

from mdp.actions import HOLD, HOURS, action_count
from mdp.observation import NAMES
from policies.bandits import (
    FEATURES,
    OF_PAIR,
    LinearThompson,
    LinearUCB,
    hour_features,
    pair_features,
    sent_features,
)
from policies.composition import split_mask
from policies.recovering import RecoveringSoftmax
from policies.saved import PolicyBundle, load_policy, save_policy

N, K, V = 7, 3, 2
RNG = np.random.default_rng(0)
PLAIN: dict[str, Any] = {
    "center": RNG.normal(size=FEATURES) * 0.1,
    "scale": RNG.uniform(0.5, 2.0, FEATURES),
    "mean": RNG.normal(size=FEATURES) * 0.1,
}
ROOT = RNG.normal(size=(FEATURES, FEATURES)) * 0.05


def _observation(seed=0):
    rng = np.random.default_rng(seed)
    sizes = {"user": (N,), "candidates": (N, K), "variants": (N, V), "hours": (N, 24)}
    sizes["pairs"] = (N, K, V)
    seen = {
        name: rng.normal(size=(*size, len(NAMES[name]))).astype(np.float32)
        for name, size in sizes.items()
    }
    mask = (rng.random((N, K + V + HOURS)) < 0.6).astype(np.int8)
    mask[0], mask[1] = 0, 1
    return {**seen, "action_mask": mask}


def _policies():
    table = PLAIN["mean"] + RNG.normal(size=(64, FEATURES)) * 0.1
    return [
        LinearUCB(**PLAIN, covariance=ROOT @ ROOT.T, alpha=0.7, floor=0.1),
        LinearThompson(**PLAIN, table=table, floor=0.1),
        RecoveringSoftmax(
            arms=np.array([0.2, -0.1]), penalty=0.3, spread=0.2, hour=15, every_days=0.5, floor=0.1
        ),
    ]


@pytest.fixture(params=_policies(), ids=lambda policy: policy.name)
def policy(request):
    return request.param


def test_probabilities_sum_to_one_within_the_mask(policy):
    seen = _observation()
    flat = policy.probabilities(seen)
    item, variant, hour = split_mask(seen["action_mask"], K)
    legal = item[:, :, None, None] & variant[:, None, :, None] & hour[:, None, None, :]
    assert flat.shape == (N, action_count(K, V))
    np.testing.assert_allclose(flat.sum(1), 1.0, atol=1e-12)
    assert (flat[:, 1:][~legal.reshape(N, -1)] == 0).all()
    assert flat[0, HOLD] == 1.0


def test_propensities_are_how_often_an_action_is_drawn(policy):
    seen, rng = _observation(1), np.random.default_rng(1)
    flat = policy.probabilities(seen)
    count, draws = np.zeros_like(flat), 1500
    for _ in range(draws):
        actions, propensity = policy.act(seen, rng)
        np.testing.assert_allclose(propensity, flat[np.arange(N), actions], atol=1e-12)
        count[np.arange(N), actions] += 1
    error = np.abs(count / draws - flat) / np.sqrt((flat * (1 - flat) + 1e-4) / draws)
    assert error.max() < 6


def test_expectation_is_the_mean_over_all_sends(policy):
    seen = _observation(2)
    values = np.random.default_rng(2).normal(size=(N, K, V, HOURS))
    flat = policy.probabilities(seen)[:, 1:]
    expected = (flat * values.reshape(N, -1)).sum(1)
    np.testing.assert_allclose(policy.distribution(seen).expectation(values), expected, atol=1e-12)


def test_a_decision_is_seen_the_same_alone_and_in_a_batch(policy):
    seen = _observation(3)
    whole = policy.probabilities(seen)
    for n in range(N):
        alone = policy.probabilities({name: array[n : n + 1] for name, array in seen.items()})
        np.testing.assert_allclose(alone[0], whole[n], atol=1e-12)


def test_what_is_saved_decides_as_before(policy, tmp_path):
    seen = _observation(4)
    save_policy(tmp_path / "policy", PolicyBundle(policy, None, None))
    loaded = load_policy(tmp_path / "policy").policy
    np.testing.assert_array_equal(loaded.probabilities(seen), policy.probabilities(seen))


def test_no_candidates_is_a_hold(policy):
    seen = _observation()
    none = {**seen, "candidates": seen["candidates"][:, :0], "pairs": seen["pairs"][:, :0]}
    none["action_mask"] = seen["action_mask"][:, K:]
    actions, propensity = policy.act(none, np.random.default_rng(0))
    assert (actions == HOLD).all()
    assert (propensity == 1).all()


def test_a_send_s_features_are_those_that_its_score_weighs():
    seen = _observation(1)
    rows = np.flatnonzero(np.ones(N))
    actions = 1 + (np.arange(N) % (K * V)) * HOURS + np.arange(N)
    features = sent_features(seen, actions)
    pair = pair_features(seen).reshape(N, K * V, OF_PAIR)[rows, (actions - 1) // HOURS]
    hour = hour_features(seen)[rows, (actions - 1) % HOURS]
    np.testing.assert_array_equal(features, np.concatenate([pair, hour], 1))


def test_the_upper_bound_is_never_below_that_of_the_whole_send():
    ucb = _policies()[0]
    seen = _observation(1)
    pair, hour = ucb.standardised(seen)
    scores = ucb.scores(seen)
    both = np.concatenate(
        [
            np.broadcast_to(pair[:, :, None], (N, K * V, HOURS, OF_PAIR)),
            np.broadcast_to(hour[:, None], (N, K * V, HOURS, FEATURES - OF_PAIR)),
        ],
        -1,
    )
    variance = np.einsum("nphf,fg,nphg->nph", both, ucb.covariance, both)
    bound = both @ ucb.mean + ucb.alpha * np.sqrt(variance)
    found = scores.pair.reshape(N, K * V)[:, :, None] + scores.hour[:, None, :]
    assert (found >= bound - 1e-9).all()
    assert (found - bound).mean() < 0.5 * np.sqrt(variance).mean()


def test_thompson_s_votes_are_each_draw_s_best_send():
    thompson = _policies()[1]
    thompson = LinearThompson(**PLAIN, table=thompson.table)
    seen = _observation(5)
    flat = thompson.probabilities(seen)
    count = np.zeros_like(flat)
    for draw in thompson.table:
        one = LinearUCB(**{**PLAIN, "mean": draw}, covariance=ROOT, alpha=0.0)
        count[np.arange(N), one.act(seen, np.random.default_rng(0))[0]] += 1
    np.testing.assert_allclose(flat, count / len(thompson.table), atol=1e-12)
    assert (flat.max(1) < 1).any()


def test_copy_that_was_sent_lately_is_drawn_less_and_recovers():
    policy = RecoveringSoftmax(
        arms=np.array([0.1, 0.1]), penalty=1.0, spread=0.5, hour=12, every_days=0.0
    )
    seen = _observation()
    seen["action_mask"][:] = 1
    recent = NAMES["variants"].index("style_recent_sends")
    chance = []
    for worn in (0.0, 0.5, 1.0):
        seen["variants"][:, :, recent] = np.log1p([0.0, worn])
        chance.append(policy.probabilities(seen)[0, 1 + HOURS + 12])
    assert chance[0] == pytest.approx(0.5)
    assert chance[0] > chance[1] > chance[2] == pytest.approx(1 / (1 + np.exp(2)), rel=1e-6)
