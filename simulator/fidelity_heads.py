"""Heads of a fit on pushes that it has not seen, beside simple and strong baselines.

The baselines know what the head knows: a constant rate, each user's rate shrunk to it, and
gradient boosting (LightGBM; Ke et al., 2017) on the head's terms, what was sent, when, and the
user's rates until then.
"""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np

from mdp.response import HEADS
from simulator.fidelity_judged import Judged
from simulator.sends import Sends, log_loss, losses

SHRINK = 10.0
"""Pushes at the common rate that are added to each user's own."""
LAST = 0.2
"""Share of the known pushes, the latest, that say when boosting has learned enough."""
ROUNDS, PATIENCE = 300, 20
BOOSTING = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 7,
    "min_data_in_leaf": 50,
    "lambda_l2": 5.0,
    "num_threads": 1,
    "deterministic": True,
    "force_col_wise": True,
    "verbose": -1,
}
CATEGORIES = ("item", "variant", "bucket", "weekday")
NUMBERS = ("hour", "liking", "profile", "fatigue", "repetition", "wear", "bought", "views")
GROUPS, BINS = 10, 8
"""Equal groups of pushes: of the calibration error, and of its picture."""


def against_baselines(judged: Judged) -> dict[str, dict[str, Any]]:
    """Figures by head on the pushes judged.

    `pushes` judged, the `rate` of the outcome among them and its `predicted` mean, that `seen` by
    policies (of later days) and that of each of the ensemble's `members`; log-loss in nats of the
    fit (`log_loss`), the known pushes' rate, users' rates and boosting; how far the fit's is
    `over_boosting`, as a share of it, and that share's `standard_error` over users; the calibration
    error (mean distance of predicted and observed rates in ten equal groups) and slope (of the
    outcome's logit on the prediction's; 1 is right). `log_loss` is None, and the rest missing,
    where nothing can be said.
    """
    known, sends = judged.known, judged.sends
    rates, later_rates = _past(known), _rates_of(known, sends, judged.users)
    figures: dict[str, dict[str, Any]] = {}
    for head, name in enumerate(HEADS):
        mine, theirs = known.asked[:, head], judged.asked[:, head]
        y, outcome = known.outcome[mine, head], sends.outcome[theirs, head]
        p = judged.probability[theirs, head]
        if not (0 < y.sum() < len(y)) or not (0 < outcome.sum() < len(outcome)):
            figures[name] = {"pushes": len(outcome), "log_loss": None}
            continue
        boosted = _boosted(
            _features(known, rates)[mine],
            y,
            known.decided_at[mine],
            _features(sends, later_rates)[theirs],
        )
        over, error = _over(p, boosted, outcome, sends.user[theirs])
        figures[name] = {
            "pushes": len(outcome),
            "rate": float(outcome.mean()),
            "predicted": float(p.mean()),
            "members": [float(each[theirs, head].mean()) for each in judged.members],
            "log_loss": log_loss(p, outcome),
            "log_loss_of_rate": log_loss(np.full(len(outcome), y.mean()), outcome),
            "log_loss_of_user_rate": log_loss(later_rates[theirs, head], outcome),
            "log_loss_of_boosting": log_loss(boosted, outcome),
            "over_boosting": over,
            "standard_error": error,
            "calibration_error": calibration_error(p, outcome),
            "calibration_slope": _slope(p, outcome),
        }
        if judged.seen is not None:
            figures[name]["seen"] = float(judged.seen[theirs, head].mean())
    return figures


def calibration_of(judged: Judged) -> dict[str, list[list[float]]]:
    """By head, mean prediction, observed rate and number in each of up to 8 equal groups."""
    out = {}
    for head, name in enumerate(HEADS):
        asked = judged.asked[:, head]
        p, outcome = judged.probability[asked, head], judged.sends.outcome[asked, head]
        groups = np.array_split(np.argsort(p, kind="stable"), BINS)
        out[name] = [
            [float(p[g].mean()), float(outcome[g].mean()), float(len(g))] for g in groups if len(g)
        ]
    return out


def _over(
    p: np.ndarray, boosted: np.ndarray, outcome: np.ndarray, user: np.ndarray
) -> tuple[float, float]:
    """By how much the log-loss of predictions (n,) is above boosting's, as a share of it, and the
    standard error of that, a user's pushes being one draw."""
    each, base = (losses(some, outcome) for some in (p, boosted))
    over = float(each.sum() / base.sum() - 1.0)
    _, row = np.unique(user, return_inverse=True)
    apart = np.bincount(row, each - (1.0 + over) * base)
    return over, float(np.sqrt(np.square(apart).sum()) / base.sum())


def _shrunk(asked: np.ndarray, came: np.ndarray, known: Sends) -> np.ndarray:
    """Rates (n, 5) from numbers, shrunk to the common rate."""
    common = known.outcome.sum(0, where=known.asked) / np.maximum(known.asked.sum(0), 1)
    return (came + SHRINK * common) / (asked + SHRINK)


def _past(known: Sends) -> np.ndarray:
    """Each known push's user's rates (S, 5) before it."""
    order = np.lexsort((known.decided_at, known.user))
    asked = known.asked[order].astype(np.float64)
    came = known.outcome[order] * asked
    begin = np.searchsorted(known.user[order], known.user[order])
    before = [total.cumsum(0) - total for total in (asked, came)]
    asked, came = (total - total[begin] for total in before)
    out = np.empty_like(asked)
    out[order] = _shrunk(asked, came, known)
    return out


def _rates_of(known: Sends, judged: Sends, users: int) -> np.ndarray:
    """Rates (S, 5) of the judged pushes' users in all known pushes."""
    asked, came = np.zeros((users, len(HEADS))), np.zeros((users, len(HEADS)))
    np.add.at(asked, known.user, known.asked)
    np.add.at(came, known.user, known.outcome * known.asked)
    return _shrunk(asked, came, known)[judged.user]


def _features(sends: Sends, rates: np.ndarray) -> np.ndarray:
    """(S, F) float64; categories first."""
    own = np.stack([getattr(sends, name) for name in (*CATEGORIES, *NUMBERS)], 1)
    return np.concatenate([own, sends.item_features, rates], 1).astype(np.float64)


def _boosted(x: np.ndarray, y: np.ndarray, at: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Probabilities (m,) of new rows."""

    def data(rows: np.ndarray) -> lightgbm.Dataset:
        return lightgbm.Dataset(x[rows], y[rows], categorical_feature=[*range(len(CATEGORIES))])

    # By rank: in a shop that decides for all at once many pushes are of one instant.
    order, late = np.argsort(at, kind="stable"), np.zeros(len(at), bool)
    late[order[int((len(at) - 1) * (1 - LAST)) + 1 :]] = True
    tried = lightgbm.train(
        BOOSTING,
        data(~late),
        ROUNDS,
        valid_sets=[data(late)],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    rounds = max(tried.best_iteration, 1)
    every = np.ones(len(y), bool)
    return np.asarray(lightgbm.train(BOOSTING, data(every), rounds).predict(new))


def calibration_error(p: np.ndarray, outcome: np.ndarray) -> float:
    """Mean distance of predicted (n,) and observed rates in ten equal groups."""
    groups = np.array_split(np.argsort(p, kind="stable"), min(GROUPS, len(p)))
    return float(sum(abs(p[g].sum() - outcome[g].sum()) for g in groups) / len(p))


def _slope(p: np.ndarray, outcome: np.ndarray) -> float:
    """By Newton's method with short steps, and a pull to 1 that counts as little as one push."""
    p = np.clip(p.astype(np.float64), 1e-6, 1 - 1e-6)
    logit = np.log(p / (1 - p))
    x = np.stack([np.ones(len(p)), logit - logit.mean()], 1)
    start, prior = np.array([logit.mean(), 1.0]), np.eye(2) * 0.1
    weight = start
    for _ in range(30):
        q = 1 / (1 + np.exp(-np.clip(x @ weight, -30, 30)))
        gradient = x.T @ (outcome - q) - prior @ (weight - start)
        curvature = (x * (q * (1 - q))[:, None]).T @ x + prior
        weight = weight + np.clip(np.linalg.solve(curvature, gradient), -1, 1)
    return float(weight[1])
