"""LogitShop: a known-truth shop whose responses are additive on the logit scale.

Its truth is a `ResponseModel` with true traits, so a fit of that form can come close to it. Opens
depend on hour, style, taste and fatigue; purchases on taste and price; unsubscribes on fatigue, so
that a push that earns something today may cost more later.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generation.candidates.noisy_taste import NoisyTaste
from mdp.hashing import STYLE_BUCKETS, hash_ids
from mdp.response import HEADS, ResponseModel, item_features
from mdp.state import TASTE, TRAITS, new_histories
from policies.baselines import Table
from simulator.description import Simulator
from simulator.organic import Organic
from simulator.worlds.base import START, World
from simulator.worlds.population import Goods, Population, demo_goods, demo_population

LIST = 32
"""Length of a user's own list of items."""

#                              open  click  buy    dismiss  unsubscribe
_BASE = np.array([-2.35, -0.65, -2.2, -2.4, -6.35])
_WEIGHTS = {
    "hours_weight": np.array([0.55, 0.1, 0.0, -0.2, -0.15]),
    "openness_weight": np.array([0.6, 0.15, 0.0, -0.3, -0.4]),
    "tolerance_weight": np.array([0.0, 0.0, 0.0, -0.3, -0.5]),
    "fatigue_weight": np.array([-0.2, -0.08, 0.0, 0.1, 0.34]),
    "taste_weight": np.array([0.25, 0.45, 0.35, -0.1, -0.1]),
    "price_weight": np.array([0.0, -0.15, -0.35, 0.0, 0.0]),
    "repetition_weight": np.array([-0.35, -0.3, -0.1, 0.3, 0.3]),
    "bought_weight": np.array([-0.2, -0.8, -2.0, 0.3, 0.2]),
    "views_weight": np.array([0.15, 0.3, 0.25, 0.0, 0.0]),
    "styles_weight": np.array([0.45, 0.15, 0.0, -0.2, -0.2]),
    "wear_weight": np.array([-0.12, -0.06, 0.0, 0.08, 0.05]),
}
_ITEM_WEIGHT = np.array([[0.0, -0.1, -0.35, 0.0, 0.0], [0.08, 0.1, 0.15, 0.0, 0.0]])
_SPREAD = {
    "weekday": np.array([0.08, 0.05, 0.1, 0.05, 0.0]),
    "hour": np.array([0.08, 0.0, 0.0, 0.05, 0.05]),
    "item_effect": np.array([0.15, 0.25, 0.3, 0.0, 0.0]),
    "variant_effect": np.array([0.15, 0.1, 0.0, 0.15, 0.2]),
}
HALF_LIVES = np.array([4.0, 7.0, 14.0, 30.0])
TOLERANCE = 0.5
"""Standard deviation of users' tolerance; that of their other effects is 1."""
OWN, COMMON = 0.7, 0.4
"""Probability that an item met comes from the user's own list, and what popularity, in standard
deviations, adds to the recommender's guesses."""


@dataclass(frozen=True)
class LogitShop(World):
    """The additive known-truth world."""

    name: str = "logit"
    explained: float = 0.0
    """Share of the variance of users' effects that follows from what a log shows of them."""
    spread: float = 1.0
    """Standard deviation of openness around its mean."""

    def mean_openness(self, people: Population | Organic) -> np.ndarray:
        """What the openness of people with such habits is drawn around (U,)."""
        return np.zeros(len(people.buy))

    def simulator(self, users: int, seed: int, start: int = START) -> Simulator:
        """See `World.simulator`."""
        rng = np.random.default_rng([seed, 11])
        goods = demo_goods(rng)
        return self.over(goods, demo_population(users, rng, start), seed, start)

    def over(self, goods: Goods, population: Population, seed: int, start: int) -> Simulator:
        """See `World.over`."""
        rng = np.random.default_rng([seed, 13])
        liking = population.taste @ goods.taste.T
        return Simulator(
            catalog=goods.catalog,
            users=population.users,
            traits=explained_by(population, _traits(population, rng), self.explained, seed),
            response=additive_truth(goods, rng),
            organic=_organic(goods, population, liking),
            histories=new_histories(len(population.users)),
            start=start,
            recommender=_recommender(goods, population, liking, self.recommender_noise, rng),
            logging=logging_policy(),
            world=self.name,
        )


def logging_policy() -> Table:
    """How the shop decided so far: most days a push, mostly the first items, plain copy, and the
    hours at which somebody once set the schedule."""
    hours = np.full(24, 0.3)
    hours[[9, 12, 18]] = 2.0
    hours[[10, 19, 20]] = 1.0
    return Table(
        send=0.45,
        items=np.array([4.0, 3.0, 2.5, 2.0, 1.5, 1.2, 1.0, 0.8, 0.6, 0.5]),
        variants=np.array([3.0, 2.0, 1.5, 1.5, 1.0, 1.0]),
        hours=hours,
    )


def _traits(population: Population, rng: np.random.Generator) -> np.ndarray:
    size = len(population.users)
    traits = np.zeros(size, TRAITS)
    traits["taste"] = population.taste
    traits["hours"] = fitness(population.hours)
    traits["styles"] = rng.normal(size=(size, STYLE_BUCKETS))
    traits["openness"] = rng.normal(size=size)
    traits["tolerance"] = rng.normal(0.0, TOLERANCE, size)
    traits["price"] = rng.normal(size=size)
    traits["known"] = 1
    return traits


def fitness(hours: np.ndarray) -> np.ndarray:
    """How well each hour fits users (U, 24), from when they visit (U, 24)."""
    profile = np.log(hours + 0.004)
    profile -= profile.mean(1, keepdims=True)
    return (profile / profile.std(1, keepdims=True)).clip(-2.0, 2.0)


def explained_by(population: Population, traits: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Traits (U,) of whose effects a share of the variance follows from tastes, from how much users
    visit and buy, and from where they live; the traits as they are for none."""
    if not share:
        return traits
    rng = np.random.default_rng([seed, 37])
    _, zone = np.unique(population.users.zones, return_inverse=True)
    habits = [np.log(each) for each in (population.sessions, population.touches, population.buy)]
    places = np.eye(zone.max() + 1)[zone]
    seen = np.concatenate([population.taste, np.stack(habits, 1), places], 1)
    seen = (seen - seen.mean(0)) / np.maximum(seen.std(0), 1e-9)
    out = traits.copy()
    for name in ("styles", "openness", "tolerance", "price"):
        own = traits[name].reshape(len(traits), -1)
        told = seen @ rng.normal(size=(seen.shape[1], own.shape[1]))
        told *= own.std(0) / np.maximum(told.std(0), 1e-9)
        mixed = np.sqrt(1.0 - share) * own + np.sqrt(share) * told
        out[name] = mixed.reshape(traits[name].shape)
    return out


def additive_truth(goods: Goods, rng: np.random.Generator) -> ResponseModel:
    """The truth's parameters, effects of items, copy, hours and weekdays drawn."""
    catalog, H = goods.catalog, len(HEADS)
    features = item_features(catalog)
    categories = sorted(set(catalog.items.categories))
    of = np.array(catalog.items.categories)
    centres = np.stack([goods.taste[of == name].mean(0) for name in categories])
    sizes = {
        "weekday": 7,
        "hour": 24,
        "item_effect": len(catalog.items),
        "variant_effect": len(catalog.variants),
    }
    drawn = {
        name: (_SPREAD[name] * rng.normal(size=(size, H))).astype(np.float32)
        for name, size in sizes.items()
    }
    return ResponseModel(
        **{name: weights.astype(np.float32) for name, weights in _WEIGHTS.items()},
        **drawn,
        base=_BASE.astype(np.float32),
        item_weight=_ITEM_WEIGHT.astype(np.float32),
        # The shop's own: a currency's unit, or no discounts at all, move no rate.
        item_center=features.mean(0).astype(np.float32),
        item_scale=np.maximum(features.std(0), 0.01).astype(np.float32),
        item_hash=catalog.items.hashes,
        item_taste=goods.taste.astype(np.float32),
        category_hash=hash_ids(categories),
        category_taste=centres.reshape(-1, TASTE).astype(np.float32),
        variant_hash=catalog.variants.hashes,
        style=np.zeros((STYLE_BUCKETS, H), np.float32),
        half_lives=HALF_LIVES.astype(np.float32),
    )


def commonly(popularity: np.ndarray) -> np.ndarray:
    """What popularity (I,) adds to the recommender's scores (I,)."""
    return COMMON * popularity / max(float(popularity.std()), 1e-9)


def guessed(
    liking: np.ndarray, popularity: np.ndarray, noise: float, rng: np.random.Generator
) -> np.ndarray:
    """The recommender's scores (U, I): likings (U, I) seen through noise, with popularity (I,)."""
    return liking + commonly(popularity) + noise * rng.normal(size=liking.shape)


def best(score: np.ndarray, count: int) -> np.ndarray:
    """Columns (U, count) of the highest scores (U, I), best first."""
    count = min(count, score.shape[1])
    top = np.argpartition(-score, count - 1, axis=1)[:, :count]
    order = np.argsort(-np.take_along_axis(score, top, 1), axis=1)
    return np.take_along_axis(top, order, 1)


def _softmax(score: np.ndarray) -> np.ndarray:
    powers = np.exp(score - score.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _organic(goods: Goods, population: Population, liking: np.ndarray) -> Organic:
    size = len(population.users)
    score = liking + goods.popularity
    own = best(score, LIST)
    return Organic(
        sessions=population.sessions.astype(np.float32),
        weekday=np.array([0.95, 0.92, 0.93, 0.97, 1.0, 1.13, 1.1], np.float32),
        hours=population.hours.astype(np.float32),
        touches=population.touches.astype(np.float32),
        own=np.full(size, OWN, np.float32),
        own_items=own.astype(np.int32),
        own_weight=_softmax(np.take_along_axis(score, own, 1)).astype(np.float32),
        popularity=_softmax(goods.popularity).astype(np.float32),
        buy=population.buy.astype(np.float32),
        spend=goods.catalog.items.price,
    )


def _recommender(
    goods: Goods,
    population: Population,
    liking: np.ndarray,
    noise: float,
    rng: np.random.Generator,
) -> NoisyTaste:
    hashes, users = goods.catalog.items.hashes, population.users
    order = np.argsort(users.hashes)
    score = guessed(liking, goods.popularity, noise, rng)[order]
    own = best(score, LIST)
    return NoisyTaste(
        user_hash=users.hashes[order],
        guess=hashes[own],
        score=np.take_along_axis(score, own, 1).astype(np.float32),
        popular=hashes[np.argsort(-goods.popularity)[:LIST]],
        catalog=goods.catalog,
    )
