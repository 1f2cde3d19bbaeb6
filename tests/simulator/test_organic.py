"""What an episode draws of a user's habits."""

from dataclasses import replace

import numpy as np
import pytest

from mdp.errors import BadArtifact
from mdp.events import Kind
from policies.baselines import Hold
from simulator.lull import Lull
from simulator.organic import drawn_habits
from simulator.randomness import EPISODE, keys
from simulator.saved import load_simulator, save_simulator
from simulator.worlds.base import lived
from simulator.worlds.logit import LogitShop

U = 400


@pytest.fixture(scope="module")
def shop():
    return LogitShop().simulator(U, 0)


def unsure(shop, **given):
    """The shop's organic behaviour, known as a fit knows it."""
    fitted = {
        "shape": np.full(U, 2.0, np.float32),
        "ends": np.tile(np.array([4.0, 8.0], np.float32), (U, 1)),
        "alive": np.full(U, 0.75, np.float32),
        "staying": np.full(U, 30.0, np.float32),
        "leaving": 1.0,
    }
    return replace(shop.organic, **(fitted | given))


def key(users):
    return keys(np.zeros(len(users), np.uint64), EPISODE, users, np.zeros(len(users), np.int64))


def test_habits_are_drawn_from_what_is_known_of_them(shop):
    rows = np.arange(U).repeat(200)
    habits = drawn_habits(unsure(shop), rows, key(np.arange(len(rows), dtype=np.uint64)))
    ratio = habits["sessions"] / shop.organic.sessions[rows]
    assert ratio.mean() == pytest.approx(1.0, rel=0.02)
    assert ratio.var() == pytest.approx(1 / 2.0, rel=0.05)
    assert (1 / habits["touches"]).mean() == pytest.approx(4 / 12, rel=0.02)
    assert (habits["leaves"] == 0).mean() == pytest.approx(0.25, abs=0.01)
    assert (habits["leaves"] > 30).mean() == pytest.approx(0.75 / 2, abs=0.01)


def test_known_truths_are_exact_and_nobody_leaves(shop):
    rows = np.arange(U)
    habits = drawn_habits(shop.organic, rows, key(rows.astype(np.uint64)))
    np.testing.assert_array_equal(habits["sessions"], shop.organic.sessions)
    np.testing.assert_array_equal(habits["touches"], shop.organic.touches)
    assert np.isinf(habits["leaves"]).all()


def test_who_has_left_does_nothing(shop):
    alive = (np.arange(U) % 2).astype(np.float32)
    odd = replace(shop, organic=unsure(shop, alive=alive, leaving=0.0))
    _, kernel = lived(odd, 10, 0, Hold(), record=True)
    events = kernel.tables()["events"]
    came = np.isin(shop.users.ids, events["user_id"])
    assert not came[alive == 0].any()
    assert came[alive == 1].mean() > 0.5


def test_users_leave_as_days_go_by(shop):
    leaving = replace(shop, organic=unsure(shop, alive=None, staying=np.full(U, 5.0, np.float32)))
    later, kernel = lived(leaving, 20, 0, Hold(), record=True)
    events = kernel.tables()["events"]
    views = events[events["event"] == Kind.VIEW.name.lower()]
    day = (views["at"] - views["at"].min()).dt.days
    assert (day < 5).sum() > 1.7 * (day >= 15).sum()
    assert later.start > leaving.start


def test_a_saved_simulator_knows_as_much(shop, tmp_path):
    save_simulator(tmp_path / "sim", replace(shop, organic=unsure(shop)))
    organic = load_simulator(tmp_path / "sim").organic
    assert organic.leaving == 1.0
    np.testing.assert_array_equal(organic.ends, unsure(shop).ends)
    save_simulator(tmp_path / "plain", shop)
    assert load_simulator(tmp_path / "plain").organic.shape is None


def test_shapes_are_checked(shop):
    with pytest.raises(BadArtifact, match="alive"):
        unsure(shop, alive=np.ones(3, np.float32))


def test_after_purchases_a_lull_leaves_less_until_they_are_forgotten(shop, tmp_path):
    often = replace(shop.organic, buy=np.full(U, 0.5, np.float32), satiation=0.0)
    eager = replace(shop, organic=often)
    lulled = {
        name: replace(eager, organic=replace(eager.organic, lull=Lull(buys, visits, 7.0, latest)))
        for name, (buys, visits, latest) in {
            "none": (0.0, 0.0, False),
            "buys": (0.5, 0.0, False),
            "latest": (0.5, 0.0, True),
            "visits": (0.0, 0.5, False),
        }.items()
    }
    counts = {}
    for name, one in ({"plain": eager} | lulled).items():
        _, kernel = lived(one, 15, 0, Hold(), record=True)
        counts[name] = kernel.tables()["events"]["event"].value_counts()
    assert counts["none"].equals(counts["plain"])
    assert counts["buys"]["view"] == pytest.approx(counts["plain"]["view"], rel=0.05)
    assert counts["buys"]["purchase"] < counts["latest"]["purchase"] < counts["plain"]["purchase"]
    assert counts["visits"]["view"] < 0.8 * counts["plain"]["view"]
    save_simulator(tmp_path / "plain", eager)
    assert "lull" not in (tmp_path / "plain" / "manifest.json").read_text()
    save_simulator(tmp_path / "lulled", lulled["latest"])
    assert load_simulator(tmp_path / "lulled").organic.lull == lulled["latest"].organic.lull
