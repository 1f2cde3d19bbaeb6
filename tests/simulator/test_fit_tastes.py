"""Tastes come out the same however many users are worked on at a time."""

import numpy as np

from simulator import fit_tastes


def test_users_in_blocks_give_the_tastes_of_all_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    met, offered = rng.poisson(0.5, (30, 12)) * 1.0, rng.poisson(1.0, (30, 12)) * 1.0
    category = np.arange(12) % 3
    monkeypatch.setattr(fit_tastes, "STEPS", 40)
    whole = fit_tastes.fit_tastes(met, offered, category, 3, 0)
    monkeypatch.setattr(fit_tastes, "BLOCK", 7 * 12)
    parts = fit_tastes.fit_tastes(met, offered, category, 3, 0)
    np.testing.assert_allclose(parts.user @ parts.item.T, whole.user @ whole.item.T, atol=1e-3)
    np.testing.assert_allclose(parts.preference, whole.preference, atol=1e-4)
    assert whole.user.std() > 0.1


def test_a_taste_weighs_as_much_as_users_keep_to_it():
    rng = np.random.default_rng(0)
    taste = rng.dirichlet(np.ones(40), 300)
    for size in (10.0, 100.0):
        own = np.stack([rng.dirichlet(size * one) for one in taste])
        met = np.stack([rng.multinomial(50, one) for one in own]).astype(float)
        assert 0.5 < fit_tastes.fit_concentration(met, taste) / size < 2.0
