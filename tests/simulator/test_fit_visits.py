"""Rates and leaving read from visits are those that the visits were drawn with."""

import numpy as np
import pytest

from simulator import fit_visits as fit_visits_module
from simulator.fit_visits import fit_beta, fit_visits

DAYS = 200


def drawn(users, leaving, seed=0):
    """Counts, last days and days known of users whose rates and lives are drawn, those rates, and
    who still comes."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(1.5, 1 / 15.0, users)
    life = rng.exponential(1 / rng.gamma(1.0, 1 / 150.0, users)) if leaving else np.inf
    known = rng.integers(60, DAYS, users).astype(float)
    came = rng.random((users, DAYS)) < -np.expm1(-rate)[:, None]
    came &= np.arange(DAYS) < np.minimum(known, life)[:, None]
    last = np.where(came.any(1), DAYS - came[:, ::-1].argmax(1), 0)
    return came.sum(1), last.astype(float), known, rate, life > known


def test_rates_of_users_who_never_leave():
    count, last, known, rate, _ = drawn(2000, leaving=False)
    visits = fit_visits(count, last, known)
    assert visits.leaving == 0
    np.testing.assert_array_equal(visits.alive, 1.0)
    assert visits.sessions.mean() == pytest.approx(rate.mean(), rel=0.03)
    # Draws about the means spread as the rates do.
    spread = visits.sessions.var() + (visits.sessions**2 / visits.shape).mean()
    assert spread == pytest.approx(rate.var(), rel=0.1)
    assert (visits.shape - count)[0] == pytest.approx(1.5, rel=0.15)


def test_users_who_leave_for_good():
    count, last, known, rate, here = drawn(2000, leaving=True)
    visits = fit_visits(count, last, known)
    assert visits.leaving == pytest.approx(1.0, rel=0.6)
    assert visits.alive.mean() == pytest.approx(here.mean(), abs=0.05)
    silent = (known - last > 60) & (count > 10)
    assert visits.alive[silent].mean() == pytest.approx(here[silent].mean(), abs=0.1)
    assert visits.alive[silent].mean() < 0.3 < 0.9 < visits.alive[known - last < 5].mean()
    assert visits.sessions[here].mean() == pytest.approx(rate[here].mean(), rel=0.1)
    later = (visits.staying / (visits.staying + 30)) ** visits.leaving
    gone = np.random.default_rng(1).random(2000) < 1 - later
    assert 0.05 < gone[here].mean() < 0.25


def test_probabilities_that_differ_by_user():
    rng = np.random.default_rng(0)
    p, trials = rng.beta(2.0, 6.0, 2000), rng.integers(1, 30, 2000)
    yes = rng.binomial(trials, p)
    np.testing.assert_allclose(fit_beta(yes, trials - yes), [2.0, 6.0], rtol=0.15)


def test_hardly_any_data():
    nothing = np.zeros(3)
    visits = fit_visits(nothing, nothing, nothing)
    assert np.isfinite(visits.sessions).all()
    assert (visits.sessions > 0).all()
    assert visits.leaving == 0
    one = fit_visits(np.array([1]), np.array([3.0]), np.array([10.0]))
    assert one.sessions[0] == pytest.approx(0.1, rel=0.5)
    assert np.isfinite(fit_beta(nothing, nothing)).all()


def test_many_users_are_fitted_to_some_of_them_and_worked_on_in_parts(monkeypatch):
    count, last, known, _, here = drawn(3000, leaving=True)
    monkeypatch.setattr(fit_visits_module, "MOST_FITTED", 1300)
    visits = fit_visits(count, last, known)
    assert len(visits.alive) == 3000
    assert visits.alive.mean() == pytest.approx(here.mean(), abs=0.05)
    assert np.corrcoef(visits.alive, here)[0, 1] > 0.7
