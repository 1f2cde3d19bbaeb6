"""How much users differ: the widths of their effects that make the log's openings likeliest.

The users' effects are integrated out, not maximised: given openness, the styles of a user are
independent, so each user's likelihood is a Gauss–Hermite sum over openness of products of sums over
one style each. Setting pushes apart instead would need far more of them to tell widths apart.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from mdp.hashing import STYLE_BUCKETS
from simulator.fit_heads import predicted
from simulator.sends import OPEN, Sends
from simulator.users_prior import UsersPrior
from simulator.widths import Widths

OPENNESS, STYLES = (0.25, 0.35, 0.5, 0.6, 0.7, 0.85, 1.0), (0.1, 0.2, 0.3, 0.45, 0.65)
"""Widths that are tried."""
SHIFTS = (-0.2, -0.1, 0.0)
"""Shifts of the level that go with them: the mean over users is above what the mode predicts."""
DEFAULT = Widths()
PRIOR = 0.5
"""Standard deviation of a width's logarithm around the default's, before anything is seen."""
_NODES = {"openness": 9, "styles": 7}


def likeliest_widths(
    heads: dict[str, np.ndarray],
    sends: Sends,
    users: int,
    widths: Widths = DEFAULT,
    prior: UsersPrior | None = None,
) -> Widths:
    """Widths of openness and styles with the highest posterior, one after the other, twice.

    heads: parameters that are fitted to the pushes with some widths and a prior of the users, which
    is then taken as it is. widths: all others.
    """
    own = heads if prior is None else heads | prior.own(heads)
    probability = predicted(heads, sends)[:, OPEN].astype(np.float64)
    common = np.log(probability / (1.0 - probability))
    common -= own["openness"][sends.user] + own["styles"][sends.user, sends.bucket]
    pair, place = np.unique(sends.user * STYLE_BUCKETS + sends.bucket, return_inverse=True)
    owner = pair // STYLE_BUCKETS
    opened = sends.outcome[:, OPEN] > 0
    best = widths

    @cache
    def evidence(widths: Widths) -> float:
        likely = max(
            _marginal(common + shift, opened, place, owner, users, widths) for shift in SHIFTS
        )
        names = ("openness", "styles")
        far = [np.log(getattr(widths, name) / getattr(DEFAULT, name)) / PRIOR for name in names]
        return likely - float(np.square(far).sum()) / 2

    for name, values in 2 * (("openness", OPENNESS), ("styles", STYLES)):
        tried = [replace(best, **{name: value}) for value in values]  # type: ignore[arg-type]
        best = max(tried, key=evidence)
    return best


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
