"""What agents are paid: expectations, less prices, less what an ensemble disagrees about."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from agents.budgets import Prices
from agents.paying import ExpectedRewards
from envs.vector import PushVectorEnv
from mdp.errors import BadSetting

DAYS = 4


@pytest.fixture(scope="module")
def disagreeing(shop):
    """The shop with members of which one is surer of opens."""
    base = shop.response.base.copy()
    base[0] += 1.0
    return replace(shop, members=(shop.response, replace(shop.response, base=base)))


def paid(simulator, prices=None, pessimism=0.0, unit=1.0):
    """Rewards (DAYS, 8), infos and sends of eight users who are sent something where allowed."""
    env = ExpectedRewards(PushVectorEnv(simulator, 8, DAYS), unit, pessimism)
    env.prices = prices or Prices()
    env.seed(0)
    observation: Any = env.reset()
    rewards, infos, sent = [], [], []
    for _ in range(DAYS - 1):
        K, V = observation["pairs"].shape[1:3]
        mask = observation["action_mask"] > 0
        hour = mask[:, K + V :].argmax(1)
        can = mask[:, 0] & mask[:, K] & mask[:, K + V :].any(1)
        actions = np.where(can, 1 + hour, 0)
        observation, reward, _, info = env.step(actions)
        rewards.append(reward)
        infos.append(info)
        sent.append(actions > 0)
    assert np.sum(sent) > 5
    return np.array(rewards), infos, np.array(sent)


def test_pays_expectations_in_units(shop):
    rewards, infos, _ = paid(shop, unit=2.0)
    expected = [[info["expected_reward"] for info in day] for day in infos]
    np.testing.assert_allclose(rewards, np.array(expected) / 2.0, rtol=1e-6)


def test_prices_are_taken_off(shop):
    plain, infos, sent = paid(shop)
    dear, _, _ = paid(shop, Prices(send=0.1, unsubscribe=3.0))
    risk = np.array([[info["expected_unsubscribe"] for info in day] for day in infos])
    assert (risk[sent] > 0).all()
    assert (risk[~sent] == 0).all()
    np.testing.assert_allclose(dear, plain - 0.1 * sent - 3.0 * risk, atol=1e-6)


def test_pessimism_takes_off_what_the_members_disagree_about(disagreeing):
    cautious, _, sent = paid(disagreeing, pessimism=0.5)
    braver, _, _ = paid(disagreeing, pessimism=0.25)
    assert (cautious[sent] < braver[sent]).all()
    assert (cautious[~sent] == 0).all()


def test_members_that_agree_make_pessimism_idle(shop):
    agreeing = replace(shop, members=(shop.response, shop.response))
    np.testing.assert_allclose(paid(agreeing, pessimism=2.0)[0], paid(agreeing)[0], atol=1e-6)


def test_pessimism_needs_an_ensemble(shop):
    with pytest.raises(BadSetting, match="needs an ensemble"):
        paid(shop, pessimism=1.0)
    with pytest.raises(BadSetting, match="must be 0 or above"):
        paid(shop, pessimism=-1.0)
