"""The reward model: every send's value, means under a policy, and cross-fitting."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation.reward_model import FOLDS, cross_fitted, send_values
from mdp.actions import decode
from mdp.observation import View
from mdp.prediction import PARTS
from mdp.reward import Reward
from policies.baselines import Greedy, Hold, Random
from policies.composition import flat_probabilities, split_mask
from simulator.kernel import Kernel
from simulator.worlds.logit import LogitShop

REWARD = Reward()


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    """12 users before their first decision, seen through the truth."""
    shop = LogitShop().simulator(12, 3)
    return Kernel(shop.believing(shop), np.arange(12), 3, 2)


@pytest.fixture(scope="module")
def view(kernel: Kernel) -> View:
    return kernel.view()


def values_of(kernel: Kernel, view: View) -> np.ndarray:
    items = kernel.requests().items
    table = kernel.simulator.catalog.items
    worth = np.where(items >= 0, (table.margin * table.price)[items], 0.0)
    allowed = split_mask(view.observation["action_mask"], items.shape[1])
    assert view.terms is not None
    return send_values(view.terms, allowed, worth, REWARD)


def test_values_are_the_observations_at_the_best_hour_and_0_where_masked(kernel, view):
    values = values_of(kernel, view)
    assert (values != 0).any()
    best = view.prediction.best_hour
    rows = np.flatnonzero(best >= 0)
    shown = view.observation["pairs"][..., PARTS.index("value")]
    np.testing.assert_allclose(values[rows, :, :, best[rows]], shown[rows], rtol=1e-4, atol=1e-6)
    assert not values[:, :, :, 0][view.mask.hour[:, 0] != 0].any()


@pytest.mark.parametrize(
    "policy", [Hold(floor=0.3), Random(), Greedy(floor=0.1), Greedy(temperature=0.1, floor=0.05)]
)
def test_a_policys_mean_is_the_sum_over_all_its_actions(kernel, view, policy):
    values = values_of(kernel, view)
    K, V = values.shape[1:3]
    chosen = policy.distribution(view.observation)
    flat = flat_probabilities(chosen)
    k, v, h = decode(np.arange(1, flat.shape[1]), K, V)
    by_hand = (flat[:, 1:] * values[:, k, v, h]).sum(1)
    np.testing.assert_allclose(chosen.expectation(values), by_hand, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(chosen.expectation(np.ones_like(values)), 1 - flat[:, 0])


def test_no_send_allowed_is_worth_nothing(view):
    closed = {**view.observation, "action_mask": np.zeros_like(view.observation["action_mask"])}
    chosen = Random(floor=0.1).distribution(closed)
    N, K, V = view.observation["pairs"].shape[:3]
    assert not chosen.expectation(np.ones((N, K, V, 24))).any()


def test_cross_fitting_recovers_a_line_and_never_sees_a_users_own_rewards():
    rng = np.random.default_rng(0)
    logged, target, user = rng.random((500, 2)), rng.random((500, 2)), np.arange(500) // 5
    reward = 1.0 + logged @ [2.0, -3.0]
    q, v = cross_fitted(reward, logged, target, user)
    np.testing.assert_allclose(q, reward)
    np.testing.assert_allclose(v, 1.0 + target @ [2.0, -3.0])
    changed = np.where(user == 7, 1e3, reward)
    q_changed, _ = cross_fitted(changed, logged, target, user)
    same_fold = user % FOLDS == 7 % FOLDS
    np.testing.assert_array_equal(q_changed[same_fold], q[same_fold])
    assert (q_changed[~same_fold] != q[~same_fold]).all()


def test_reward_weights_matter(kernel, view):
    items = kernel.requests().items
    allowed = split_mask(view.observation["action_mask"], items.shape[1])
    nothing = Reward(click=0, dismissal=0, unsubscribe=0, send=-1, purchase=0)
    values = send_values(view.terms, allowed, np.ones(items.shape), replace(nothing, send=-2.0))
    item, variant, hour = allowed
    legal = item[:, :, None, None] & variant[:, None, :, None] & hour[:, None, None, :]
    np.testing.assert_array_equal(values, np.where(legal, -2.0, 0.0))
