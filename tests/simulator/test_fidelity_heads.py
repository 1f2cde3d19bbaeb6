"""Baselines learn what is planted, and calibration tells right predictions from wrong ones."""

from typing import Any

import numpy as np
import pytest

from mdp.wording import WORDING
from simulator.fidelity_heads import against_baselines
from simulator.sends import Sends

USERS = 200


def planted(seed: int, sends: int) -> tuple[Sends, np.ndarray]:
    """Pushes whose opening depends on the user, the hour and fatigue; the true probabilities."""
    rng = np.random.default_rng(seed)
    user = rng.integers(0, USERS, sends)
    hour, fatigue = rng.integers(0, 24, sends), rng.random(sends)
    openness = np.random.default_rng(0).normal(0, 1, USERS)
    logit = openness[user] - 1 + 2.0 * (hour > 17) - 2.0 * fatigue
    p = np.full((sends, 5), 0.1, np.float32)
    p[:, 0] = 1 / (1 + np.exp(-logit))
    zero = np.zeros(sends, np.float32)
    came = (rng.random((sends, 5)) < p).astype(np.float32)
    came[:, 1:3] *= came[:, :1]
    came[:, 2] *= came[:, 1]
    came[:, 4] = 0.0
    whole = np.zeros(sends, np.int64)
    terms: dict[str, np.ndarray] = {
        "item": whole,
        "variant": whole,
        "bucket": whole,
        "weekday": whole,
    }
    terms |= dict.fromkeys(("liking", "profile", "repetition", "wear", "bought", "views"), zero)
    features = np.zeros((sends, 2), np.float32)
    at = np.arange(sends) + seed * 10**6
    return Sends(
        user=user,
        hour=hour,
        fatigue=fatigue.astype(np.float32),
        item_features=features,
        outcome=came,
        wording=np.zeros((sends, len(WORDING)), np.float32),
        decided_at=at,
        **terms,
    ), p


def test_boosting_comes_near_the_truth_and_rates_do_not():
    known, _ = planted(0, 8000)
    judged, p = planted(1, 4000)
    found: dict[str, Any] = against_baselines(known, judged, p, USERS)
    mine = found["open"]
    assert mine["log_loss"] < mine["log_loss_of_boosting"] < mine["log_loss"] * 1.06
    assert mine["log_loss_of_boosting"] < mine["log_loss_of_user_rate"] - 0.03
    assert mine["log_loss_of_user_rate"] < mine["log_loss_of_rate"] - 0.03
    assert found["unsubscribe"] == {"pushes": 4000.0, "log_loss": None}


def test_calibration_tells_right_from_wrong():
    known, _ = planted(0, 8000)
    judged, p = planted(1, 4000)
    right: Any = against_baselines(known, judged, p, USERS)["open"]
    assert right["calibration_error"] < 0.03
    assert right["calibration_slope"] == pytest.approx(1, abs=0.1)
    logit = np.log(p / (1 - p))
    wild = 1 / (1 + np.exp(-2 * logit))
    wrong: Any = against_baselines(known, judged, wild, USERS)["open"]
    assert wrong["calibration_error"] > 0.05
    assert wrong["calibration_slope"] == pytest.approx(0.5, abs=0.08)
