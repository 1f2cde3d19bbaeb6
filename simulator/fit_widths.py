"""How much users differ: the widths of their effects that make the log's openings likeliest.

The users' effects are integrated out, not maximised: given openness, the styles of a user are
independent, so each user's likelihood is a Gauss–Hermite sum over openness of products of sums over
one style each. Setting pushes apart instead would need far more of them to tell widths apart.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import minimize

from mdp.hashing import STYLE_BUCKETS
from simulator.fit_heads import predicted
from simulator.sends import OPEN, Sends
from simulator.users_prior import UsersPrior
from simulator.widths import Widths

FOUND = ("openness", "styles")
DEFAULT = Widths()
PRIOR = 0.5
"""Standard deviation of a width's logarithm around the default's, before anything is seen."""
STEP = 1e-4
"""By which logarithms and the level are moved to see how the likelihood changes: differences of its
sums are exact to some 1e-6 there."""
ENOUGH = 1e-7
"""Gain of a step, as a share of the log likelihood, at which it is left: some thousandths of a
nat."""
_NODES = {"openness": 9, "styles": 7}


def likeliest_widths(
    heads: dict[str, np.ndarray],
    sends: Sends,
    users: int,
    widths: Widths = DEFAULT,
    prior: UsersPrior | None = None,
) -> Widths:
    """Widths of openness and styles with the highest posterior, given all else but the level, since
    the mean over users is above what the mode predicts.

    heads: parameters that are fitted to the pushes with some widths and a prior of the users, which
    is then taken as it is. widths: all others.
    """
    sends = sends.only(sends.asked[:, OPEN])
    own = heads if prior is None else heads | prior.own(heads)
    probability = predicted(heads, sends)[:, OPEN].astype(np.float64)
    common = np.log(probability / (1.0 - probability))
    common -= own["openness"][sends.user] + own["styles"][sends.user, sends.bucket]
    pair, place = np.unique(sends.user * STYLE_BUCKETS + sends.bucket, return_inverse=True)
    owner = pair // STYLE_BUCKETS
    opened = sends.outcome[:, OPEN] > 0
    usual = np.array([getattr(DEFAULT, name) for name in FOUND])

    def tried(far: np.ndarray) -> Widths:
        values = (usual * np.exp(far)).tolist()
        return replace(widths, **dict(zip(FOUND, values, strict=True)))

    def cost(at: np.ndarray) -> float:
        *far, level = at
        said = _marginal(common + level, opened, place, owner, users, tried(np.array(far)))
        return float(np.square(far).sum()) / (2 * PRIOR**2) - said

    begun = np.zeros(len(FOUND) + 1)
    best = minimize(cost, begun, method="L-BFGS-B", options={"eps": STEP, "ftol": ENOUGH})
    return tried(best.x[:-1])


def _marginal(
    common: np.ndarray,
    opened: np.ndarray,
    place: np.ndarray,
    owner: np.ndarray,
    users: int,
    widths: Widths,
) -> float:
    """Log likelihood of the openings, users' effects integrated out.

    common: logits (S,) without the users' effects. place: (S,) which pair of user and style each
    push belongs to. owner: (P,) each pair's user.
    """
    openness, outer = _rule("openness")
    style, inner = _rule("styles")
    logit = common[:, None, None] + widths.openness * openness[:, None] + widths.styles * style
    each = np.where(opened[:, None, None], logit, 0.0) - np.logaddexp(0.0, logit)
    by_pair = _sums(each.reshape(len(each), -1), place, len(owner)).reshape(-1, *logit.shape[1:])
    of_style = np.logaddexp.reduce(by_pair + inner, axis=2)
    return float(np.logaddexp.reduce(_sums(of_style, owner, users) + outer, axis=1).sum())


def _rule(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and log weights for a standard normal variable."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES[name])
    return nodes, np.log(weights / weights.sum())


def _sums(values: np.ndarray, group: np.ndarray, size: int) -> np.ndarray:
    """Sums (size, n) of rows (m, n) by group (m,)."""
    out = np.zeros((size, values.shape[1]))
    np.add.at(out, group, values)
    return out
