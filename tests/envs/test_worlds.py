"""Environments over known-truth worlds say what the oracle would do, to those who ask."""

import gymnasium
import numpy as np
import pytest

import envs

WORLDS = [name for name in envs.ENTRY_POINTS if name != "pushwise/Push-v0"]


@pytest.mark.parametrize("name", WORLDS)
def test_the_oracle_is_told_and_is_worth_following(name):
    env = gymnasium.make_vec(name, num_envs=64, users=40, days=14, oracle=True)
    earned = {"oracle": 0.0, "random": 0.0}
    for who in earned:
        rng = np.random.default_rng(1)
        _, info = env.reset(seed=3)
        for _ in range(13):
            assert env.action_space.contains(info["oracle"])
            drawn = rng.integers(1, 1441, 64)
            _, _, _, _, info = env.step(info["oracle"] if who == "oracle" else drawn)
            earned[who] += info["expected_reward"].sum()
    assert earned["oracle"] > max(earned["random"], 0.0)


def test_single_and_vector_agree_on_the_oracle():
    single = gymnasium.make("pushwise/HazardShop-v0", users=40, oracle=True)
    vector = gymnasium.make_vec("pushwise/HazardShop-v0", num_envs=2, users=40, oracle=True)
    _, one = single.reset(seed=5)
    _, many = vector.reset(seed=5)
    for _ in range(5):
        assert one["oracle"] == many["oracle"][0]
        *_, one = single.step(one["oracle"])
        *_, many = vector.step(many["oracle"])


def test_nobody_pays_for_the_oracle_who_does_not_ask():
    _, info = gymnasium.make("pushwise/LogitShop-v0", users=40).reset(seed=0)
    assert "oracle" not in info
