"""The vector environment is many single ones, and fits Gymnasium's and SB3's interfaces."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from envs.sb3 import SB3VecEnv


def actions_of(mask: np.ndarray, day: int, V: int) -> np.ndarray:
    """For each row of masks (N, K + V + 24) a send that changes by day, now and then a hold."""
    out = np.zeros(len(mask), np.int64)
    for n, row in enumerate(mask):
        items = np.flatnonzero(row[: -24 - V])
        hours = np.flatnonzero(row[-24:])
        if len(items) and len(hours) and (n + day) % 4:
            pair = items[day % len(items)] * V + (n + day) % V
            out[n] = 1 + pair * 24 + hours[(3 * day + n) % len(hours)]
    return out


@pytest.mark.parametrize("days", [5, 28])
def test_each_row_is_a_single_environment(make, days):
    size, V = 6, 6
    vector = make.vector(size, days=days)
    singles = [make(days=days) for _ in range(size)]
    observation, infos = vector.reset(seed=20)
    starts = [env.reset(seed=20 + n) for n, env in enumerate(singles)]
    for n, (own, info) in enumerate(starts):
        for name, array in own.items():
            np.testing.assert_array_equal(observation[name][n], array)
        assert infos["user_id"][n] == info["user_id"]
    ended = 0
    for day in range(40):
        actions = actions_of(infos["action_mask"], day, V)
        observation, reward, terminated, truncated, infos = vector.step(actions)
        for n, env in enumerate(singles):
            own, own_reward, own_end, own_cut, info = env.step(actions[n])
            assert (own_reward, own_end, own_cut) == (reward[n], terminated[n], truncated[n])
            if own_end or own_cut:
                ended += 1
                for name, array in own.items():
                    np.testing.assert_array_equal(infos["final_obs"][n][name], array)
                for name in ("expected_reward", "user_id"):
                    assert infos["final_info"][name][n] == info[name]
                own, info = env.reset()
            for name, array in own.items():
                np.testing.assert_array_equal(observation[name][n], array)
            for name in ("expected_reward", "illegal", "user_id"):
                assert infos[name][n] == info[name]
            np.testing.assert_array_equal(infos["action_mask"][n], info["action_mask"])
    assert ended >= size


def test_spaces_and_autoreset_are_declared(make):
    vector = make.vector(3)
    assert vector.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    observation, _ = vector.reset(seed=1)
    assert vector.observation_space.contains(observation)
    assert vector.single_action_space == make().action_space
    assert vector.observation_space["user"].shape[0] == 3


def test_users_differ_between_rows_and_episodes(make):
    vector = make.vector(30, days=2)
    _, infos = vector.reset(seed=0)
    first = list(infos["user_id"])
    assert len(set(first)) > 10
    for _ in range(2):
        *_, infos = vector.step(np.zeros(30, np.int64))
    assert list(infos["user_id"]) != first
    assert list(infos["final_info"]["user_id"]) == first


def test_a_list_of_seeds_names_each_row(make):
    vector = make.vector(2)
    _, infos = vector.reset(seed=[7, 9])
    own = [make().reset(seed=seed)[1]["user_id"] for seed in (7, 9)]
    assert list(infos["user_id"]) == own


def test_gymnasiums_statistics_count_episodes(make):
    vector = RecordEpisodeStatistics(make.vector(4, days=3))
    vector.reset(seed=0)
    for _ in range(3):
        *_, infos = vector.step(np.zeros(4, np.int64))
    assert infos["episode"]["l"].tolist() == [3, 3, 3, 3]


def test_stable_baselines3_steps_it(make):
    vector = make.vector(5, days=4)
    env = SB3VecEnv(vector)
    env.seed(20)
    start = env.reset()
    assert isinstance(start, dict)
    plain, infos = make.vector(5, days=4).reset(seed=20)
    for name, array in plain.items():
        np.testing.assert_array_equal(start[name], array)
    for day in range(4):
        actions = actions_of(infos["action_mask"], day, 6)
        observation, reward, done, rows = env.step(actions)
        assert isinstance(observation, dict)
        infos = {"action_mask": observation["action_mask"]}
        assert reward.dtype == np.float32
        assert all(np.isfinite(row["expected_reward"]) for row in rows)
        for n in np.flatnonzero(done):
            last = rows[n]["terminal_observation"]
            assert vector.single_observation_space.contains(last)
            assert day == 3 or not rows[n]["TimeLimit.truncated"]
    assert done.all()
