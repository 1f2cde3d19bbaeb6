"""Users' hours from few visits."""

import numpy as np
import pytest

from simulator.fit_hours import fit_hours


def drawn(hours: np.ndarray, visits: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(len(hours)), visits)
    return owner, np.array([rng.choice(24, p=hours[user]) for user in owner])


def people(width: float) -> np.ndarray:
    """Hours (300, 24) of users who come around 8, 13 or 20 o'clock, give or take `width`."""
    rng = np.random.default_rng(3)
    centre = rng.choice([8.0, 13.0, 20.0], 300) + rng.normal(0, 1, 300)
    apart = np.abs(np.arange(24) - centre[:, None]) % 24
    bump = np.exp(-0.5 * (np.minimum(apart, 24 - apart) / width) ** 2) + 1e-3
    return bump / bump.sum(1, keepdims=True)


@pytest.mark.parametrize(("width", "gain"), [(0.3, 0.02), (2.0, 0.2)])
def test_few_visits_say_more_than_counting_them(width, gain):
    true = people(width)
    found = fit_hours(300, *drawn(true, 8, 0))
    np.testing.assert_allclose(found.sum(1), 1.0)
    owner, hour = drawn(true, 50, 1)
    counts = np.zeros((300, 24))
    np.add.at(counts, drawn(true, 8, 0), 1.0)
    counted = (counts + 5 * counts.mean(0) / 8) / 13
    assert np.log(found[owner, hour]).mean() > np.log(counted[owner, hour]).mean() + gain


def test_someone_unseen_comes_when_all_do_and_nobody_at_any_hour_alike():
    true = people(1.0)
    owner, hour = drawn(true, 8, 0)
    found = fit_hours(301, owner, hour)
    assert np.corrcoef(found[300], true.mean(0))[0, 1] > 0.95
    none = np.zeros(0, np.int64)
    np.testing.assert_allclose(fit_hours(2, none, none), 1 / 24)
