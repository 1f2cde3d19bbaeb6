"""The table of agents on the Open Bandit Dataset."""

from benchmarks.open_bandit import markdown


def test_a_row_says_how_little_the_log_can_tell():
    value = {"value": 0.004, "low": 0.001, "high": 0.01}
    one = {
        "name": "runs/clone",
        "verdict": "cannot_tell",
        "logged": {"value": 0.0077, "low": 0.0035, "high": 0.0138},
        "estimators": {"dr": value, "snips": value},
        "differences": {"dr": {"value": -0.0037, "low": -0.01, "high": 0.002}},
        "diagnostics": {
            "mean_weight": {"value": 0.66, "low": 0.4, "high": 1.0},
            "effective_sample_size": 28.4,
            "rows": 1429,
        },
    }
    text = markdown([one])
    assert text.startswith("logged: 0.77 % [0.35, 1.38] clicks per decision")
    assert text.endswith(
        "| clone | 0.40 % [0.10, 1.00] | 0.40 % [0.10, 1.00] | -0.37 % [-1.00, +0.20] | 0.66 "
        "| 28 of 1,429 | cannot_tell |"
    )
