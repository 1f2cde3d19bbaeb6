"""Choosing an estimator's number from the log itself: SLOPE.

Su, Srinath & Krishnamurthy (2020), "Adaptive estimator selection for off-policy evaluation":
candidates go from the widest interval to the narrowest, and the last one whose interval still meets
those of all before it is taken. No truth and no model of the bias is needed, only that bias grows
as variance falls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np

Rows = np.ndarray
"""What each row adds to a mean (n,) float64."""
DELTA = 0.1
"""One-sided chance that an interval misses, as in obp."""
_SLACK = np.sqrt(6.0) - 1.0


def slope(
    rows: Callable[[float], Rows], candidates: Sequence[float], delta: float = DELTA
) -> float:
    """The candidate that SLOPE takes; `rows` gives the rows of the estimator with a number."""
    means, widths = [], []
    for number in candidates:
        own = rows(number)
        n = len(own)
        means.append(own.mean())
        away = own - means[-1]
        spread = np.sqrt(away @ away / n / max(n - 1, 1))
        widths.append(spread * student_quantile(1.0 - delta, max(n - 1, 1)))
    mean, width = np.array(means), np.array(widths)
    order = np.argsort(width)[::-1]
    for place in range(1, len(order)):
        own, before = order[place], order[:place]
        apart = np.abs(mean[before] - mean[own])
        if not (apart <= width[own] + _SLACK * width[before]).all():
            return candidates[order[place - 1]]
    return candidates[order[-1]]


def student_quantile(level: float, freedom: float) -> float:
    """Quantile of Student's t by Cornish and Fisher's expansion; within 0.1 % from 5 degrees of
    freedom on (Abramowitz & Stegun 26.7.5)."""
    z = NormalDist().inv_cdf(level)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
