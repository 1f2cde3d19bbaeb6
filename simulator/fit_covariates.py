"""Which covariates tell something of users' effects, and how much: coefficients with ridge priors.

Each group of covariates has one width for each effect; it is the one under which the pushes are
likeliest, users' own parts and the coefficients integrated out about a fit (Laplace), or 0 where
that is not much likelier. Groups are taken up one after the other, so a group that says again what
another has said gets none.

Tolerance is left to its users: the others' curvatures are those of a maximum, and it has none.

Tipping (2001). Sparse Bayesian learning and the relevance vector machine. JMLR 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mdp.hashing import STYLE_BUCKETS
from simulator.covariates import Covariates
from simulator.fit_heads import predicted
from simulator.sends import CLICK, OPEN, Sends
from simulator.users_prior import COEFFICIENTS, UsersPrior
from simulator.widths import Widths

LEAST = 5.0
"""Nats by which a group must make the pushes likelier. A group that tells nothing reaches that in
one of a thousand cases, and there are some ten groups by four effects."""
TRIED = (0.0, 0.1, 0.2, 0.35, 0.5, 0.8)
"""Widths that are tried, as shares of that of a user's own part."""
SWEEPS = 3


@dataclass(frozen=True)
class _Evidence:
    """What the pushes say of M sets of coefficients of one effect: b of log likelihood
    pull · b - b · curvature · b / 2."""

    pull: np.ndarray
    """(M, C) float64"""
    curvature: np.ndarray
    """(M, C, C) float64"""

    def of(self, width: np.ndarray) -> float:
        """Log likelihood gained by coefficients with widths (C,), integrated out."""
        some = width > 0
        if not some.any():
            return 0.0
        root, half = self._root(width, some)
        return float(np.square(half).sum() / 2 - np.log(np.diagonal(root, 0, 1, 2)).sum())

    def mean(self, width: np.ndarray) -> np.ndarray:
        """Coefficients (M, C) float64 that are likeliest under widths (C,)."""
        some, out = width > 0, np.zeros(self.pull.shape)
        if not some.any():
            return out
        root, half = self._root(width, some)
        out[:, some] = width[some] * np.linalg.solve(root.mT, half[..., None])[..., 0]
        return out

    def _root(self, width: np.ndarray, some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scale = width[some]
        inner = self.curvature[:, some][:, :, some] * np.outer(scale, scale)
        root = np.linalg.cholesky(np.eye(len(scale)) + inner)
        return root, np.linalg.solve(root, (scale * self.pull[:, some])[..., None])[..., 0]


def likeliest_prior(
    heads: dict[str, np.ndarray],
    sends: Sends,
    widths: Widths,
    covariates: Covariates,
    before: UsersPrior | None,
) -> UsersPrior | None:
    """The prior with the highest evidence, judged about heads that were fitted to the pushes under
    `widths` and the prior `before`; None where covariates tell nothing."""
    own = heads if before is None else heads | before.as_fitted(heads).own(heads)
    found, coefficients, moved = {}, {}, np.zeros((len(covariates.columns), 1))
    said, shared = _said(own, predicted(heads, sends), sends, widths)
    for effect, (pull, curvature) in said.items():
        begin = np.zeros((len(covariates.group), *own[effect].shape[1:]), np.float32)
        begin = heads.get(effect + COEFFICIENTS, begin)
        if effect == "styles":  # what openness is told of pulls at no style any more
            pull = pull - shared * moved
        evidence = _evidence(covariates.columns, pull, curvature, begin.reshape(len(begin), -1))
        width = _likeliest(evidence, covariates, getattr(widths, effect))
        mean = evidence.mean(width).T.reshape(begin.shape).astype(np.float32)
        if effect == "openness":
            moved = (covariates.columns @ (mean - begin))[:, None]
        if width.any():
            found[effect], coefficients[effect] = width, mean
    return UsersPrior(covariates, found, coefficients) if found else None


def _likeliest(evidence: _Evidence, covariates: Covariates, own: float) -> np.ndarray:
    """Widths of the coefficients (C,) float32 with the highest evidence, one group after the
    other."""
    best = np.zeros(len(covariates.names))
    for _ in range(SWEEPS):
        last = best
        for group in range(len(best)):
            tried = np.repeat(best[None], len(TRIED), 0)
            tried[:, group] = own * np.array(TRIED)
            worth = [
                evidence.of(width[covariates.group]) - LEAST * np.count_nonzero(width)
                for width in tried
            ]
            best = tried[int(np.argmax(worth))]
        if (best == last).all():
            break
    return best[covariates.group].astype(np.float32)


def _evidence(
    columns: np.ndarray, pull: np.ndarray, curvature: np.ndarray, begin: np.ndarray
) -> _Evidence:
    """From users' pulls and curvatures (U, M), about coefficients (C, M)."""
    x = columns.astype(np.float64)
    bent = np.stack([(x * own[:, None]).T @ x for own in curvature.T])
    return _Evidence((x.T @ pull).T + (bent @ begin.T[..., None])[..., 0], bent)


def _said(
    own: Mapping[str, np.ndarray], predictions: np.ndarray, sends: Sends, widths: Widths
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """By effect, what the pushes say of where each user's prior mean is, the user's own part
    integrated out: how they pull at it, and how sharply they tell it, both (U, M) float64; and how
    much of the latter openness shares with each style (U, 16).

    own: users' own parts as they were fitted; the fit need not have reached its maximum.
    predictions: what it predicts of the pushes (S, 5).
    """
    p = predictions.astype(np.float64)
    known, off = p * (1.0 - p) * sends.asked, (sends.outcome - p) * sends.asked
    users = len(own["openness"])
    pair = sends.user * STYLE_BUCKETS + sends.bucket

    def by_style(values: np.ndarray) -> np.ndarray:
        return np.bincount(pair, values, users * STYLE_BUCKETS).reshape(users, -1)

    each = by_style(known[:, OPEN])
    pulled = by_style(off[:, OPEN]) + each * (own["openness"][:, None] + own["styles"])
    left = 1.0 + widths.styles**2 * each
    styles, pulled = each / left, pulled / left
    total, pull = styles.sum(1, keepdims=True), pulled.sum(1, keepdims=True)
    # Openness is not known either: what all styles share says little of each.
    rest = 1.0 + widths.openness**2 * total
    shared = styles / rest
    alone = styles - widths.openness**2 * styles * shared

    price = sends.item_features[:, 0]
    paid = np.bincount(sends.user, known[:, CLICK] * price**2, users)
    asked = np.bincount(sends.user, off[:, CLICK] * price, users) + paid * own["price"]
    unknown = 1.0 + widths.price**2 * paid
    return {
        "openness": (pull / rest, total / rest),
        "styles": (pulled - widths.openness**2 * shared * pull, alone),
        "price": ((asked / unknown)[:, None], (paid / unknown)[:, None]),
    }, shared
