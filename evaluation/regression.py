"""A reward model for a log of contexts and actions, cross-fitted: no row's prediction has seen its
own user's rewards (Chernozhukov et al. 2018, "Double/debiased machine learning")."""

from __future__ import annotations

import numpy as np

from mdp.errors import BadInput

_STEPS = 50
_CHUNK = 200_000
"""Rows × actions predicted at a time."""


def cross_fitted_rewards(
    context: np.ndarray,
    action: np.ndarray,
    reward: np.ndarray,
    target: np.ndarray,
    action_features: np.ndarray | None = None,
    user: np.ndarray | None = None,
    folds: int = 3,
    strength: float = 100.0,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """q_logged and v_target (n,) float64 each: expected rewards of the logged actions, and under
    the target policy.

    context: (n, d) float64; action: (n,) int64; reward: (n,) float64, logistic regression where it
    is 0 or 1 throughout, else ridge regression; target: (n, K) float64, the target's probabilities;
    action_features: (K, f) float64, default one indicator per action; user: (n,) int64 codes, whose
    rows stay in one fold; strength: C, the inverse of the penalty. Raises `BadInput` for shapes
    that don't fit.
    """
    n, K = target.shape
    features = np.eye(K)[:, 1:] if action_features is None else action_features
    if not len(context) == len(action) == len(reward) == n or len(features) != K:
        raise BadInput(
            f"shapes don't fit: context {context.shape}, action {action.shape}, reward "
            f"{reward.shape}, target {target.shape}, action_features {features.shape}"
        )
    codes = np.arange(n) if user is None else user
    fold = np.random.default_rng(seed).permutation(int(codes.max()) + 1)[codes] % folds
    binary = bool(np.isin(reward, (0.0, 1.0)).all())
    q, v = np.zeros(n), np.zeros(n)
    for number in range(folds):
        own = np.flatnonzero(fold == number)
        others = fold != number
        design = np.column_stack([np.ones(others.sum()), context[others], features[action[others]]])
        fitted = (logistic if binary else ridge)(design, reward[others], strength)
        by_context = fitted[0] + context[own] @ fitted[1 : 1 + context.shape[1]]
        by_action = features @ fitted[1 + context.shape[1] :]
        for start in range(0, len(own), size := max(1, _CHUNK // K)):
            rows = own[start : start + size]
            score = by_context[start : start + size, None] + by_action
            expected = 1.0 / (1.0 + np.exp(-score)) if binary else score
            q[rows] = expected[np.arange(len(rows)), action[rows]]
            v[rows] = (target[rows] * expected).sum(1)
    return q, v


def ridge(design: np.ndarray, values: np.ndarray, strength: float) -> np.ndarray:
    """Coefficients (d,) of penalised least squares; design: (n, d), its first column constant."""
    return np.linalg.solve(design.T @ design + _penalty(design, strength), design.T @ values)


def logistic(design: np.ndarray, values: np.ndarray, strength: float) -> np.ndarray:
    """Coefficients (d,) of penalised logistic regression, by Newton's method with halved steps."""
    penalty = _penalty(design, strength)
    weights = np.zeros(design.shape[1])

    def loss(at: np.ndarray) -> float:
        score = design @ at
        return float(np.logaddexp(0.0, score).sum() - values @ score + at @ penalty @ at / 2)

    now = loss(weights)
    for _ in range(_STEPS):
        p = 1.0 / (1.0 + np.exp(-(design @ weights)))
        gradient = design.T @ (p - values) + penalty @ weights
        curvature = (design * (p * (1 - p))[:, None]).T @ design + penalty
        step = np.linalg.solve(curvature, gradient)
        while (after := loss(weights - step)) > now and np.abs(step).max() > 1e-10:
            step /= 2
        weights, gained, now = weights - step, now - after, after
        if gained < 1e-9 * (1 + abs(now)):
            break
    return weights


def _penalty(design: np.ndarray, strength: float) -> np.ndarray:
    """1 / C on all but the constant, which gets a trace of it so that a solution always exists."""
    penalty = np.eye(design.shape[1]) / strength
    penalty[0, 0] = 1e-9
    return penalty
