"""Drift of tastes: planted tastes that change come back, and nothing else is taken for it."""

from dataclasses import replace

import numpy as np
import pytest

from ingestion.log import epoch_us
from mdp.clock import DAY
from mdp.events import Kind
from policies.baselines import Hold
from simulator.description import Drift
from simulator.fit_drift import half_life_of
from simulator.habits import Acts
from simulator.worlds.base import START, lived
from simulator.worlds.logit import LogitShop

USERS, WEEKS, CATEGORIES = 250, 12, 8
UNTIL = START + WEEKS * 7 * DAY
EACH = np.arange(CATEGORIES)
"""Every item has a category of its own."""


def viewed(rng, half_life=np.inf, popular=None, errands=0.0):
    """Users' views, one a day on two days of three, by tastes that change or stay. popular: log
    popularity (WEEKS, CATEGORIES). errands: chance that all of a week's views are of one
    category."""
    tastes = rng.dirichlet(np.full(CATEGORIES, 0.6), USERS)
    popular = np.zeros((WEEKS, CATEGORIES)) if popular is None else popular
    parts = []
    for day in range(WEEKS * 7):
        changed = rng.random(USERS) < 1 - np.exp2(-1 / half_life)
        tastes[changed] = rng.dirichlet(np.full(CATEGORIES, 0.6), int(changed.sum()))
        if day % 7 == 0:
            errand = np.where(rng.random(USERS) < errands, rng.integers(CATEGORIES, size=USERS), -1)
        chance = tastes * np.exp(popular[day // 7])
        chance /= chance.sum(1, keepdims=True)
        one = (chance.cumsum(1) < rng.random((USERS, 1))).sum(1).clip(max=CATEGORIES - 1)
        one = np.where(errand >= 0, errand, one)
        came = np.flatnonzero(rng.random(USERS) < 2 / 3)
        parts.append((came, one[came], np.full(len(came), START + day * DAY + 1)))
    owner, category, at = (np.concatenate(each) for each in zip(*parts, strict=True))
    return acts_of(owner, category, at)


def acts_of(owner, item, at) -> Acts:
    views = np.full(len(owner), Kind.VIEW, np.int8)
    return Acts(owner, item, views, at, np.full(len(owner), np.nan))


@pytest.mark.parametrize("half_life", [14.0, pytest.param(40.0, marks=pytest.mark.slow)])
def test_the_half_life_of_planted_tastes_comes_back(half_life):
    found = half_life_of(viewed(np.random.default_rng(1), half_life), EACH, UNTIL, 0)
    assert found is not None
    assert half_life / 1.6 <= found <= 1.6 * half_life


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 3))])
def test_tastes_that_stay_are_found_to(seed):
    assert half_life_of(viewed(np.random.default_rng(seed)), EACH, UNTIL, seed) is None


def test_a_season_is_not_tastes_that_change():
    rng = np.random.default_rng(2)
    season = np.sin(np.arange(WEEKS)[:, None] / 4 + np.arange(CATEGORIES))
    assert half_life_of(viewed(rng, popular=season), EACH, UNTIL, 0) is None


@pytest.mark.slow
def test_a_weeks_errands_are_not_tastes_that_change():
    acts = viewed(np.random.default_rng(2), errands=0.2)
    assert half_life_of(acts, EACH, UNTIL, 0) is None


def test_a_log_that_shows_nothing_shows_no_drift():
    none, acts = np.zeros(0, np.int64), viewed(np.random.default_rng(0), 14.0)
    assert half_life_of(acts_of(none, none, none), EACH, UNTIL, 0) is None
    assert half_life_of(acts, 0 * EACH, UNTIL, 0) is None
    early = np.full(len(acts.at), START - 400 * DAY)
    assert half_life_of(replace(acts, at=early), EACH, UNTIL, 0) is None


def test_a_shop_without_views_is_told_by_what_is_bought():
    acts = viewed(np.random.default_rng(1), 14.0)
    acts = acts_of(*(each[acts.owner < 100] for each in (acts.owner, acts.item, acts.at)))
    bought = replace(acts, kind=np.full(len(acts.at), Kind.PURCHASE, np.int8))
    assert half_life_of(bought, EACH, UNTIL, 0) == half_life_of(acts, EACH, UNTIL, 0) is not None


@pytest.fixture(scope="module")
def shop():
    return LogitShop().simulator(500, 4)


@pytest.mark.slow
@pytest.mark.parametrize("half_life", [None, 15.0])
def test_a_shop_whose_users_change_is_told_from_one_whose_users_stay(shop, half_life):
    if half_life is not None:
        shop = replace(shop, drift=Drift.among(half_life, shop.traits, shop.organic))
    kernel = lived(shop, 56, 0, Hold(), record=True)[1]
    until = int(kernel.at.min())
    views = kernel.tables()["events"].query("event == 'view'")
    views = views[epoch_us(views["at"]) < until]
    _, owner = np.unique(views["user_id"], return_inverse=True)
    item = views["item_id"].map({name: n for n, name in enumerate(shop.catalog.items.ids)})
    _, category = np.unique(shop.catalog.items.categories, return_inverse=True)
    acts = acts_of(owner, item.to_numpy(), epoch_us(views["at"]))
    found = half_life_of(acts, category, until, 0)
    if half_life is None:
        assert found is None
    else:
        assert found is not None
        assert half_life / 1.8 <= found <= 1.8 * half_life
