"""Baselines learn what is planted, and calibration tells right predictions from wrong ones."""

from dataclasses import replace

import numpy as np
import pytest

from mdp.wording import WORDING
from simulator.fidelity_heads import against_baselines, calibration_of
from simulator.fidelity_judged import Judged
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
        "special": whole,
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
        come=np.ones((sends, 5), bool),
        wording=np.zeros((sends, len(WORDING)), np.float32),
        decided_at=at,
        **terms,
    ), p


def judged_by(p: np.ndarray, judged: Sends) -> Judged:
    """Predictions p (S, 5) of some pushes, beside what 8,000 others tell."""
    members = np.stack([p, 0.5 * p])
    return Judged(planted(0, 8000)[0], judged, judged.asked, p, 0.9 * p, members, USERS)


def test_boosting_comes_near_the_truth_and_rates_do_not():
    judged, p = planted(1, 4000)
    found = against_baselines(judged_by(p, judged))
    mine = found["open"]
    assert mine["log_loss"] < mine["log_loss_of_boosting"] < mine["log_loss"] * 1.06
    assert mine["log_loss_of_boosting"] < mine["log_loss_of_user_rate"] - 0.03
    assert mine["log_loss_of_user_rate"] < mine["log_loss_of_rate"] - 0.03
    ratio = mine["log_loss"] / mine["log_loss_of_boosting"]
    assert mine["over_boosting"] == pytest.approx(ratio - 1)
    assert 0.002 < mine["standard_error"] < 0.02
    assert mine["rate"] == pytest.approx(judged.outcome[:, 0].mean())
    assert mine["members"] == pytest.approx([mine["predicted"], mine["predicted"] / 2])
    assert mine["seen"] == pytest.approx(0.9 * mine["predicted"])
    assert found["unsubscribe"] == {"pushes": 4000, "log_loss": None}


def test_pushes_of_one_night_are_judged_too():
    judged, p = planted(1, 600)
    known = planted(0, 1200)[0]
    night = replace(known, decided_at=np.zeros(len(known.user), np.int64))
    found = against_baselines(replace(judged_by(p, judged), known=night))
    assert 0.0 < found["open"]["log_loss_of_boosting"] < found["open"]["log_loss_of_rate"]


def test_calibration_tells_right_from_wrong():
    judged, p = planted(1, 4000)
    right = against_baselines(judged_by(p, judged))["open"]
    assert right["calibration_error"] < 0.03
    assert right["calibration_slope"] == pytest.approx(1, abs=0.1)
    logit = np.log(p / (1 - p))
    wild = 1 / (1 + np.exp(-2 * logit))
    wrong = against_baselines(judged_by(wild, judged))["open"]
    assert wrong["calibration_error"] > 0.05
    assert wrong["calibration_slope"] == pytest.approx(0.5, abs=0.08)
    groups = np.array(calibration_of(judged_by(wild, judged))["open"])
    assert groups[:, 2].sum() == 4000
    assert groups[0, 0] < groups[0, 1]
    assert groups[-1, 0] > groups[-1, 1]
