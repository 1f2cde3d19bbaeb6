"""Truths that are not additive: what they promise, saved and planned with."""

from dataclasses import replace

import numpy as np
import pytest

from mdp.errors import BadArtifact, BadInput
from mdp.observation import USER
from mdp.response import HEADS
from policies.base import Policy
from policies.baselines import Greedy, Hold
from policies.planner import planner
from simulator.description import Simulator
from simulator.kernel import Kernel
from simulator.saved import load_simulator, save_simulator
from simulator.truths import HazardTruth, SeasonalTruth, truth_of
from simulator.worlds import WORLDS, known_world
from simulator.worlds.anyway import REGULARS
from simulator.worlds.base import lived

DAY = 86_400_000_000
OTHERS = [name for name in WORLDS if name != "logit"]
UNSUBSCRIBE = HEADS.index("unsubscribe")


def shop(name: str, users: int = 40, days: int = 12) -> Simulator:
    return lived(known_world(name).simulator(users, 2), days, 2)[0]


def terms(simulator: Simulator, at: np.ndarray, truth=None):
    """Terms of the simulator's users, asked at instants."""
    kernel = Kernel(simulator, np.arange(len(simulator.users)))
    asked = kernel.requests()
    bound = (truth or simulator.response).bind(simulator.catalog)
    return bound.terms(
        kernel.histories, simulator.traits, asked.items, asked.variants, at, kernel.zone
    )


@pytest.mark.parametrize("name", OTHERS)
def test_they_live_on_when_saved(tmp_path, name):
    world = shop(name)
    save_simulator(tmp_path / "truth", world.believing(world))
    loaded = load_simulator(tmp_path / "truth")
    assert loaded.response.hash == world.response.hash
    assert loaded.model is loaded.response
    rng, lives = np.random.default_rng(0), []
    actions = rng.integers(0, 1441, (5, 40))
    for one in (world, loaded):
        kernel = Kernel(one, np.arange(40), 3, 5)
        lives.append([kernel.step(row).expected for row in actions])
    np.testing.assert_array_equal(lives[0], lives[1])


def test_another_belief_keeps_its_form(tmp_path):
    logit, hazard = shop("logit"), shop("hazard")
    save_simulator(tmp_path / "truth", logit.believing(hazard))
    loaded = load_simulator(tmp_path / "truth")
    assert loaded.model is not None
    assert (loaded.response.kind, loaded.model.kind) == ("additive", "hazard")


def test_a_form_that_is_not_known_is_refused():
    with pytest.raises(BadArtifact, match="unknown form of responses 'moon'; known: additive"):
        truth_of("moon", {})


def test_no_policy_carries_them_away():
    world = shop("hazard")
    with pytest.raises(BadInput, match="not a hazard truth"):
        _ = world.believing(world).additive_model


def test_below_the_threshold_fatigue_does_nothing():
    world = shop("hazard")
    truth = world.response
    assert isinstance(truth, HazardTruth)
    at = np.full(40, world.start + DAY)
    given = terms(world, at)
    rested = terms(
        world,
        at,
        replace(truth, additive=replace(truth.additive, fatigue_weight=np.zeros(5, "f4"))),
    )
    strain = given.recency.fatigue * np.exp(-world.traits["tolerance"])
    below = strain <= truth.knee
    assert 5 < below.sum() < 35
    felt = (given.base - rested.base)[:, UNSUBSCRIBE]
    np.testing.assert_allclose(felt[below], 0.0, atol=1e-5)
    expected = truth.fatigue_weight[UNSUBSCRIBE] * (strain - truth.knee)
    np.testing.assert_allclose(felt[~below], expected[~below], rtol=1e-3)
    assert given.cloglog.tolist() == [False, False, False, True, True]


def test_the_planner_foresees_what_the_truth_will_say():
    """An unsubscribe's probability at another fatigue, from the plan and from the truth."""
    world = shop("hazard")
    plan = planner(world.response, world.reward)
    kernel = Kernel(world.believing(world), np.arange(40))
    observation = kernel.view().observation
    user = observation["user"].astype(np.float64)
    today = user[:, USER.index("fatigue")]
    pair = observation["pairs"][..., 0].astype(np.float64)
    grid = np.array([0.0, 3.0, 5.0])
    foreseen = plan._response(observation, pair, user, grid)[2]
    now = plan._best_parts(observation, pair)[:, -1]
    strain = np.exp(-world.traits["tolerance"])[:, None]
    above = np.maximum(grid * strain - plan.knee, 0) - np.maximum(
        today[:, None] * strain - plan.knee, 0
    )
    hazard = -np.log1p(-now)[:, None] * np.exp(plan.fatigue[UNSUBSCRIBE] * above)
    np.testing.assert_allclose(foreseen, 1 - np.exp(-hazard), rtol=1e-4, atol=1e-6)


def test_an_hour_that_has_passed_is_the_next_weekdays():
    world = shop("seasonal")
    truth = world.response
    assert isinstance(truth, SeasonalTruth)
    flat = replace(truth, week=np.zeros_like(truth.week))
    friday_noon = int(np.datetime64("2025-03-14T12:00", "us").astype(np.int64))
    world = replace(world, users=replace(world.users, zones=("UTC",) * 40))
    at = np.full(40, friday_noon)
    week = (terms(world, at).hour - terms(world, at, flat).hour)[0, :, 0]
    np.testing.assert_allclose(week[12:], truth.week[4, 12:, 0], atol=1e-5)
    np.testing.assert_allclose(week[:12], truth.week[5, :12, 0], atol=1e-5)


def test_tastes_turn_and_the_year_comes_round():
    world = shop("seasonal")
    truth = world.response
    assert isinstance(truth, SeasonalTruth)
    origin = int(truth.since[0]) * DAY
    still = truth.additive
    liking = []
    for days in (0, 60, 120):
        at = np.full(40, origin + days * DAY + DAY // 2)
        moved = terms(world, at).item[..., 0]
        plain = terms(world, at, still).item[..., 0]
        liking.append(np.abs(moved - plain).mean())
    assert liking[0] < 0.05 < liking[1] < liking[2]
    assert truth.year.shape == (366, 5)
    assert truth.year[359, 2] > truth.year[180, 2] + 0.4  # Christmas against the end of June


def test_who_buys_anyway_brings_attributed_value_and_little_more():
    """Pushing regulars has more attributed value than pushing others, and less incremental."""
    world = shop("anyway", 300, 14)
    rows = np.flatnonzero(world.histories["unsubscribed"] == 0)
    own = world.organic.buy * world.organic.sessions * world.organic.touches
    regular = (own >= np.quantile(own, 1 - REGULARS))[rows]

    def played(policy: Policy, who: np.ndarray) -> np.ndarray:
        total = np.zeros(2)
        for seed in (1, 2):
            kernel, rng = Kernel(world, rows, seed, 28), np.random.default_rng(0)
            while not kernel.done:
                actions = policy.act(kernel.true_view().observation, rng)[0]
                step = kernel.step(np.where(who, actions, 0))
                total += [step.expected.sum(), step.margin.sum()]
        return total

    held = played(Hold(), regular)
    to_regulars, to_others = (played(Greedy(threshold=0.2), who) for who in (regular, ~regular))
    attributed, incremental = (to_regulars - held) / (to_others - held)
    assert attributed > 1.15
    assert incremental < 0.85
