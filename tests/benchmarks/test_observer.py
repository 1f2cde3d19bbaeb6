"""The ideal observer finds out who users are, where a log says so."""

from dataclasses import fields, replace

import numpy as np
import pytest

from benchmarks.observer import Observer
from benchmarks.seen import Pushes, Seen, log_of
from ingestion.parse import log_of as parsed
from mdp.clock import DAY
from mdp.recency import Recency
from mdp.response import HEADS
from mdp.state import TRAITS, new_histories
from simulator.demo import demo
from simulator.description import Simulator
from simulator.material import acts_of, material_of
from simulator.sends import asked
from simulator.worlds import WORLDS, known_world
from simulator.worlds.logit import LIST, OWN, LogitShop, best, commonly

U, S = 10, 800
"""Users, and pushes of each."""


def shop_of(name: str) -> tuple[Simulator, Observer]:
    truth = known_world(name).simulator(U, 0)
    return truth, Observer.of(truth, 0)


@pytest.fixture(scope="module")
def shop() -> tuple[Simulator, Observer]:
    return shop_of("logit")


def sent(truth: Simulator, each: int, rng: np.random.Generator) -> Pushes:
    """Pushes of anything at any hour, to users who remember none, and what followed."""
    user = np.repeat(np.arange(U), each)
    zero, one = np.zeros(len(user), np.float32), np.zeros((len(user), 1), np.float32)
    out = Pushes(
        user=user,
        item=rng.integers(0, len(truth.catalog.items), (len(user), 1), np.int32),
        variant=rng.integers(0, len(truth.catalog.variants), (len(user), 1), np.int32),
        hour=rng.integers(0, 24, len(user)),
        decided_at=truth.start + DAY * rng.integers(0, 60, len(user)),
        zone=truth.users.codes[user],
        fatigue=zero + 2.0,
        repetition=one,
        wear=one,
        bought=one,
        views=one,
        outcome=np.zeros((len(user), len(HEADS)), bool),
        asked=np.zeros((len(user), len(HEADS)), bool),
    )
    recency = Recency(*(getattr(out, f.name) for f in fields(Recency)))
    terms = truth.response.bind(truth.catalog).terms(
        new_histories(0),
        truth.traits[user],
        out.item,
        out.variant,
        out.decided_at,
        out.zone,
        recency,
    )
    hour = np.take_along_axis(terms.hour, out.hour[:, None, None], 1)[:, 0]
    logit = terms.base + terms.item[:, 0] + terms.variant[:, 0] + hour
    rate = np.exp(logit)
    p = np.where(terms.cloglog, -np.expm1(-rate), rate / (1 + rate))
    outcome = rng.random(logit.shape) < p
    return replace(out, outcome=outcome, asked=asked(outcome, np.ones_like(outcome)))


def prior_means(truth: Simulator) -> np.ndarray:
    world = known_world(truth.world)
    assert isinstance(world, LogitShop)
    return world.mean_openness(truth.organic)


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_a_long_log_tells_who_users_are(world):
    truth, observer = shop_of(world)
    goods = observer.goods
    rng = np.random.default_rng(1)
    liking = truth.traits["taste"].astype(float) @ goods.taste.T
    popular = np.exp(goods.popularity) / np.exp(goods.popularity).sum()
    weight, own = np.exp(liking + goods.popularity), np.zeros_like(liking)
    mine = best(weight, LIST)
    np.put_along_axis(own, mine, np.take_along_axis(weight, mine, 1), 1)
    met = OWN * own / own.sum(1, keepdims=True) + (1 - OWN) * popular
    noise = observer.world.recommender_noise
    score = liking + commonly(goods.popularity) + noise * rng.normal(size=liking.shape)
    least = np.take_along_axis(score, best(score, LIST), 1).min(1, keepdims=True)
    seen = Seen(
        pushes=sent(truth, S, rng),
        visits=np.stack([rng.multinomial(500, p / p.sum()) for p in truth.organic.hours]),
        met=np.stack([rng.multinomial(300, p) for p in met]),
        listed=np.where(score >= least, score, -np.inf),
        openness=prior_means(truth),
    )
    mean, _ = observer.inferred(seen, rng, 20, 30)
    nearness = {"taste": 0.9, "hours": 0.95, "styles": 0.6, "openness": 0.6}
    for name, least_correlation in nearness.items():
        true, found = (part[name].reshape(U, -1) for part in (truth.traits, mean))
        if name == "styles":
            true, found = true[:, observer.buckets], found[:, observer.buckets]
        elif name == "openness":
            true, found = (part - seen.openness[:, None] for part in (true, found))
        assert np.corrcoef(true.ravel(), found.ravel())[0, 1] > least_correlation, name


def test_who_was_never_seen_is_anybody():
    truth, observer = shop_of("anyway")
    size, items = 300, len(observer.goods.taste)
    none = sent(truth, 0, np.random.default_rng(0))
    nothing = np.full((size, items), -np.inf)
    regular = np.full(size, prior_means(truth).max())
    seen = Seen(none, np.zeros((size, 24)), np.zeros((size, items)), nothing, regular)
    mean, drawn = observer.inferred(seen, np.random.default_rng(2), 2, 20)
    assert np.abs(mean["taste"]).mean() < 0.5
    assert drawn["taste"].std() == pytest.approx(1.0, abs=0.08)
    assert drawn["tolerance"].std() == pytest.approx(0.5, abs=0.08)
    assert drawn["openness"].mean() == pytest.approx(1.2, abs=0.1)
    assert drawn["openness"].std() == pytest.approx(0.6, abs=0.08)


def test_what_a_demos_log_shows(shop):
    truth = shop[0]
    made = demo(truth, 12, 0)
    material = material_of(parsed(made.tables, made.meta), None)
    seen = log_of(material, truth)
    acts = acts_of(material)
    assert len(seen.pushes.user) == material.decisions.sent.sum()
    assert (np.diff(seen.pushes.user) >= 0).all()
    assert seen.met.sum() == (acts.kind == acts.kind.min()).sum()
    assert 0 < seen.visits.sum() <= seen.met.sum()
    assert (np.isfinite(seen.listed).sum(1) == LIST).all()
    # A user's pushes say the same of the user alone and among others.
    some = np.array([2, 5])
    alone = shop[1].of_pushes(seen.pushes.of_users(some, U), truth.traits[some])
    np.testing.assert_allclose(alone, shop[1].of_pushes(seen.pushes, truth.traits)[some])
    assert truth.traits.dtype == TRAITS
