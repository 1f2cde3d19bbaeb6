"""Distances and the baselines of the organic benchmark, where the answer is known."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.organic import bg_nbd, kolmogorov, resampled, shares, total_variation

START = pd.Timestamp("2025-01-01", tz="UTC")
TODAY = 20089


def test_distances_of_known_distributions():
    assert kolmogorov(np.array([0.0, 1.0]), np.array([0.0, 1.0])) == 0
    assert kolmogorov(np.array([0.0, 1.0, 2.0, 3.0]), np.array([2.0, 3.0])) == pytest.approx(0.5)
    a, b = shares(pd.Series(["x", "x", "y", "y"])), shares(pd.Series(["x", "z"]))
    assert total_variation(a, b) == pytest.approx(0.5)


def test_bg_nbd_goes_on_as_customers_did_who_never_left():
    rng = np.random.default_rng(0)
    rate = rng.gamma(4.0, 1 / 80.0, 400)
    past = pd.concat(
        pd.DataFrame(
            {"user_id": f"u{n}", "day": TODAY - 200 + np.flatnonzero(rng.random(200) < rate[n])}
        )
        for n in range(400)
    )
    drawn = bg_nbd(past, START, 100, rng)
    assert drawn["day"].between(TODAY, TODAY + 99).all()
    assert len(drawn) == pytest.approx(len(past) / 2, rel=0.15)


def test_resampling_keeps_to_a_customers_own_past():
    past = pd.DataFrame(
        {"user_id": "a", "item_id": "i", "day": TODAY - np.arange(1, 11), "hour": 9}
    )
    made = resampled(past, START, 30, np.random.default_rng(0))
    assert sorted(made["day"]) == list(range(TODAY, TODAY + 30))
    assert set(made["user_id"]) == {"a"}
