"""The table of thresholds."""

import numpy as np
import pytest

from benchmarks.thresholds import HINDSIGHT, PLANNER, Shop, table
from benchmarks.thresholds import REFERENCE as SEARCHED


@pytest.fixture
def shops():
    """Three of one world, whose gains differ by one point, and one of another."""
    rng = np.random.default_rng(0)

    def shop(world: str, more: float) -> Shop:
        own = rng.normal(0.6, 0.2, 400)
        values = {SEARCHED: own, HINDSIGHT: own + 0.01, PLANNER: own + 0.02, "ppo-0": own + more}
        return Shop(world, values, 1.15)

    return [shop("logit", 0.02 + 0.01 * n) for n in range(3)] + [shop("hazard", 0.05)]


def test_differences_are_paired_and_averaged_over_shops(shops):
    rows = table(shops, ["ppo-0"]).splitlines()
    assert rows[0] == "| points of the oracle's value | logit | hazard |"
    cells = {row.split(" | ")[0]: row.split(" | ")[1:] for row in rows[2:]}
    ours = cells[f"| ppo-0 − {HINDSIGHT}"]
    assert ours[0] == "+2.0 ±2.5"  # 1, 2 and 3 points: Student's t of two degrees of freedom
    assert ours[1] == "+4.0 ±0.0 |"
    assert cells[f"| {HINDSIGHT} − {SEARCHED}"][0] == "+1.0 ±0.0"
    assert cells[f"| ppo-0 − {PLANNER}"][1] == "+3.0 ±0.0 |"
