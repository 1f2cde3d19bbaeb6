"""Known-truth worlds: believable rates, and a reason to hold back."""

from dataclasses import replace

import numpy as np
import pytest

from mdp.catalog import APPROVED
from mdp.errors import BadInput
from mdp.hashing import style_bucket
from policies.base import Policy
from policies.baselines import Greedy, Hold, Random
from simulator.demo import demo
from simulator.description import Simulator
from simulator.kernel import Kernel
from simulator.truths import truth_of
from simulator.worlds import WORLDS, known_world
from simulator.worlds.base import lived
from simulator.worlds.goods import STYLES
from simulator.worlds.logit import LogitShop


@pytest.fixture(scope="module", params=WORLDS)
def world(request) -> Simulator:
    """700 users of each world after four weeks under its logging policy."""
    return lived(known_world(request.param).simulator(700, 0), 28, 0)[0]


def played(world: Simulator, policy: Policy, knowing: bool = False) -> dict[str, float]:
    """Value a user in 28 days, and rates a send, over users who were subscribed at the start."""
    rows = np.flatnonzero(world.histories["unsubscribed"] == 0)
    kernel, rng = Kernel(world, rows, 1, 28), np.random.default_rng(2)
    names = ("opened", "clicked", "dismissed", "unsubscribed")
    total = dict.fromkeys((*names, "value", "sent", "purchased"), 0.0)
    while not kernel.done:
        view = kernel.true_view() if knowing else kernel.view()
        step = kernel.step(policy.act(view.observation, rng)[0])
        total["value"] += step.expected.sum() / len(rows)
        total["sent"] += step.sent.sum()
        total["purchased"] += (step.bought > 0).sum()
        for name in names:
            total[name] += getattr(step, name).sum()
    rates = (*names, "purchased")
    return total | {name: total[name] / max(total["sent"], 1) for name in rates}


def test_rates_of_the_logging_policy_are_believable(world):
    rates = played(world, world.logging)
    assert 0.08 < rates["opened"] < 0.15
    assert 0.04 < rates["clicked"] < 0.07
    assert 0.005 < rates["purchased"] < 0.015
    assert 0.002 < rates["unsubscribed"] < 0.01


@pytest.mark.parametrize("seed", [3, 4])
def test_they_are_believable_in_every_shop_of_the_kind(seed):
    shop = demo(known_world("logit").simulator(300, seed), 42, seed).tables
    sends = shop["decisions"]["item_id"].notna().sum()
    rate = shop["outcomes"]["outcome"].value_counts() / sends
    assert 0.08 < rate["opened"] < 0.15
    assert 0.04 < rate["clicked"] < 0.07
    assert rate["unsubscribed"] < 0.01


def test_holding_back_pays(world):
    """A push a day at random loses, a threshold beats taking whatever is worth most today, and
    who knows the truth earns far more than the logging policy."""
    logging = played(world, world.logging)["value"]
    daily = played(world, Random(hold=0.001))["value"]
    eager = played(world, Greedy(threshold=-1.0), knowing=True)["value"]
    patient = played(world, Greedy(threshold=0.3), knowing=True)["value"]
    assert daily < 0 < logging < patient / 3
    assert patient > 1.2 * eager
    assert played(world, Hold())["value"] == 0


@pytest.mark.parametrize("seed", [0, 1])
def test_the_seed_decides_the_world(seed):
    for name in WORLDS:
        one, same, other = (known_world(name).simulator(30, s) for s in (seed, seed, seed + 2))
        assert one.response.hash == same.response.hash != other.response.hash
        assert one.traits.tobytes() == same.traits.tobytes() != other.traits.tobytes()


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_users_effects_follow_from_what_a_log_shows_by_the_share_asked_for(share):
    shop = LogitShop(explained=share).simulator(2000, 0)
    organic, (_, zone) = shop.organic, np.unique(shop.users.zones, return_inverse=True)
    habits = np.log(np.stack([organic.sessions, organic.touches, organic.buy], 1))
    seen = np.concatenate([shop.traits["taste"], habits, np.eye(6)[zone]], 1)
    for effect in (shop.traits["openness"], shop.traits["styles"][:, 2]):
        apart = effect - effect.mean()
        left = apart - seen @ np.linalg.lstsq(seen, apart, rcond=None)[0]
        assert 1 - left.var() / apart.var() == pytest.approx(share, abs=0.05)
        assert effect.std() == pytest.approx(1.0, abs=0.1)


def test_users_differ(world):
    traits, organic = world.traits, world.organic
    for name in ("openness", "tolerance", "price"):
        assert traits[name].std() > 0.3
    assert (traits["taste"].std(0) > 0.5).all()
    assert (traits["hours"].std(0) > 0.3).all()
    assert len(set(organic.hours.argmax(1))) > 8
    assert len(set(world.users.zones)) >= 5


def test_the_shelf_is_believable(world):
    items, variants = world.catalog.items, world.catalog.variants
    assert 140 <= len(items) <= 160
    assert len(set(items.categories)) == 12
    assert len({*zip(items.categories, items.titles, strict=True)}) == len(items)
    assert (items.price > 1).all()
    assert (items.price < 500).all()
    assert (items.list_price >= items.price).all()
    assert set(variants.statuses) == {APPROVED}
    assert len({style_bucket(style) for style in STYLES}) == len(STYLES) == 6


@pytest.mark.parametrize("head", [0, 4])
def test_fatigue_is_felt(world, head):
    """Without fatigue, sending daily opens more and loses fewer."""
    weight = world.response.fatigue_weight.copy()
    weight[head] = 0.0
    arrays = world.response.arrays()
    name = next(name for name in arrays if name.endswith("fatigue_weight"))
    truth = truth_of(world.response.kind, arrays | {name: weight})
    rested = replace(world, response=truth)
    rate = ("opened", "", "", "", "unsubscribed")[head]
    daily = Random(hold=0.001)
    with_it, without = played(world, daily)[rate], played(rested, daily)[rate]
    assert (without > 1.2 * with_it) if head == 0 else (with_it > 2 * without)


def test_a_world_that_is_not_there_is_named():
    with pytest.raises(BadInput, match="unknown world 'moon'; known: logit, hazard"):
        known_world("moon")
