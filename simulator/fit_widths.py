"""How much users differ: the widths of their effects that make the log's openings likeliest.

The users' effects are integrated out, not maximised: given openness, the styles of a user are
independent, so each user's likelihood is a Gauss–Hermite sum over openness of products of sums over
one style each. Setting pushes apart instead would need far more of them to tell widths apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from mdp.compiled import njit
from mdp.hashing import STYLE_BUCKETS
from simulator.fit_heads import predicted
from simulator.sends import OPEN, Sends
from simulator.threads import MOST, side_by_side
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
    pair = sends.user * STYLE_BUCKETS + sends.bucket
    order = np.argsort(pair, kind="stable")
    pushes = _Pushes.of(common[order], sends.outcome[order, OPEN] > 0, pair[order], users)
    usual = np.array([getattr(DEFAULT, name) for name in FOUND])

    def tried(far: np.ndarray) -> Widths:
        values = (usual * np.exp(far)).tolist()
        return replace(widths, **dict(zip(FOUND, values, strict=True)))

    def cost(at: np.ndarray) -> float:
        *far, level = at
        said = _marginal(pushes, float(level), tried(np.array(far)))
        return float(np.square(far).sum()) / (2 * PRIOR**2) - said

    begun = np.zeros(len(FOUND) + 1)
    best = minimize(cost, begun, method="L-BFGS-B", options={"eps": STEP, "ftol": ENOUGH})
    return tried(best.x[:-1])


@dataclass(frozen=True)
class _Pushes:
    """S pushes in the order of P pairs of a user and a style, and these in that of U users."""

    common: np.ndarray
    """Logits (S,) float64 without the users' effects."""
    opened: np.ndarray
    """(S,) bool"""
    of_pair: np.ndarray
    """Where each pair's pushes begin, and where they end (P + 1,) int64."""
    of_user: np.ndarray
    """Where each user's pairs begin, and where they end (U + 1,) int64."""

    @staticmethod
    def of(common: np.ndarray, opened: np.ndarray, pair: np.ndarray, users: int) -> _Pushes:
        each, begin = np.unique(pair, return_index=True)
        of_user = np.searchsorted(each, np.arange(users + 1) * STYLE_BUCKETS)
        return _Pushes(common, opened, np.append(begin, len(pair)), of_user)


def _marginal(pushes: _Pushes, level: float, widths: Widths) -> float:
    """Log likelihood of the openings, users' effects integrated out. level: what is added to the
    logits."""
    openness, outer = _rule("openness")
    style, inner = _rule("styles")
    common = pushes.common + level
    openness, style = widths.openness * openness, widths.styles * style
    out = np.empty(len(pushes.of_user) - 1)
    some = np.array_split(np.arange(len(out)), MOST)

    def work(rows: np.ndarray) -> None:
        of = pushes.of_pair, pushes.of_user
        _by_user(rows, common, pushes.opened, of, openness, outer, style, inner, out)

    side_by_side(work, some)
    return float(out.sum())


@njit(cache=True, nogil=True)
def _by_user(
    users: np.ndarray,
    common: np.ndarray,
    opened: np.ndarray,
    of: tuple[np.ndarray, np.ndarray],
    openness: np.ndarray,
    outer: np.ndarray,
    style: np.ndarray,
    inner: np.ndarray,
    out: np.ndarray,
) -> None:
    """Log likelihoods (U,) of some users' openings.

    of: the pushes' `of_pair` and `of_user`. openness, style: effects at the nodes. outer, inner:
    the nodes' log weights.
    """
    of_pair, of_user = of
    each = np.empty((len(openness), len(style)))
    for user in users:
        total = np.zeros(len(openness))
        for pair in range(of_user[user], of_user[user + 1]):
            each[:] = 0.0
            for push in range(of_pair[pair], of_pair[pair + 1]):
                for n in range(len(openness)):
                    for m in range(len(style)):
                        logit = common[push] + openness[n] + style[m]
                        each[n, m] += (logit if opened[push] else 0.0) - _either(0.0, logit)
            for n in range(len(openness)):
                total[n] += _any(each[n] + inner)
        out[user] = _any(total + outer)


@njit(cache=True, nogil=True)
def _any(logs: np.ndarray) -> float:
    """log Σ exp of logs (n,)."""
    total = logs[0]
    for one in logs[1:]:
        total = _either(total, one)
    return total


@njit(cache=True, nogil=True)
def _either(one: float, other: float) -> float:
    """`numpy.logaddexp`."""
    return max(one, other) + np.log1p(np.exp(-abs(one - other)))


def _rule(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and log weights for a standard normal variable."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES[name])
    return nodes, np.log(weights / weights.sum())
