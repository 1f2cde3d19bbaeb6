"""What the benchmark of simulated against true values says of values whose answer is known."""

import pytest

from benchmarks.fidelity import judged


def test_errors_are_shares_of_the_best_true_value_and_ranks_are_compared():
    rows = [
        {"policy": "a", "simulated": 1.0, "true": 2.0, "spread": 0.1},
        {"policy": "b", "simulated": 3.0, "true": 4.0, "spread": 0.3},
        {"policy": "c", "simulated": 2.5, "true": 5.0, "spread": 0.2},
    ]
    found = judged(rows)
    assert found["error"] == pytest.approx(1.5 / 5)
    assert found["worst"] == pytest.approx(2.5 / 5)
    assert found["rank_correlation"] == pytest.approx(0.5)
    assert found["spread"] == pytest.approx(0.2 / 5)
