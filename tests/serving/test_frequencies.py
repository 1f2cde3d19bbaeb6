"""What the server draws is what it logs: frequencies match propensities, nothing masked is sent."""

import numpy as np
import pytest

from mdp.actions import encode
from mdp.observation import observe
from policies.baselines import Table
from serving.commit import Keyed
from serving.decide import Decider
from serving.problems import Problem
from serving.registry import Registry
from serving.schemas import Ask, instant
from serving.scoring import Question, requests_of
from serving.store import open_store, reading
from serving.users import new_user

CANDIDATES, VARIANTS = ["i0", "i1", "i2"], ["v0", "v1"]
POLICY = Table(
    send=0.6,
    items=np.array([3.0, 2.0, 1.0]),
    variants=np.array([2.0, 1.0]),
    hours=1.0 + np.arange(24) % 5,
)
RULES = {"quiet_start": "22:00", "quiet_end": "08:00", "floor": 0.2}


def expected_probabilities(shop, registry, engine):
    """The flat distribution of a decision for a user never seen, at the clock's time."""
    with reading(engine) as connection:
        world = registry.world(connection)
    rows = tuple(world.catalog.items.row[item] for item in CANDIDATES)
    copy = tuple(world.catalog.variants.row[variant] for variant in VARIANTS)
    user = new_user("x", shop.clock.now, True, "UTC")
    requests, _ = requests_of(world, [Question(user, shop.clock.now, rows, copy)])
    view = observe(requests, world.catalog, world.guardrails, world.bundle.reward)
    return world.policy.probabilities(view.observation)[0], view.mask.hour[0] == 0


@pytest.mark.parametrize("total", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_frequencies_match_the_logged_propensities(shop, total):
    with shop.server(shop.policy("p", POLICY, **RULES)):
        settings = shop.settings(default_timezone="UTC")
        engine, registry = open_store(settings.store), Registry()
        decider = Decider(engine, registry, settings, np.random.default_rng(5), shop.clock)
        probabilities, hours = expected_probabilities(shop, registry, engine)
        counts = np.zeros(len(probabilities))
        for start in range(0, total, 5000):
            asks = [
                Keyed(Ask(user_id=f"u{start + n}", candidates=CANDIDATES, variants=VARIANTS))
                for n in range(5000)
            ]
            for answer in decider.decide(asks):
                assert not isinstance(answer, Problem)
                action = flat(answer)
                counts[action] += 1
                assert answer["propensity"] == pytest.approx(probabilities[action], rel=1e-9)
        engine.dispose()
    assert probabilities.sum() == pytest.approx(1.0)
    assert not hours[[22, 23, *range(8)]].any()
    possible = probabilities > 0
    assert counts[~possible].sum() == 0
    expected = total * probabilities[possible]
    assert expected.min() > 5
    statistic = ((counts[possible] - expected) ** 2 / expected).sum()
    freedom = possible.sum() - 1
    # Wilson–Hilferty: the cube root of a chi-square is nearly normal.
    z = ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / np.sqrt(2 / (9 * freedom))
    assert abs(z) < 4


def flat(answer):
    """The flat action of an answer; hour h of a decision made at noon UTC."""
    if answer["action"] == "hold":
        return 0
    hour = instant(answer["send_at"]) // 3_600_000_000 % 24
    slots = CANDIDATES.index(answer["item_id"]), VARIANTS.index(answer["variant_id"])
    return int(encode(np.array(slots[0]), np.array(slots[1]), np.array(hour), len(VARIANTS)))
