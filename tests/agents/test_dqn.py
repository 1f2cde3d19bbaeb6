"""DQN keeps to the mask in its choice, its exploration and its targets."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents.dqn import DQNSettings, best_action, build_dqn, q_values
from agents.network import FactorNetwork, fit_scaling, tensors
from agents.replay import Replay
from agents.training import ExpectedRewards
from envs.vector import PushVectorEnv
from policies.composition import Factors, best, distribution


@pytest.fixture
def network(make_observation):
    torch.manual_seed(0)
    seen = make_observation(100, 4, 3)
    made = FactorNetwork(fit_scaling([seen]), threshold=0.1, hidden=16)
    torch.nn.init.normal_(made.weights.weight, 0, 0.1)
    return made


def _parts(network, seen):
    with torch.no_grad():
        advantages, value = network(tensors(seen))
    parts = (advantages.hold, advantages.pair, advantages.hour)
    return Factors(*(part.double().numpy() for part in parts)), value.double().numpy()


def test_best_action_is_the_deciding_policy_s(network, make_observation):
    seen = make_observation(100, 4, 3, seed=2)
    with torch.no_grad():
        chosen = best_action(network(tensors(seen))[0]).numpy()
    factors, _ = _parts(network, seen)
    assert (chosen == best(factors, seen["action_mask"])).all()
    assert 0 < (chosen == 0).mean() < 1


def test_target_takes_the_maximum_over_what_is_allowed(network, shop, make_observation):
    seen = make_observation(100, 4, 3, seed=3)
    model = _dqn(shop, network)
    target = model.targets(tensors(seen), torch.ones(100), torch.full((100,), 0.5)).numpy()
    factors, value = _parts(network, seen)
    item, variant, hour = (
        seen["action_mask"][:, part] > 0 for part in (slice(0, 4), slice(4, 7), slice(7, None))
    )
    send = factors.pair[:, :, :, None] + factors.hour[:, None, None, :]
    legal = item[:, :, None, None] & variant[:, None, :, None] & hour[:, None, None, :]
    top = np.where(legal, send, -np.inf).reshape(100, -1).max(1)
    scale = float(network.unit / network.value_unit)
    expected = 1.0 + 0.5 * (value + scale * np.maximum(top, factors.hold))
    np.testing.assert_allclose(target, expected, rtol=1e-4, atol=1e-5)
    free = {**seen, "action_mask": np.ones_like(seen["action_mask"])}
    unmasked = model.targets(tensors(free), torch.ones(100), torch.full((100,), 0.5)).numpy()
    assert (unmasked > target + 1e-4).any()


def test_double_target_values_the_online_choice_by_the_target_network(
    network, shop, make_observation
):
    seen = make_observation(100, 4, 3, seed=4)
    model = _dqn(shop, network)
    before = model.targets(tensors(seen), torch.zeros(100), torch.ones(100))
    with torch.no_grad():
        chosen = best_action(network(tensors(seen))[0])
        model.q_net_target.threshold += 1.0  # a hold is worth more there; the choice stays
        after = model.targets(tensors(seen), torch.zeros(100), torch.ones(100))
        expected = q_values(model.q_net_target, tensors(seen), chosen)
    assert torch.allclose(after, expected)
    assert ((after - before).abs() < 1e-6)[chosen > 0].all()
    assert ((after - before) > 0)[chosen == 0].all()


def test_exploration_redraws_one_factor_within_the_mask(network, shop, make_observation):
    seen = make_observation(300, 4, 3, seed=5)
    model = _dqn(shop, network)
    model.exploration_rate = 0.5
    drawn = np.stack([model.predict(seen, deterministic=False)[0] for _ in range(50)])
    factors, _ = _parts(network, seen)
    mixture = distribution(factors, seen["action_mask"], None, 0.5)
    for actions in drawn:
        assert (mixture.probability(actions) > 0).all()
    other = drawn != best(factors, seen["action_mask"])
    assert (other.mean(0) > 0).mean() > 0.9  # each row explores,
    assert 0.1 < other.mean(1).min() < other.mean(1).max() < 0.6  # and not all at once


def _dqn(shop, network, **settings):
    env = ExpectedRewards(PushVectorEnv(shop, 2, 5), 1.0)
    return build_dqn(
        env, network, DQNSettings(users=2, replay=64, learning_starts=64, **settings), 0
    )


def _replay(days, terminated=(), truncated=(), n_days=3, gamma=0.5, size=100):
    space = spaces.Dict({"x": spaces.Box(0, 100, (1,), np.float32)})
    replay = Replay(size, space, spaces.Discrete(2), gamma=gamma, n_days=n_days)
    for day in range(days):
        end, cut = np.array([day in terminated]), np.array([day in truncated])
        seen = {"x": np.array([[day]], np.float32)}
        replay.add(seen, np.array([1]), np.array([day]), np.array([0.25]), end, cut)
    return replay


def test_replay_sums_discounted_days_and_bootstraps_after_them():
    batch = _replay(10).sample(200, np.random.default_rng(0))
    start = batch.observation["x"][:, 0]
    full = start <= 6
    assert full.any()
    expected = start + 0.5 * (start + 1) + 0.25 * (start + 2)
    torch.testing.assert_close(batch.reward[full], expected[full])
    torch.testing.assert_close(batch.discount[full], torch.full((int(full.sum()),), 0.125))
    torch.testing.assert_close(batch.following["x"][full, 0], start[full] + 3)
    assert start.max() == 8  # the newest day has no successor yet


def test_replay_stops_at_ends():
    ended = _replay(10, terminated=[4]).sample(300, np.random.default_rng(0))
    start = ended.observation["x"][:, 0]
    assert (ended.discount[(start >= 2) & (start <= 4)] == 0).all()
    torch.testing.assert_close(ended.reward[start == 4].unique(), torch.tensor([4.0]))
    cut = _replay(10, truncated=[4]).sample(300, np.random.default_rng(0))
    start = cut.observation["x"][:, 0]
    assert not (start == 4).any()
    torch.testing.assert_close(cut.following["x"][start == 3].unique(), torch.tensor([4.0]))
    torch.testing.assert_close(cut.discount[start == 3].unique(), torch.tensor([0.5]))
    torch.testing.assert_close(cut.discount[start == 2].unique(), torch.tensor([0.25]))


def test_nothing_is_learned_before_a_day_has_a_successor(network, shop):
    model = _dqn(shop, network)
    for truncated, ready in (((0, 1), False), ((0,), True)):
        assert _replay(3, truncated=truncated).ready is ready
    assert not _replay(1).ready
    model.train(1, 4)  # would draw for ever
    assert model._n_updates == 0


def test_replay_forgets_the_oldest_days():
    batch = _replay(30, size=8).sample(100, np.random.default_rng(0))
    assert batch.observation["x"].min() >= 22


def test_training_learns_what_is_paid(network, shop):
    """Sends cost and holds pay: from sending where it may, to holding."""
    model = _dqn(shop, network, learning_rate=1e-2, critic_rate=1e-2)
    seen = model.env.reset()
    draws = np.random.default_rng(0)
    with torch.no_grad():
        model.q_net.threshold -= 1.0
        before = best_action(model.q_net(tensors(seen))[0])
    ends, more = np.ones(2, bool), np.zeros(2, bool)
    for _ in range(30):
        sent = np.where(draws.random(2) < 0.5, before.numpy(), 0)
        model.replay_buffer.add(seen, sent, np.where(sent > 0, -1.0, 1.0), more, ends, more)
    model.train(60, 32)
    with torch.no_grad():
        after = best_action(model.q_net(tensors(seen))[0])
    assert (before > 0).any()
    assert (after == 0).all()
