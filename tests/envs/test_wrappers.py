"""Factored actions, flat observations, and a campaign's budget, over every environment."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import MultiDiscrete
from gymnasium.utils.env_checker import check_env

from envs.wrappers import ORDER, CampaignBudget, FactoredActions, FlatObservation
from mdp.errors import BadInput, BadSetting
from tests.envs.test_push import allowed_action
from tests.envs.test_vector import actions_of


def test_the_checker_finds_nothing_in_wrapped_environments(make):
    env = FactoredActions(FlatObservation(make().unwrapped))
    with pytest.warns(UserWarning, match="different from the unwrapped version") as warned:
        check_env(env, skip_render_check=True)
    assert len(warned) == 1


def test_factors_mean_what_the_flat_action_means(make):
    flat, factored = make(), FactoredActions(make())
    _, info = flat.reset(seed=1)
    factored.reset(seed=1)
    action = allowed_action(flat, info, k=0, v=2)
    hour = (action - 1) % 24
    ours = flat.step(action)
    theirs = factored.step(np.array([1, 0, 2, hour]))
    assert ours[1] == theirs[1]
    assert not theirs[4]["illegal"]
    assert ours[4]["expected_reward"] == theirs[4]["expected_reward"] != 0
    assert factored.step(np.array([0, 0, 2, hour]))[4]["expected_reward"] == 0


def test_factored_masks_are_the_factors(make):
    env = FactoredActions(make())
    _, info = env.reset(seed=1)
    masks, space = env.action_masks(), env.action_space
    assert isinstance(space, MultiDiscrete)
    assert len(masks) == space.nvec.sum()
    assert masks[:2].all()
    np.testing.assert_array_equal(masks, np.concatenate(info["action_mask"]))
    space.seed(0)
    for _ in range(5):
        *_, info = env.step(space.sample(info["action_mask"]))
        assert not info["illegal"]


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ([1, 1, 6, 9], r"factors \[1, 1, 6, 9\] are not all from 0 to below \[2, 10, 6, 24\]"),
        ([1, 0, 0, 24], "from 0 to below"),
        ([1, -1, 0, 9], "from 0 to below"),
        ([0, 99, 0, 9], "from 0 to below"),
        ([2, 0, 0, 9], "from 0 to below"),
        ([1, 0, 0], r"shape \(3,\); give integers of shape \(4,\)"),
        ([[1, 0, 0, 9]], r"shape \(1, 4\)"),
        ([1, 0, 0, 9.7], "float64"),
        (5, r"shape \(\)"),
    ],
)
def test_wrong_factors_are_refused(make, factors, message):
    env = FactoredActions(make())
    env.reset(seed=0)
    with pytest.raises(BadInput, match=message):
        env.step(factors)


def test_single_wrappers_over_a_vector_environment_say_what_to_do(make):
    for wrapper in (FactoredActions, FlatObservation):
        with pytest.raises(BadSetting, match=r'vectorization_mode="sync", wrappers=\[F'):
            wrapper(make.vector(2))
        with pytest.raises(BadSetting, match="goes over a PushEnv, not a CartPoleEnv"):
            wrapper(gymnasium.make("CartPole-v1"))
    with pytest.raises(BadSetting, match="goes over a PushVectorEnv, not a"):
        CampaignBudget(make(), 3)


def test_a_flat_observation_is_the_dict_in_order(make):
    env = FlatObservation(make())
    flat, _ = env.reset(seed=1)
    whole, _ = make().reset(seed=1)
    assert env.observation_space.contains(flat)
    assert tuple(env.parts) == ORDER
    for name, place in env.parts.items():
        np.testing.assert_array_equal(flat[place], np.ravel(whole[name]))


def test_a_campaign_spends_its_sends_and_then_holds(make):
    size, days = 8, 6
    env = CampaignBudget(make.vector(size, days=days), sends=11)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    assert observation["budget"][0, 0] == pytest.approx(11 / size)
    for episode in range(2):
        sent = 0
        for day in range(days):
            left = env.left
            wanted = actions_of(observation["action_mask"], day, 6)
            assert env.action_masks()[np.arange(size), wanted].all()
            observation, _, terminated, truncated, infos = env.step(wanted)
            last = infos["final_info"] if truncated.any() else infos
            made = int((last["reward_send"] < 0).sum())
            assert made == min(left, (wanted > 0).sum())
            assert last["over_budget"].sum() == (wanted > 0).sum() - made
            sent += made
            assert not terminated.any()
            assert truncated.all() == (day == days - 1)
            if sent == 11 and not truncated.any():
                assert not observation["action_mask"].any()
                assert env.action_masks().sum() == size
        assert sent == 11, episode
        assert infos["final_obs"][0]["budget"][0] == 0
        assert env.single_observation_space.contains(infos["final_obs"][0])
        assert observation["budget"][0, 0] == pytest.approx(11 / size)


def test_a_send_too_many_goes_to_those_that_go_out_first(make):
    env = CampaignBudget(make.vector(6), sends=2)
    observation, _ = env.reset(seed=0)
    wanted = actions_of(observation["action_mask"], 1, 6)
    instants = env._base.kernel.view().mask.send_at[np.arange(6), (wanted - 1) % 24]
    *_, infos = env.step(wanted)
    made = infos["reward_send"] < 0
    assert made.sum() == 2
    assert instants[made].max() <= instants[infos["over_budget"]].min()


def test_wrong_campaigns_are_refused(make):
    wrong: tuple[Any, ...] = (0, 1.5, True, "3")
    for sends in wrong:
        with pytest.raises(BadSetting, match=f"sends is {sends!r}; a campaign needs a whole"):
            CampaignBudget(make.vector(2), sends=sends)
    with pytest.raises(BadSetting, match="needs SAME_STEP"):
        CampaignBudget(make.vector(2, autoreset_mode="NEXT_STEP"), sends=3)
    with pytest.raises(BadSetting, match="leave it out"):
        CampaignBudget(make.vector(2), 3).reset(options={"reset_mask": np.array([True, False])})


def test_a_campaign_meets_each_user_once(make, sim):
    base = make.vector(1).simulator
    many = int(base.pushable.sum())
    env = CampaignBudget(make.vector(many, days=1), 3)
    _, infos = env.reset(seed=0)
    first = list(infos["user_id"])
    assert len(set(first)) == many
    *_, infos = env.step(np.zeros(many, np.int64))
    second = list(infos["user_id"])
    assert len(set(second)) == many
    assert first != second
    _, infos = CampaignBudget(make.vector(many + 5), 3).reset(seed=0)
    assert len(set(infos["user_id"])) == many
    _, infos = env.reset(seed=0)
    assert list(infos["user_id"]) == first
