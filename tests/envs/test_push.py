"""What every single environment keeps to."""

import re
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import FlattenObservation, RecordEpisodeStatistics, TimeLimit

import envs
from mdp.actions import encode
from mdp.errors import BadInput, BadSetting, NotEnoughData
from mdp.guardrails import Guardrails
from mdp.observation import NAMES
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
    hours = np.flatnonzero(info["action_mask"][1:].reshape(K, V, 24)[k, v])
    if not len(hours):
        return 0
    return int(encode(np.array([k]), np.array([v]), hours[[turn % len(hours)]], V)[0])


def test_gymnasiums_checker_finds_nothing(make):
    check_env(make().unwrapped)


def test_the_docstring_has_gymnasiums_headings(make):
    doc = make().unwrapped.__doc__
    found = [line.strip("# ").strip() for line in doc.splitlines() if line.strip().startswith("##")]
    assert tuple(found) == HEADINGS


def test_every_feature_stands_in_the_docs_with_the_shapes():
    text = (Path(__file__).parents[2] / "docs" / "researcher.md").read_text()
    for name, features in NAMES.items():
        shape = {"user": "", "hours": "24, ", "candidates": "K, ", "variants": "V, "}.get(name)
        ending = f"{len(features)})" if shape or name == "pairs" else f"{len(features)},)"
        assert f"| `{name}` | ({'K, V, ' if shape is None else shape}{ending} float32 |" in text
        for feature in features:
            plain = re.sub(r"_\d+d$", "", feature) if name == "user" else feature
            assert f"`{plain}`" in text, feature


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
    assert np.flatnonzero(info["action_mask"]).tolist() == [0]
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


def test_the_action_space_samples_under_the_mask(make):
    env = make()
    _, info = env.reset(seed=0)
    env.action_space.seed(0)
    assert info["action_mask"].sum() > 100
    for _ in range(5):
        *_, info = env.step(env.action_space.sample(info["action_mask"]))
        assert not info["illegal"]


def test_a_user_who_may_not_be_pushed_is_refused(make, sim):
    if make.id != "pushwise/Push-v0":
        return
    gone = sim.histories.copy()
    gone["unsubscribed"][7] = 1
    env = make(simulator=replace(sim, histories=gone))
    with pytest.raises(BadInput, match="may not be pushed"):
        env.reset(options={"user_id": sim.users.ids[7]})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"days": 1.5}, "days is 1.5; an episode needs a whole number of at least 1"),
        ({"days": True}, "days is True"),
        ({"reward": 5}, "reward is 5; give a Reward"),
        ({"guardrails": "g.toml"}, "guardrails is 'g.toml'; give a Guardrails"),
        ({"newcomers": "x"}, "newcomers is 'x'; it is a share"),
    ],
)
def test_wrong_arguments_are_refused(make, changes, message):
    with pytest.raises(BadSetting, match=message):
        make(**changes)
    with pytest.raises(BadSetting, match=message):
        make.vector(2, **changes)


@pytest.mark.parametrize("maker", [gymnasium.make, gymnasium.make_vec])
def test_an_environment_without_a_shop_is_refused_in_one_sentence(maker):
    with pytest.raises(BadSetting, match="an environment needs a shop: give simulator="):
        maker("pushwise/Push-v0")


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


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ([5], r"actions are int64 of shape \(1,\); give integers of shape \(\)"),
        (np.array([3]), r"actions are int64 of shape \(1,\)"),
        (1.7, "action 1.7 is float64"),
        ("3", "action '3' is <U1"),
        (True, "action True is bool"),
        (None, "action None is object"),
        (2**70, "is object of shape"),
        (1441, "action 1441 is not in 0 … 1440"),
        (-1, "action -1 is not in"),
    ],
)
def test_what_is_no_action_is_refused_in_one_sentence(make, action, message):
    env = make().unwrapped
    env.reset(seed=0)
    with pytest.raises(BadInput, match=message):
        env.step(action)
