"""The baselines do what their names say."""

import numpy as np
import pytest

from mdp.actions import HOLD, decode
from mdp.observation import HOUR, NAMES, USER
from policies.baselines import Greedy, Hold, Popular, Random, StaticRule, Table

N, K, V = 4, 3, 2


@pytest.fixture
def observation() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    sizes = {"user": (N,), "candidates": (N, K), "variants": (N, V), "hours": (N, 24)}
    arrays = {
        name: rng.normal(size=(*shape, len(NAMES[name]))).astype(np.float32)
        for name, shape in sizes.items()
    }
    arrays["pairs"] = rng.normal(size=(N, K, V, 6)).astype(np.float32)
    mask = np.ones((N, K + V + 24), np.int8)
    mask[:, K + V : K + V + 8] = 0
    mask[1] = 0
    return {**arrays, "action_mask": mask}


def test_hold_holds(observation):
    assert (Hold().act(observation, np.random.default_rng(0))[0] == HOLD).all()


@pytest.mark.parametrize("hold", [0.1, 0.5, 0.9])
def test_random_holds_as_often_as_it_says(observation, hold):
    probabilities = Random(hold=hold).probabilities(observation)
    np.testing.assert_allclose(probabilities[[0, 2, 3], HOLD], hold)
    assert probabilities[1, HOLD] == 1
    sends = probabilities[0, 1:]
    np.testing.assert_allclose(sends[sends > 0], (1 - hold) / (K * V * 16))


def test_greedy_takes_the_most_valuable_send_above_its_threshold(observation):
    value = observation["hours"][..., HOUR.index("value")]
    sent = Greedy(threshold=-9.0).act(observation, np.random.default_rng(0))[0]
    k, v, h = decode(sent, K, V)
    for n in (0, 2, 3):
        pairs = observation["pairs"][n, ..., 0]
        assert (k[n], v[n]) == np.unravel_index(pairs.argmax(), pairs.shape)
        assert h[n] == 8 + value[n, 8:].argmax()
    top = observation["pairs"][..., 0].max((1, 2))
    middle = float(np.sort(top[[0, 2, 3]])[1])
    held = Greedy(threshold=middle).act(observation, np.random.default_rng(0))[0] == HOLD
    np.testing.assert_array_equal(held, (top <= middle) | (np.arange(N) == 1))


def test_a_static_rule_waits_its_days(observation):
    since, until = USER.index("days_since_send"), HOUR.index("send_in_days")
    observation["user"][:, since] = np.log1p([0.2, 5.0, 1.1, 9.0])
    observation["hours"][:, 19, until] = 19 / 24
    rule = StaticRule(variant=1, hour=19, every_days=2.0)
    k, v, h = decode(rule.act(observation, np.random.default_rng(0))[0], K, V)
    np.testing.assert_array_equal(k, [-1, -1, -1, 0])
    assert (v[3], h[3]) == (1, 19)
    observation["user"][2, since] = np.log1p(2.0 - 19 / 24)
    assert rule.act(observation, np.random.default_rng(0))[0][2] != HOLD


def test_popular_sends_the_first_allowed_item_at_the_users_busiest_allowed_hour(observation):
    observation["action_mask"][2, 0] = 0
    activity = observation["hours"][..., HOUR.index("activity")]
    k, v, h = decode(Popular().act(observation, np.random.default_rng(0))[0], K, V)
    np.testing.assert_array_equal(k, [0, -1, 1, 0])
    np.testing.assert_array_equal(v, [0, -1, 0, 0])
    for n in (0, 2, 3):
        assert h[n] == 8 + activity[n, 8:].argmax()


def test_a_table_renormalises_its_weights_over_what_is_allowed(observation):
    hours = np.arange(24.0)
    table = Table(send=0.3, items=np.array([3.0, 1.0]), variants=np.array([1.0, 4.0]), hours=hours)
    probabilities = table.probabilities(observation)
    np.testing.assert_allclose(probabilities.sum(1), 1.0)
    np.testing.assert_allclose(probabilities[0, HOLD], 0.7)
    flat = probabilities[0, 1:].reshape(K, V, 24)
    np.testing.assert_allclose(flat.sum((1, 2)), 0.3 * np.array([3, 1, 1]) / 5)
    np.testing.assert_allclose(flat.sum((0, 2)), 0.3 * np.array([1, 4]) / 5)
    np.testing.assert_allclose(
        flat.sum((0, 1)), 0.3 * np.where(hours >= 8, hours, 0) / hours[8:].sum()
    )
    assert probabilities[1, HOLD] == 1


@pytest.mark.parametrize("send", [0.0, 1.0])
def test_a_table_can_always_or_never_send(observation, send):
    held = Table(send=send).probabilities(observation)[0, HOLD]
    assert held == pytest.approx(1 - send, abs=1e-12)
