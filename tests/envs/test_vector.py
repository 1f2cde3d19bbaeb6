"""The vector environment is many single ones, and fits Gymnasium's and SB3's interfaces."""

import pickle
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from envs.sb3 import SB3VecEnv
from envs.wrappers import CampaignBudget
from mdp.errors import BadInput, BadSetting
from mdp.reward import PARTS
from simulator.description import Simulator


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


def pushable(simulator: Simulator) -> list[str]:
    """Ids of the users who may be pushed."""
    return [simulator.users.ids[row] for row in np.flatnonzero(simulator.pushable)]


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
        actions = actions_of(observation["action_mask"], day, V)
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
            np.testing.assert_array_equal(vector.action_masks()[n], info["action_mask"])
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
    assert [info["user_id"] for info in env.reset_infos] == list(infos["user_id"])
    for name, array in plain.items():
        np.testing.assert_array_equal(start[name], array)
    observation: Any = start
    for day in range(4):
        actions = actions_of(observation["action_mask"], day, 6)
        observation, reward, done, rows = env.step(actions)
        assert isinstance(observation, dict)
        parts = [[row[f"reward_{part}"] for part in PARTS] for row in rows]
        np.testing.assert_allclose(np.sum(parts, 1), reward, rtol=1e-6)
        assert reward.dtype == np.float32
        assert all(np.isfinite(row["expected_reward"]) for row in rows)
        for n in np.flatnonzero(done):
            last = rows[n]["terminal_observation"]
            assert vector.single_observation_space.contains(last)
            assert day == 3 or not rows[n]["TimeLimit.truncated"]
    assert done.all()


def _same(one: Any, other: Any) -> None:
    """Raises where two steps' answers differ, however deep."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), list(other.values())
    elif isinstance(one, np.ndarray) and one.dtype == object:
        one, other = one.tolist(), other.tolist()
    if isinstance(one, list | tuple):
        for mine, theirs in zip(one, other, strict=True):
            _same(mine, theirs)
    else:
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("of", [lambda env: env, SB3VecEnv, lambda env: CampaignBudget(env, 6)])
def test_a_pickle_goes_on_with_the_same_trajectories(make, of):
    vector = make.vector(4, days=3)
    env = of(vector)
    if isinstance(env, SB3VecEnv):
        env.seed(5)
        env.reset()
    else:
        env.reset(seed=5)
    draws = np.random.default_rng(0)
    taken = [draws.integers(vector.single_action_space.n, size=4) for _ in range(7)]
    for actions in taken[:2]:
        env.step(actions)
    other = pickle.loads(pickle.dumps(env))
    for actions in taken[2:]:  # the episodes end and others begin
        _same(env.step(actions), other.step(actions))


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (
            np.zeros((3, 1), int),
            r"are int64 of shape \(3, 1\); give integers of shape \(3,",
        ),
        (np.zeros(1, int), r"of shape \(1,\)"),
        (5, r"action 5 is int64 of shape \(\)"),
        (np.full(3, 1.7), "actions are float64"),
        (["0", "1", "2"], "actions are <U1"),
        ([0, 0, None], "actions are object"),
        ([[0], [0, 1], [0]], "ragged list"),
        ([0, 0, 1441], "action 1441 is not in 0 … 1440"),
    ],
)
def test_what_are_no_actions_is_refused_in_one_sentence(make, actions, message):
    vector = make.vector(3)
    vector.reset(seed=0)
    for env in (vector, SB3VecEnv(vector), CampaignBudget(vector, 2)):
        with pytest.raises(BadInput, match=message):
            env.step(actions)


def test_stable_baselines3_names_users_by_options(make):
    vector = make.vector(3)
    env, ids = SB3VecEnv(vector), pushable(vector.simulator)
    env.set_options([{"user_id": name} for name in ids[4:7]])
    env.reset()
    assert [info["user_id"] for info in env.reset_infos] == ids[4:7]
    env.reset()  # options hold for one reset
    assert [info["user_id"] for info in env.reset_infos] != ids[4:7]
    env.set_options({"user_id": "nobody"})
    with pytest.raises(BadInput, match="no user 'nobody'"):
        env.reset()
    env.set_options([{"user_id": ids[4]}, {}, {}])
    with pytest.raises(BadInput, match="same reset options"):
        env.reset()


def test_what_stable_baselines3_cannot_step_is_refused(make):
    for mode in ("NEXT_STEP", "DISABLED"):
        with pytest.raises(BadSetting, match=f"is {mode}; SB3VecEnv needs SAME_STEP"):
            SB3VecEnv(make.vector(2, autoreset_mode=mode))
    with pytest.raises(BadSetting, match="not a SyncVectorEnv: make one with"):
        SB3VecEnv(gymnasium.vector.SyncVectorEnv([make]))  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [[1, 2], [1, 2, -3], [1.5, 2, 3], -1, "abc", True, 2**63])
def test_wrong_seeds_are_refused(make, seed):
    with pytest.raises(BadInput, match="give one whole number from 0 on, or 3, one a row"):
        make.vector(3).reset(seed=seed)


def test_a_numpy_seed_is_a_seed(make):
    _, one = make.vector(3).reset(seed=4)
    _, other = make.vector(3).reset(seed=np.int64(4))
    assert list(one["user_id"]) == list(other["user_id"])


def test_a_vector_environment_needs_rows(make):
    for size in (0, -1, 1.5):
        with pytest.raises(BadSetting, match=f"num_envs is {size}"):
            make.vector(size)
