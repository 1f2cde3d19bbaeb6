"""Newcomers: who they are, that nobody knows them, and how many a log says there are."""

from dataclasses import replace

import numpy as np
import pytest

from mdp.clock import DAY, NEVER
from mdp.errors import BadSetting
from mdp.local_time import local_day, local_hour
from simulator.description import Arrivals, own_beliefs
from simulator.kernel import Kernel
from simulator.newcomers import arrivals_of, arriving, newcomers, with_newcomers
from simulator.saved import load_simulator, save_simulator
from simulator.worlds.base import START

DAYS, NONE = 100, np.array([NEVER])


def test_the_rate_is_that_of_the_second_half_of_a_short_log():
    early, late = np.full(500, START + DAY), START + np.arange(60, 100) * DAY
    signed_up = np.concatenate([early, late, [START + 200 * DAY, START - 9 * DAY]])
    found = arrivals_of(signed_up, NONE, START, START + DAYS * DAY)
    assert found == Arrivals(40 / 50, START + 50 * DAY)


def test_a_long_logs_rate_is_that_of_its_last_eight_weeks():
    signed_up = START + np.arange(360) * DAY
    found = arrivals_of(signed_up, NONE, START, START + 360 * DAY)
    assert found == Arrivals(1.0, START + 304 * DAY)


def test_few_newcomers_are_taken_to_be_like_all_users_and_none_to_come_no_more():
    found = arrivals_of(np.array([START + 80 * DAY]), NONE, START, START + DAYS * DAY)
    assert found == Arrivals(1 / 50, None)
    assert arrivals_of(np.array([START - DAY]), NONE, START, START + DAYS * DAY) is None
    assert arrivals_of(np.array([START]), NONE, START, START) is None


def test_items_arrive_as_they_are_listed():
    listed = np.array([NEVER, START + DAY, *(START + np.arange(50, 75) * DAY), START + DAYS * DAY])
    found = arrivals_of(np.array([NEVER]), listed, START, START + DAYS * DAY)
    assert found == Arrivals(0.0, None, 25 / 50)


@pytest.fixture(scope="module")
def place(shop):
    return shop.believing(shop)


def test_a_newcomer_is_a_user_once_more_whom_nobody_knows(place):
    few = newcomers(place, 3, 0, 40, seed=1)
    for row in range(40):
        (donor,) = np.flatnonzero(place.traits["openness"] == few.traits["openness"][row])
        assert few.traits[row] == place.traits[donor]
        assert few.users.zones[row] == place.users.zones[donor]
        assert few.organic.sessions[row] == place.organic.sessions[donor]
    assert (few.histories["head"] == 0).all()
    assert (few.histories["counts"] == 0).all()
    assert few.beliefs is not None
    beliefs, known = few.beliefs.rows(few.users.hashes)
    assert not known.any()
    assert (beliefs == place.beliefs.default).all()
    at = np.full(40, place.start)
    lists = few.recommender.candidates(few.users.hashes, few.histories, at)
    assert (lists == place.recommender.candidates(few.users.hashes[:1] + 1, None, at[:1])).all()
    assert len({*few.users.ids, *newcomers(place, 4, 0, 40, 1).users.ids}) == 80


def test_a_newcomer_may_be_any_of_the_users(place):
    spread = place.traits.copy()
    for name in ("openness_var", "tolerance_var", "taste_var"):
        spread[name] = np.linspace(0.1, 0.3, len(spread))
    default = own_beliefs(replace(place, traits=spread)).default
    for name in ("openness", "tolerance", "taste"):
        total = 0.2 + np.var(spread[name], axis=0).mean()
        assert default[f"{name}_var"] == pytest.approx(total, rel=1e-4)


def test_newcomers_begin_on_their_day_across_daylight_saving(place):
    whole = Kernel(place, np.arange(len(place.users)), 0, 30)
    days = dict(zip(place.users.zones, local_day(whole.at, whole.zone), strict=True))
    for day in (0, 11, 25):  # clocks change on the 10th day in America, on the 31st in Europe
        few = newcomers(place, day, 0, 50, seed=1)
        kernel = Kernel(few, np.arange(50), 0, 30)
        kernel.reset(np.ones(50, bool), np.arange(50), 0, day)
        assert (local_hour(kernel.at, kernel.zone) == 0).all()
        first = np.array([days[zone] for zone in few.users.zones])
        np.testing.assert_array_equal(local_day(kernel.at, kernel.zone), first + day)
        np.testing.assert_array_equal(kernel.at, few.users.signed_up)


def test_who_has_just_come_still_comes_and_stays_as_long_as_any_newcomer(place):
    size = len(place.users)
    organic = replace(
        place.organic,
        alive=np.full(size, 0.2, np.float32),
        staying=np.linspace(9, 50, size).astype(np.float32),
        leaving=1.0,
    )
    both = with_newcomers(replace(place, organic=organic), 0.5).organic
    assert both.alive is not None
    assert both.staying is not None
    assert (both.alive[:size] == np.float32(0.2)).all()
    assert (both.alive[size:] == 1).all()
    np.testing.assert_array_equal(both.staying[:size], organic.staying)
    assert (both.staying[size:] == 9).all()
    assert organic.alive is not None
    assert organic.alive.max() < 1


def test_donors_are_those_who_signed_up_of_late(place):
    since = int(np.sort(place.users.signed_up)[-5])
    late = set(np.flatnonzero(place.users.signed_up >= since).tolist())
    few = newcomers(replace(place, arrivals=Arrivals(1.0, since)), 0, 0, 60, seed=0)
    same = place.traits["openness"] == few.traits["openness"][:, None]
    assert set(same.argmax(1).tolist()) == late


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_share_of_the_users_are_newcomers_after_the_others(place, share):
    both = with_newcomers(place, share)
    size = len(place.users)
    assert both.users.ids[:size] == place.users.ids
    np.testing.assert_array_equal(both.traits[:size], place.traits)
    assert both.histories[:size].tobytes() == place.histories.tobytes()
    assert both.pushable[size:].sum() / both.pushable.sum() == pytest.approx(share, abs=0.01)
    # The users live as they do without newcomers.
    alone, beside = (Kernel(each, np.arange(size), 5, 1) for each in (place, both))
    np.testing.assert_array_equal(
        alone.view().observation["pairs"], beside.view().observation["pairs"]
    )


def test_no_share_changes_nothing_and_all_leaves_newcomers_alone(place):
    assert with_newcomers(place, 0.0) is place
    assert set(with_newcomers(place, 1.0).users.ids).isdisjoint(place.users.ids)
    with pytest.raises(BadSetting, match=r"newcomers is 1\.5"):
        with_newcomers(place, 1.5)


def test_how_many_arrive_follows_the_rate_and_the_seed():
    assert np.mean(arriving(3.0, 2000, 0)) == pytest.approx(3.0, abs=0.15)
    assert arriving(3.0, 9, 0) == arriving(3.0, 9, 0) != arriving(3.0, 9, 1)
    assert arriving(0.0, 5, 0) == [0] * 5


def test_a_saved_simulator_keeps_how_users_arrive(place, tmp_path):
    for arrivals in (None, Arrivals(2.5), Arrivals(0.25, START, 1.5)):
        save_simulator(tmp_path / "sim", replace(place, arrivals=arrivals))
        assert load_simulator(tmp_path / "sim").arrivals == arrivals
        assert ("arrivals" in (tmp_path / "sim" / "manifest.json").read_text()) == bool(arrivals)
