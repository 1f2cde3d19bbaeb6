"""The kernel: one life whatever the batch, paid as attribution pays, logged as it was lived."""

import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ingestion.log import epoch_us
from ingestion.logged_decisions import attributed, decisions_of, requests_of
from ingestion.parse import log_of
from ingestion.replay import replay, to_events
from mdp.clock import DAY
from mdp.errors import BadSetting
from mdp.local_time import local_day, local_hour
from mdp.observation import observe
from mdp.response import ResponseModel
from policies.baselines import Hold, Random
from simulator.kernel import Kernel
from simulator.worlds.base import lived
from simulator.worlds.logit import LogitShop


def everyone(shop) -> np.ndarray:
    return np.arange(len(shop.users))


@pytest.fixture(scope="module")
def recorded(play):
    """A shop from its first day on, 20 days recorded: the kernel, its steps and its tables."""
    kernel = Kernel(LogitShop().simulator(80, 5), np.arange(80), 5, 20, record=True)
    steps = play(kernel)
    return kernel, steps, kernel.tables()


def test_a_user_lives_the_same_alone_and_in_any_batch(shop, play):
    batch = Kernel(shop, everyone(shop), 11, 6)
    rewards = np.stack([step.reward for step in play(batch)])
    for row in (0, 17, 59):
        alone = Kernel(shop, np.array([row]), 11, 6)
        np.testing.assert_array_equal(
            np.stack([step.reward for step in play(alone)])[:, 0], rewards[:, row]
        )
        assert alone.histories[0].tobytes() == batch.histories[row].tobytes()


def test_what_observations_predict_changes_nothing_that_happens(shop, play):
    # With the truth's half-lives a chosen send's recency is read from the view.
    lives = []
    other = replace(shop.response, half_lives=shop.response.half_lives * 2)
    for model in (shop, None, replace(shop, response=other, model=None)):
        kernel = Kernel(shop.believing(model), everyone(shop), 7, 8)
        steps = play(kernel)
        expected = np.stack([step.expected for step in steps])
        lives.append((kernel.histories.tobytes(), expected))
    for histories, expected in lives[1:]:
        assert histories == lives[0][0]
        np.testing.assert_array_equal(expected, lives[0][1])


def test_the_seed_decides(shop, play):
    runs = []
    for seed in (1, 1, 2):
        kernel = Kernel(shop, everyone(shop), seed, 4)
        play(kernel)
        runs.append(kernel.histories.tobytes())
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_what_happened_to_other_rows_of_the_same_user_is_another_life(shop, play):
    kernel = Kernel(shop, np.zeros(2, np.int64), np.array([1, 2]), 8)
    play(kernel)
    assert kernel.histories[0].tobytes() != kernel.histories[1].tobytes()


def test_decisions_are_at_local_midnight_across_daylight_saving():
    shop = LogitShop().simulator(60, 0)  # begins on 17 February; clocks change on 9 and 30 March
    kernel = Kernel(shop, everyone(shop), 0, 50)
    days = local_day(kernel.at, kernel.zone)
    for number in range(50):
        assert (local_hour(kernel.at, kernel.zone) == 0).all()
        np.testing.assert_array_equal(local_day(kernel.at, kernel.zone), days + number)
        kernel.step(np.zeros(60, np.int64))


def test_a_masked_action_becomes_a_hold(shop):
    kernel = Kernel(shop, everyone(shop), 0, 2)
    step = kernel.step(np.full(kernel.N, 1 + 3))  # 3:00 is in the quiet hours
    assert step.illegal.all()
    assert not step.sent.any()
    assert (step.reward == 0).all()
    assert (step.executed == 0).all()


def test_candidates_that_are_allowed_come_first(shop, play):
    kernel = Kernel(shop, everyone(shop), 0, 4)
    play(kernel)
    usable = kernel.view().mask.item == 0
    assert (usable[:, :-1] >= usable[:, 1:]).all()
    assert 0 < usable.sum() < usable.size  # some are left out: they were pushed lately
    np.testing.assert_array_equal(kernel.requests().items >= 0, usable)


def test_after_an_unsubscribe_nothing_is_sent_or_logged():
    shop = LogitShop().simulator(150, 1)
    assert isinstance(shop.response, ResponseModel)
    base = shop.response.base.copy()
    base[4] = 0.0  # half of all sends
    angry = replace(shop, response=replace(shop.response, base=base))
    kernel = Kernel(angry, everyone(shop), 0, 6, record=True)
    policy, rng, gone = Random(hold=0.01), np.random.default_rng(0), np.zeros(150, bool)
    while not kernel.done:
        view = kernel.view()
        assert not (view.mask.item[gone] == 0).any()
        step = kernel.step(policy.act(view.observation, rng)[0])
        assert not step.sent[gone].any()
        gone = kernel.unsubscribed.copy()
    tables = kernel.tables()
    left = tables["outcomes"].query("outcome == 'unsubscribed'")
    assert len(left) > 100
    merged = left.merge(tables["decisions"], on="decision_id")
    last = tables["decisions"].groupby("user_id")["decided_at"].max()
    assert (last[merged["user_id"]].to_numpy() < merged["at"].to_numpy()).all()
    assert (tables["events"]["user_id"].isin(merged["user_id"])).any()  # visits go on


def test_expected_rewards_are_the_means_of_rewards(shop, play):
    steps = [step for seed in range(12) for step in play(Kernel(shop, everyone(shop), seed, 10))]
    difference = np.concatenate([step.reward - step.expected for step in steps])
    assert len(difference) > 5000
    assert abs(difference.mean()) < 4 * difference.std() / len(difference) ** 0.5


def test_the_log_replayed_gives_the_same_bytes(recorded):
    kernel, _, tables = recorded
    assert {"opened", "clicked", "dismissed"} <= set(tables["outcomes"]["outcome"])
    assert replay(to_events(log_of(tables))).tobytes() == kernel.histories.tobytes()


def test_a_logged_decision_is_seen_as_it_was_faced(play):
    """Observations rebuilt from the log are the kernel's, and so are propensities."""
    shop = LogitShop().simulator(40, 9)
    kernel, rng = Kernel(shop, everyone(shop), 9, 12, record=True), np.random.default_rng(9)
    faced = []
    while not kernel.done:
        observation = kernel.view().observation
        actions, propensity = shop.logging.act(observation, rng)
        faced.append((kernel.at, observation, actions, kernel.unsubscribed.copy()))
        kernel.step(actions, propensity, "logging")
    log = log_of(kernel.tables())
    users = to_events(log)
    decisions = decisions_of(log, shop.catalog, users)
    requests = requests_of(log, shop.catalog, users, decisions)
    seen = observe(requests, shop.catalog, shop.guardrails, shop.reward).observation
    place = {
        key: n for n, key in enumerate(zip(decisions.owner, decisions.decided_at, strict=True))
    }
    count = 0
    for at, observation, actions, gone in faced:
        rows = np.flatnonzero(~gone)
        match = np.array([place[row, at[row]] for row in rows])
        count += len(match)
        for name, array in observation.items():
            np.testing.assert_array_equal(seen[name][match], array[rows], err_msg=name)
        again = shop.logging.propensity({n: a[match] for n, a in seen.items()}, actions[rows])
        np.testing.assert_allclose(again, decisions.propensity[match], rtol=1e-12)
    assert count == len(decisions.rows) > 400


@pytest.mark.parametrize("credit", ["attributed", "all"])
def test_rewards_are_those_that_attribution_pays_on_the_log(credit, play):
    shop = LogitShop().simulator(120, 5)
    reward = replace(shop.reward, credit=credit)
    assert isinstance(shop.response, ResponseModel)
    base = shop.response.base + np.array([1.5, 1.5, 1.5, 0, 0], np.float32)  # much is bought
    eager = replace(shop, reward=reward, response=replace(shop.response, base=base))
    kernel = Kernel(eager, everyone(shop), 5, 14, record=True)
    steps = play(kernel)
    tables = kernel.tables()
    log = log_of(tables)
    users = to_events(log)
    decisions = decisions_of(log, shop.catalog, users)
    found = attributed(log, shop.catalog, users, decisions, reward)
    closed = found.closes_at < kernel.at.min()
    first = Kernel(eager, everyone(shop))
    day = local_day(decisions.decided_at, users.zone[decisions.owner])
    number = day - local_day(first.at, first.zone)[decisions.owner]
    paid = np.stack([step.reward for step in steps])[number, decisions.owner]
    assert closed.sum() > 800
    assert (found.value[closed] > 0).sum() > 20
    np.testing.assert_allclose(paid[closed], found.reward[closed], atol=1e-4)


def test_lists_in_the_log_hold_what_was_sent(recorded):
    kernel, steps, tables = recorded
    sends = tables["decisions"].dropna(subset="item_id")
    assert len(sends) == sum(step.sent.sum() for step in steps)
    for _, row in sends.head(200).iterrows():
        assert row["item_id"] in row["candidates"].split("|")
        assert row["variant_id"] in row["variants"].split("|")
        code = kernel.simulator.users.codes[[kernel.simulator.users.ids.index(row["user_id"])]]
        at = np.array([row["send_at"].value // 1000])
        assert str(local_hour(at, code)[0]) in row["hours"].split("|")


def test_rows_that_begin_anew_are_as_in_a_kernel_of_their_own(shop, play):
    kernel = Kernel(shop, everyone(shop), 3, 5)
    play(kernel)
    before = kernel.view().observation["user"].copy()
    where = np.arange(kernel.N) % 4 == 1
    rows = np.arange(where.sum()) * 2
    kernel.reset(where, rows, np.arange(len(rows)))
    own = Kernel(shop, rows, np.arange(len(rows)), 5)
    for name, array in own.view().observation.items():
        np.testing.assert_array_equal(kernel.view().observation[name][where], array)
    np.testing.assert_array_equal(kernel.view().observation["user"][~where], before[~where])
    np.testing.assert_array_equal(kernel.requests().items[where], own.requests().items)
    played = np.zeros(kernel.N, np.int64)
    together, alone = kernel.step(played), own.step(played[where])
    np.testing.assert_array_equal(together.revenue[where], alone.revenue)
    assert kernel.histories[where].tobytes() == own.histories.tobytes()


def test_users_act_by_themselves_also_when_nothing_is_sent(shop):
    kernel = Kernel(shop, everyone(shop), 0, 10, record=True)
    rng = np.random.default_rng(0)
    while not kernel.done:
        kernel.step(Hold().act(kernel.view().observation, rng)[0])
    events = kernel.tables()["events"]
    per_day = len(events) / kernel.N / 10
    expected = (shop.organic.sessions * shop.organic.touches).mean()
    assert per_day == pytest.approx(expected * 1.12, rel=0.35)  # carts and purchases on top
    assert set(events["event"]) == {"view", "cart", "purchase"}


def test_what_was_bought_is_not_wanted_again():
    shop = LogitShop().simulator(40, 2)
    organic = replace(
        shop.organic,
        buy=np.ones(40, np.float32),
        sessions=np.full(40, 0.8, np.float32),
        satiation=1.0,
        satiation_days=1e6,
    )
    _, kernel = lived(replace(shop, organic=organic), 8, 0, Hold(), record=True)
    bought = kernel.tables()["events"].query("event == 'purchase'")
    assert len(bought) > 300
    bought = bought.assign(day=epoch_us(bought["at"]) // DAY)
    again = bought.groupby(["user_id", "item_id"])["day"].agg(["min", "max"])
    # History remembers 32 items, and within one day's visits an item may still be met twice.
    remembered = again.groupby("user_id").size() <= 32
    again = again[remembered[again.index.get_level_values(0)].to_numpy()]
    assert len(again) > 200
    assert ((again["max"] - again["min"]) <= 1).all()


def test_without_a_recording_there_are_no_tables(shop):
    with pytest.raises(BadSetting, match="record=True"):
        Kernel(shop, everyone(shop)).tables()


def test_posteriors_are_drawn_anew_in_each_episode(shop):
    traits = shop.traits.copy()
    traits["openness_var"], traits["taste_var"] = 4.0, 1.0
    unsure = replace(shop, traits=traits)
    one, two = (Kernel(unsure, everyone(shop), seed)._traits for seed in (1, 2))
    change = one["openness"] - shop.traits["openness"]
    assert change.std() == pytest.approx(2.0, rel=0.3)
    assert (one["openness"] != two["openness"]).all()
    np.testing.assert_array_equal(Kernel(shop, everyone(shop), 1)._traits, shop.traits)


def test_members_of_an_ensemble_respond_in_turns(shop):
    silent = replace(shop.response, base=np.full(5, -30, np.float32))
    loud = replace(shop.response, base=np.array([30, -30, -30, -30, -30], np.float32))
    mixed = replace(shop, members=(silent, loud))
    kernel = Kernel(mixed, everyone(shop), 0, 1)
    view = kernel.view()
    hour = (view.mask.hour == 0).argmax(1)
    step = kernel.step(1 + hour)
    assert step.sent.sum() > 30
    assert 0.25 < step.opened[step.sent].mean() < 0.75


def test_observations_predict_only_with_a_model(shop):
    plain = Kernel(shop, everyone(shop)).view()
    assert not plain.observation["pairs"].any()
    seen = Kernel(shop.believing(shop), everyone(shop))
    np.testing.assert_allclose(
        seen.view().observation["pairs"], seen.true_view().observation["pairs"], rtol=1e-5
    )
    assert seen.view().observation["pairs"].any()


def test_a_kernel_steps_on_in_another_process_as_it_would_have_here(shop, tmp_path):
    kernel = Kernel(shop, everyone(shop), 6, 5)
    kernel.step(np.zeros(kernel.N, np.int64))
    file = tmp_path / "kernel"
    file.write_bytes(pickle.dumps(kernel))
    # The other process knows another zone first, so its codes are others.
    code = (
        "import pickle, sys; import numpy as np; from mdp.clock import zone_code;"
        "zone_code('Pacific/Auckland');"
        "kernel = pickle.load(open(sys.argv[1], 'rb'));"
        "kernel.step(np.zeros(kernel.N, np.int64));"
        "open(sys.argv[1], 'wb').write(kernel.histories.tobytes() + kernel.at.tobytes())"
    )
    subprocess.run([sys.executable, "-c", code, str(file)], check=True)
    kernel.step(np.zeros(kernel.N, np.int64))
    assert file.read_bytes() == kernel.histories.tobytes() + kernel.at.tobytes()
