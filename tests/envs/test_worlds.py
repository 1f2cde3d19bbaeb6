"""Environments over known-truth worlds say what the oracle would do, to those who ask."""

from typing import Any

import gymnasium
import numpy as np
import pytest

import envs
from envs.wrappers import CampaignBudget
from mdp.errors import BadSetting
from mdp.reward import Reward

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


def test_the_oracle_is_told_of_the_rows_that_an_info_is_of():
    made: dict[str, Any] = {"num_envs": 4, "users": 40, "oracle": True}
    env = gymnasium.make_vec("pushwise/HazardShop-v0", days=40, **made)
    env.reset(seed=0)
    ended = np.zeros(4, bool)
    while not ended.any():  # somebody unsubscribes
        _, _, terminated, truncated, infos = env.step(np.full(4, 1 + 12))
        ended = terminated | truncated
    assert not ended.all()
    np.testing.assert_array_equal(infos["final_info"]["_oracle"], ended)
    env = gymnasium.make_vec("pushwise/HazardShop-v0", autoreset_mode="DISABLED", **made)
    env.reset(seed=0)
    begun = np.array([True, False, False, False])
    _, infos = env.reset(options={"reset_mask": begun})
    np.testing.assert_array_equal(infos["_oracle"], begun)


def test_over_a_spent_budget_the_oracle_holds():
    made: Any = gymnasium.make_vec("pushwise/HazardShop-v0", num_envs=8, users=40, oracle=True)
    env = CampaignBudget(made, 1)
    _, infos = env.reset(seed=0)
    while env.left:
        *_, infos = env.step(infos["oracle"])
    assert made._oracle.actions(made.kernel).any()  # who knows of no budget
    assert not infos["oracle"].any()


def test_the_oracle_plans_for_no_other_reward_than_is_paid():
    for make in (gymnasium.make, gymnasium.make_vec):
        with pytest.raises(BadSetting, match="the oracle plans for attributed purchases alone"):
            make("pushwise/LogitShop-v0", users=40, oracle=True, reward=Reward(credit="all"))


def test_newcomers_come_to_known_truths():
    made: dict[str, Any] = {"users": 40, "newcomers": 1.0, "oracle": True}
    _, infos = gymnasium.make_vec("pushwise/LogitShop-v0", num_envs=3, **made).reset(seed=0)
    assert all(name.startswith("new-") for name in infos["user_id"])
    assert (infos["oracle"] >= 0).all()
    _, info = gymnasium.make("pushwise/LogitShop-v0", **made).reset(seed=0)
    assert info["user_id"] == infos["user_id"][0]


def test_a_shop_needs_users_and_a_seed():
    with pytest.raises(BadSetting, match="users is 0; a shop needs"):
        gymnasium.make("pushwise/LogitShop-v0", users=0)
    for seed in (-1, "a"):
        with pytest.raises(BadSetting, match=f"world_seed is {seed!r}; a shop needs"):
            gymnasium.make("pushwise/LogitShop-v0", users=40, world_seed=seed)
