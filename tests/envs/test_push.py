"""What every single environment keeps to."""

from dataclasses import replace

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import FlattenObservation, RecordEpisodeStatistics, TimeLimit

import envs
from mdp.actions import encode
from mdp.errors import BadInput, BadSetting, NotEnoughData
from mdp.guardrails import Guardrails
from mdp.reward import Reward

HEADINGS = (
    "Description",
    "Action Space",
    "Observation Space",
    "Starting State",
    "Rewards",
    "Episode End",
    "Information",
    "Arguments",
    "Version History",
)


def allowed_action(env, info, k: int = 0, v: int = 1, turn: int = 0) -> int:
    """A send that is allowed, if any."""
    K, V = env.unwrapped.simulator.lists
    mask = info["action_mask"]
    hours = np.flatnonzero(mask[K + V :])
    if not mask[k] or not len(hours):
        return 0
    return int(encode(np.array([k]), np.array([v]), hours[[turn % len(hours)]], V)[0])


def test_gymnasiums_checker_finds_nothing(make):
    check_env(make().unwrapped)


def test_the_docstring_has_gymnasiums_headings(make):
    doc = make().unwrapped.__doc__
    found = [line.strip("# ").strip() for line in doc.splitlines() if line.strip().startswith("##")]
    assert tuple(found) == HEADINGS


def test_every_registered_environment_has_arguments_in_these_tests(arguments):
    assert set(arguments) == set(envs.ENTRY_POINTS)


def test_an_episode_lasts_its_days_and_earns_by_sending(make):
    env = make(days=9)
    _, info = env.reset(seed=0)
    total, lengths = 0.0, []
    for _ in range(30):
        length, ended = 0, False
        while not ended:
            action = allowed_action(env, info, turn=length)
            observation, reward, terminated, truncated, info = env.step(action)
            assert env.observation_space.contains(observation)
            assert not info["illegal"]
            total, length, ended = total + abs(reward), length + 1, terminated or truncated
        assert length == 9 or terminated
        lengths.append(length)
        _, info = env.reset()
    assert max(lengths) == 9
    assert total > 0


def test_one_seed_gives_one_rollout(make):
    def rollout(seed: int) -> list[float]:
        env = make(days=6)
        _, info = env.reset(seed=seed)
        out = [info["user_id"]]
        for day in range(6):
            observation, reward, *_, info = env.step(allowed_action(env, info, turn=day))
            out += [reward, float(observation["user"].sum()), info["expected_reward"]]
        return out

    assert rollout(3) == rollout(3) != rollout(4)


def test_a_masked_action_is_a_hold_and_is_reported(make):
    env = make()
    _, info = env.reset(seed=1)
    *_, info = env.step(1 + 2)  # 2:00 lies in the quiet hours
    assert info["illegal"]
    assert info["expected_reward"] == 0.0
    held = make()
    _, other = held.reset(seed=1)
    observation, *_, other = held.step(0)
    assert not other["illegal"]
    np.testing.assert_array_equal(env.unwrapped.kernel.histories, held.unwrapped.kernel.histories)
    assert "action_mask" in observation


def test_an_unsubscribe_terminates_unless_every_purchase_counts(make):
    ends = {}
    for credit in ("attributed", "all"):
        env = make(reward=Reward(credit=credit), days=40)
        terminated_after = []
        for seed in range(25):
            _, info = env.reset(seed=seed)
            for day in range(40):
                *_, terminated, truncated, info = env.step(allowed_action(env, info, turn=day))
                gone = env.unwrapped.kernel.unsubscribed[0]
                assert terminated == (gone and credit == "attributed")
                if terminated or truncated:
                    terminated_after.append(terminated)
                    break
        ends[credit] = sum(terminated_after)
    assert ends["attributed"] > 0
    assert ends["all"] == 0


def test_settings_take_the_place_of_the_simulators(make):
    env = make(guardrails=Guardrails(per_calendar_day=0), reward=Reward(send=-1.0))
    _, info = env.reset(seed=0)
    assert not info["action_mask"][-24:].any()
    assert env.unwrapped.simulator.reward.send == -1.0


def test_a_model_lets_observations_predict(make, sim):
    if make.id == "pushwise/Push-v0":
        env = make(simulator=sim.believing(None))
        assert not env.reset(seed=0)[0]["pairs"].any()
        env = make(simulator=sim.believing(None), model=sim)
    else:
        assert not make().reset(seed=0)[0]["pairs"].any()
        env = make(model=sim)
    assert env.reset(seed=0)[0]["pairs"].any()


def test_a_user_can_be_named(make):
    env = make()
    name = env.unwrapped.simulator.users.ids[7]
    assert env.reset(seed=0, options={"user_id": name})[1]["user_id"] == name
    with pytest.raises(BadInput, match="no user 'nobody'"):
        env.reset(options={"user_id": "nobody"})


def test_gymnasiums_wrappers_fit(make):
    env = RecordEpisodeStatistics(TimeLimit(FlattenObservation(make()), 3))
    env.reset(seed=0)
    for _ in range(3):
        *_, truncated, info = env.step(0)
    assert truncated
    assert info["episode"]["l"] == 3


def test_an_episode_needs_days_and_users(make, sim):
    with pytest.raises(BadSetting, match="days is 0"):
        make(days=0)
    if make.id == "pushwise/Push-v0":
        gone = sim.histories.copy()
        gone["unsubscribed"] = 1
        with pytest.raises(NotEnoughData, match="none of the simulator's users"):
            make(simulator=replace(sim, histories=gone))
