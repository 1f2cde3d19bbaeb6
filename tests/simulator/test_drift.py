"""Tastes that change: how many, into those of other users, and alike in any batch."""

from dataclasses import replace

import numpy as np
import pytest

from ingestion.log import epoch_us
from mdp.clock import DAY
from policies.baselines import Hold, Random
from simulator.description import Drift
from simulator.kernel import Kernel
from simulator.population import blocks, live
from simulator.saved import load_simulator, save_simulator
from simulator.worlds.base import lived

HALF_LIFE = 5.0


@pytest.fixture(scope="module")
def drifting(shop):
    return replace(shop, drift=Drift.among(HALF_LIFE, shop.traits, shop.organic))


def days_of(shop, rows, days: int) -> Kernel:
    kernel = Kernel(shop, rows, 3, days)
    while not kernel.done:
        kernel.step(np.zeros(kernel.N, np.int64))
    return kernel


def test_half_of_the_tastes_are_others_after_the_half_life(drifting):
    rows = np.arange(len(drifting.users)).repeat(30)
    seeds = 1000 + np.arange(len(rows))
    kernel = Kernel(drifting, rows, seeds, 40)
    for day in range(11):
        own = (kernel._traits["taste"] == drifting.traits["taste"][rows]).all(1)
        left = 0.5 ** (day / HALF_LIFE)
        expected = left + (1 - left) / len(drifting.users)  # a taste may come back
        assert own.mean() == pytest.approx(expected, abs=0.035)
        assert (own == (kernel._like < 0))[kernel._like != rows].all()
        kernel.step(np.zeros(kernel.N, np.int64))
    changed = kernel._like >= 0
    np.testing.assert_array_equal(
        kernel._traits["taste"][changed], drifting.traits["taste"][kernel._like[changed]]
    )
    for name in ("openness", "styles", "hours", "price"):
        np.testing.assert_array_equal(kernel._traits[name], drifting.traits[name][rows])
    assert len(np.unique(kernel._like[changed])) == len(drifting.users)
    kernel.reset(np.ones(kernel.N, bool), rows, seeds)
    np.testing.assert_array_equal(kernel._traits["taste"], drifting.traits["taste"][rows])
    assert (kernel._like < 0).all()


def test_what_a_user_meets_follows_the_taste(shop):
    """Of two kinds of users, each meets the one kind's items alone; then the other's too."""
    size = len(shop.users)
    kind = np.arange(size) % 2
    items = np.where(kind[:, None] == np.arange(2).repeat(2), np.array([0, 1, 2, 3]), -1)
    organic = replace(
        shop.organic,
        own=np.ones(size, np.float32),
        own_items=items.astype(np.int32),
        own_weight=np.where(items >= 0, 0.5, 0.0).astype(np.float32),
        sessions=np.full(size, 2.0, np.float32),
    )
    place = replace(shop, organic=organic, drift=Drift.among(HALF_LIFE, shop.traits, organic))
    kernel = lived(place, 20, 0, Hold(), record=True)[1]
    views = kernel.tables()["events"].query("event == 'view'")
    item = views["item_id"].map({name: n for n, name in enumerate(shop.catalog.items.ids)})
    row = views["user_id"].map({name: n for n, name in enumerate(shop.users.ids)})
    other = (item.to_numpy() // 2) != kind[row]
    day = (epoch_us(views["at"]) - shop.start) // DAY
    assert other[day < 1].mean() < 0.02
    assert 0.3 < other[day > 14].mean() < 0.6  # half of the others are of one's own kind
    held = (kernel._like >= 0).mean()
    assert held == pytest.approx(1 - 0.5 ** (20 / HALF_LIFE), abs=0.1)


def test_a_user_changes_alike_alone_and_in_any_batch_or_block(drifting):
    together = days_of(drifting, np.arange(60), 12)
    alone = days_of(drifting, np.array([17]), 12)
    assert alone.histories[0].tobytes() == together.histories[17].tobytes()
    assert alone._traits[0] == together._traits[17]
    assert (together._like >= 0).sum() > 30
    one, many = (
        [live(drifting, Random(floor=0.1), 7, 5, who, True) for who in blocks(40, n, (0, 0, 4))]
        for n in (40, 17)
    )
    np.testing.assert_array_equal(sum(p.totals for p in one), sum(p.totals for p in many))
    ids = [
        [i for p in parts for i in (p.tables or {})["events"]["event_id"]] for parts in (one, many)
    ]
    assert ids[0] == ids[1]


def test_a_saved_simulator_keeps_how_tastes_change(shop, drifting, tmp_path):
    save_simulator(tmp_path / "sim", drifting)
    again = load_simulator(tmp_path / "sim")
    assert again.drift is not None
    assert again.drift.half_life == HALF_LIFE
    first, second = (days_of(each, np.arange(60), 8) for each in (drifting, again))
    assert first.histories.tobytes() == second.histories.tobytes()
    save_simulator(tmp_path / "plain", shop)
    assert load_simulator(tmp_path / "plain").drift is None
    assert "drift" not in (tmp_path / "plain" / "manifest.json").read_text()
