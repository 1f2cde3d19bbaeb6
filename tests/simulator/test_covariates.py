"""Covariates: what a log shows of users becomes columns of one size, and names tell of nobody."""

import numpy as np
import pandas as pd
import pytest

from ingestion.log import time_column
from mdp.clock import DAY, NEVER
from simulator.covariates import LEVELS, MOST, Covariates, covariates_of
from simulator.fit_visits import Visits
from simulator.habits import Habits

U, UNTIL = 200, 100 * DAY
RNG = np.random.default_rng(1)
AGE = RNG.integers(18, 80, U).astype(float)
TIER = np.array(["gold", "silver", "plain", "plain"] * (U // 4))


def habits() -> Habits:
    one = np.ones(U)
    visits = Visits(RNG.gamma(2.0, 0.2, U), one, one, one, 0.0)
    hours = RNG.dirichlet(np.ones(24), U)
    ends = RNG.gamma(2.0, 1.0, (U, 2))
    return Habits(visits, np.ones(7), hours, ends, np.full(U, 0.1), one, 1.0, 0.1, 0.0)


def made(**columns: object) -> Covariates:
    signed = np.arange(U) * DAY // 4
    table = pd.DataFrame(
        {
            "user_id": [f"u{n}" for n in range(U)],
            "timezone": "Asia/Tokyo",
            "signed_up_at": time_column(np.where(np.arange(U) == 3, NEVER, signed)),
            "consent": True,
            "locale": np.where(np.arange(U) % 2 > 0, "en", "de"),
            "preferences": "a|-b",
            **columns,
        }
    )
    return covariates_of(table, habits(), RNG.normal(size=(U, 8)).astype(np.float32), UNTIL)


def of(found: Covariates, name: str) -> np.ndarray:
    return found.columns[:, found.group == found.names.index(name)]


def test_groups_are_alike_in_size_and_constant_ones_are_left_out():
    found = made(age=AGE, tier=TIER)
    assert found.names == (
        *("visits", "items a visit", "days since signing up", "taste", "hours of visits"),
        *("locale", "age", "tier"),
    )
    assert found.columns.dtype == np.float32
    np.testing.assert_allclose(found.columns.mean(0), 0.0, atol=1e-6)
    for name in found.names:
        assert of(found, name).var(0).sum() == pytest.approx(1.0, rel=1e-4)
    assert of(found, "taste").shape[1] == 8
    assert of(found, "tier").shape[1] == 3


def test_what_is_not_known_says_nothing_and_what_is_far_off_no_more_than_what_is_far():
    age = AGE.copy()
    age[5], age[6] = np.nan, 1e9
    found = made(age=age)
    assert of(found, "days since signing up")[3] == pytest.approx(0.0, abs=0.05)
    assert np.abs(of(found, "age")).max() < 15
    assert made(age=np.full(U, np.nan)).names == made().names


def test_texts_that_hardly_two_users_share_are_left_out():
    names = [f"name {n}" for n in range(U)]
    many = [f"town {n % 30}" for n in range(U)]
    found = made(name=names, town=many, mostly=[None] * 20 + ["x"] * (U - 20))
    assert "name" not in found.names
    assert of(found, "town").shape[1] == LEVELS
    assert of(found, "mostly").shape[1] == 1


def test_there_are_no_more_than_so_many_columns():
    found = made(**{f"column {n}": RNG.normal(size=U) for n in range(2 * MOST)})
    assert found.columns.shape == (U, MOST)
    assert len(found.group) == MOST


def test_some_users_keep_their_columns():
    found = made(age=AGE)
    np.testing.assert_array_equal(found.of_users(np.array([4, 7])).columns, found.columns[[4, 7]])
