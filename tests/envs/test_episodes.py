"""Reset options, order of calls, pickles, and one trajectory however an environment is run."""

import pickle
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AsyncVectorEnv, AutoresetMode

import envs
from mdp.errors import BadInput, BadSetting
from mdp.observation import USER
from tests.envs.test_push import allowed_action
from tests.envs.test_vector import actions_of, pushable

IDS = tuple(envs.ENTRY_POINTS)


def lived(env, info, days: int) -> list:
    """Rewards, users and sums of observations of some days."""
    out = []
    for day in range(days):
        observation, reward, terminated, truncated, info = env.step(
            allowed_action(env, info, turn=day)
        )
        out += [reward, info["user_id"], float(observation["user"].sum())]
        if terminated or truncated:
            _, info = env.reset()
    return out


def test_a_start_day_moves_the_weekday_and_lets_counts_decay(make):
    env = make()
    first, _ = env.reset(seed=3)
    later, _ = env.reset(seed=3, options={"start_day": 2})
    week, _ = env.reset(seed=3, options={"start_day": 7})
    sine = USER.index("weekday_sin")
    assert first["user"][sine] != later["user"][sine]
    assert first["user"][sine] == pytest.approx(week["user"][sine], abs=1e-6)
    known = USER.index("days_known")
    assert week["user"][known] > first["user"][known]
    assert np.all(env.unwrapped.kernel.day == 0)


def test_a_member_can_be_named(make, sim):
    if make.id != "pushwise/Push-v0":
        with pytest.raises(BadInput, match="'member' is 1; it counts members"):
            make().reset(options={"member": 1})
        return
    env = make(simulator=replace(sim, members=(sim.response,) * 3))
    seen = set()
    for seed in range(12):
        env.reset(seed=seed)
        seen.add(int(env.unwrapped.kernel._member[0]))
        env.reset(seed=seed, options={"member": 2})
        assert env.unwrapped.kernel._member[0] == 2
    assert seen == {0, 1, 2}


def test_a_share_of_episodes_begin_with_a_newcomer(arguments):
    place = arguments["pushwise/Push-v0"] | {"newcomers": 0.3}
    single = gymnasium.make("pushwise/Push-v0", **place)
    vector = gymnasium.make_vec("pushwise/Push-v0", num_envs=400, **place)
    observation, infos = vector.reset(seed=0)
    new = np.char.startswith(infos["user_id"].astype(str), "new-")
    assert new.mean() == pytest.approx(0.3, abs=0.08)
    views = observation["user"][:, USER.index("organic_views_30d")]
    assert (views[new] == 0).all()
    assert (views[~new] > 0).mean() > 0.5
    row = int(np.flatnonzero(new)[0])
    own, info = single.reset(seed=row)
    assert info["user_id"] == infos["user_id"][row]
    np.testing.assert_array_equal(own["user"], observation["user"][row])
    with pytest.raises(BadSetting, match=r"newcomers is -0\.1"):
        gymnasium.make("pushwise/Push-v0", **(place | {"newcomers": -0.1}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"user": "u1"}, "unknown reset option 'user'; known: user_id, start_day, member"),
        ({"start_day": -1}, "'start_day' is -1"),
        ({"start_day": 1.5}, "'start_day' is 1.5"),
        ({"member": 99}, "'member' is 99"),
        ({"user_id": "nobody"}, "no user 'nobody'"),
        ({"start_day": [1, 2, 3]}, r"shape \(3,\)"),
    ],
)
def test_wrong_options_are_refused(make, options, message):
    with pytest.raises(BadInput, match=message):
        make().reset(options=options)
    with pytest.raises(BadInput, match=message):
        make.vector(2).reset(options=options)


def test_options_leave_the_later_episodes_alone(make):
    plain, named = make(days=2), make(days=2)
    plain.reset(seed=5)
    named.reset(seed=5, options={"start_day": 3})
    assert plain.reset()[1]["user_id"] == named.reset()[1]["user_id"]


def test_vector_options_are_one_for_all_or_one_a_row(make):
    vector = make.vector(3)
    ids = pushable(vector.simulator)
    _, infos = vector.reset(seed=0, options={"user_id": ids[4]})
    assert list(infos["user_id"]) == [ids[4]] * 3
    _, infos = vector.reset(seed=0, options={"user_id": ids[1:4], "start_day": [0, 1, 2]})
    assert list(infos["user_id"]) == ids[1:4]
    _, own = make().reset(seed=1, options={"user_id": ids[2], "start_day": 1})
    np.testing.assert_array_equal(vector.action_masks()[1], own["action_mask"])


def test_a_step_before_reset_is_refused(make):
    with pytest.raises(ResetNeeded, match="call reset first"):
        make().unwrapped.step(0)
    with pytest.raises(ResetNeeded, match="call reset first"):
        make.vector(2).step(np.zeros(2, np.int64))


def test_reward_parts_add_up_to_the_reward(make):
    vector = make.vector(30, days=40)
    observation, _ = vector.reset(seed=0)
    seen = set()
    for day in range(35):
        observation, reward, terminated, truncated, infos = vector.step(
            actions_of(observation["action_mask"], day, 6)
        )
        ended = terminated | truncated
        last = infos["final_info"] if ended.any() else infos
        parts = {name: infos[name] for name in infos if name.startswith("reward_")}
        assert len(parts) == 5
        for name in parts:
            parts[name] = np.where(ended, last[name], parts[name])
            seen |= {name} if parts[name].any() else set()
        np.testing.assert_allclose(sum(parts.values()), reward, atol=1e-12)
    assert seen >= {"reward_click", "reward_dismissal", "reward_unsubscribe", "reward_send"}


def test_the_flat_mask_says_what_a_step_takes(make):
    env = make()
    env.reset(seed=2)
    masks = env.unwrapped.action_masks()
    assert masks.shape == (env.action_space.n,)
    rng = np.random.default_rng(0)
    copies = pickle.dumps(env.unwrapped)
    picked = [*rng.choice(np.flatnonzero(masks), 3), *rng.choice(np.flatnonzero(~masks), 3)]
    for action in picked:
        *_, info = pickle.loads(copies).step(int(action))
        assert info["illegal"] == (not masks[action])
    vector = make.vector(2)
    vector.reset(seed=2)
    np.testing.assert_array_equal(vector.action_masks()[0], masks)


def test_a_pickle_continues_the_same_trajectory(make):
    env = make(days=6)
    _, info = env.reset(seed=4)
    lived(env, info, 3)
    info = env.unwrapped._info(None)
    other = pickle.loads(pickle.dumps(env))
    assert lived(other, info, 9) == lived(env, info, 9)


@pytest.mark.parametrize(
    "make",
    [pytest.param(name, marks=[pytest.mark.slow] * (place > 0)) for place, name in enumerate(IDS)],
    indirect=True,
)
def test_processes_of_their_own_give_the_same_trajectory(make):
    arguments = make.arguments | {"days": 4}
    made = [lambda: gymnasium.make(f"pushwise:{make.id}", **arguments) for _ in range(2)]
    processes = AsyncVectorEnv(
        made, context="spawn", autoreset_mode=AutoresetMode.SAME_STEP, shared_memory=False
    )
    try:
        native = make.vector(2, days=4)
        ours, infos = native.reset(seed=8)
        theirs, _ = processes.reset(seed=8)
        for day in range(7):
            for name in ours:
                np.testing.assert_array_equal(ours[name], theirs[name])
            actions = actions_of(ours["action_mask"], day, 6)
            ours, reward, *ends, infos = native.step(actions)
            theirs, their_reward, *their_ends, their_infos = processes.step(actions)
            np.testing.assert_array_equal(reward, their_reward)
            np.testing.assert_array_equal(ends, their_ends)
            assert list(infos["user_id"]) == list(their_infos["user_id"])
    finally:
        processes.close()


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_autoreset_modes_are_those_of_gymnasiums_sync_vector(make, mode):
    size = 5
    native = make.vector(size, days=3, autoreset_mode=mode)
    theirs = gymnasium.vector.SyncVectorEnv([lambda: make(days=3)] * size, autoreset_mode=mode)
    assert native.metadata["autoreset_mode"] is mode
    ours, infos = native.reset(seed=6)
    other, their_infos = theirs.reset(seed=6)
    for day in range(10):
        actions = actions_of(ours["action_mask"], day, 6)
        ours, reward, *ends, infos = native.step(actions)
        other, their_reward, *their_ends, their_infos = theirs.step(actions)
        np.testing.assert_array_equal(reward, their_reward)
        np.testing.assert_array_equal(ends, their_ends)
        ended = ends[0] | ends[1]
        if mode is AutoresetMode.DISABLED and ended.any():
            with pytest.raises(ResetNeeded, match="are over"):
                native.step(actions)
            ours, infos = native.reset(options={"reset_mask": ended})
            other, their_infos = theirs.reset(options={"reset_mask": ended.copy()})
            np.testing.assert_array_equal(infos["_user_id"], ended)
        for name in ours:
            np.testing.assert_array_equal(ours[name], other[name])
        for name, values in their_infos.items():
            if name == "action_mask":
                there = their_infos["_action_mask"]
                np.testing.assert_array_equal(native.action_masks()[there], values[there])
            elif not name.startswith(("_", "final")):
                there = their_infos[f"_{name}"]
                np.testing.assert_array_equal(infos[name][there], values[there])


def test_what_was_observed_stays_when_some_rows_begin_anew(make):
    vector = make.vector(3, autoreset_mode="DISABLED")
    vector.reset(seed=0)
    seen = vector.step(np.zeros(3, np.int64))[0]
    before = {name: array.copy() for name, array in seen.items()}
    vector.reset(options={"reset_mask": np.array([True, False, False])})
    for name, array in before.items():
        np.testing.assert_array_equal(seen[name], array)


def test_wrong_modes_and_masks_are_refused(make):
    with pytest.raises(BadSetting, match="autoreset_mode is 'never'"):
        make.vector(2, autoreset_mode="never")
    vector = make.vector(2, autoreset_mode="DISABLED")
    with pytest.raises(ResetNeeded, match="first reset begins every row"):
        vector.reset(options={"reset_mask": np.array([True, False])})
    vector.reset(seed=0)
    for mask in (np.array([True]), np.array([1, 0]), np.zeros(2, bool)):
        with pytest.raises(BadInput, match="reset_mask is"):
            vector.reset(options={"reset_mask": mask})


def test_days_are_rendered_as_text_and_picture(make):
    text = make(render_mode="ansi")
    _, info = text.reset(seed=0)
    total = sum(reward for reward in lived(text, info, 6)[::3] if isinstance(reward, float))
    lines = text.render().splitlines()
    assert len(lines) == 7
    assert lines[0].startswith("day  0 ")
    assert lines[-1] == f"reward {total:+.2f}"
    picture = make(render_mode="rgb_array")
    _, info = picture.reset(seed=0)
    before = picture.render()
    lived(picture, info, 6)
    after = picture.render()
    assert before.shape == after.shape
    assert after.dtype == np.uint8
    assert (before != after).any()
    with pytest.raises(BadSetting, match="render_mode is 'human'"):
        type(make().unwrapped)(**make.arguments, render_mode="human")
