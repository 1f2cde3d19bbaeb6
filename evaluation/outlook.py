"""What a log that can't tell still allows: a mixture it certifies, and a trial that would tell.

A mixture takes the new policy for a share α of the decisions and the running one for the rest. Its
weight is 1 - α + α w, so a log that can't carry the new policy itself may well carry a tenth of it;
and all its sums follow from those of the new policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evaluation.assessment import judge_collected
from evaluation.collected import Collected
from evaluation.diagnostics import Coverage
from evaluation.intervals import PLAIN, Interval, Intervals, closed_form
from evaluation.specification import parse
from evaluation.sums import Sums
from evaluation.verdict import GATES, Gates

SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)
"""Shares of the new policy that are tried, the largest first."""
TRIAL_DIFFERENCES, TRIAL_SHARES = (0.05, 0.2, 1.0), (0.1, 0.5)
_REPLICATES = 400
_POWER = 1.96 + 0.84
"""Standard errors that a difference must be apart to show in 80 % of such trials at 95 %."""


@dataclass(frozen=True)
class Certified:
    """A mixture that is better than the running policy, as far as the log can tell."""

    share: float
    """Of the new policy."""
    difference: Interval
    """Reward per decision less the running policy's; the interval is one of 95 % for all shares
    that were tried together."""


@dataclass(frozen=True)
class Trial:
    """Giving a share of the users to the new policy live, with its propensities logged."""

    difference: float
    """As a share of what is earned now."""
    share: float
    """Of the users."""
    decisions: float
    """In all, until such a difference would show in 80 % of such trials."""
    days: float | None
    """At the log's own rate of decisions; None where it has no times."""


@dataclass(frozen=True)
class Outlook:
    """Both."""

    certified: Certified | None
    trials: tuple[Trial, ...]


def outlook(
    found: Collected,
    coverage: Coverage | None = None,
    how: Intervals = PLAIN,
    gates: Gates = GATES,
) -> Outlook:
    """What is certified, and what would tell."""
    return Outlook(largest_certified(found, coverage, how, gates), trials(found))


def largest_certified(
    found: Collected,
    coverage: Coverage | None = None,
    how: Intervals = PLAIN,
    gates: Gates = GATES,
    shares: Sequence[float] = SHARES,
) -> Certified | None:
    """The largest of the shares whose mixture's verdict by `snips` is `better`; None without one.

    Intervals are widened for the number of shares that may be tried.
    """
    how = replace(how, method="bootstrap", replicates=_REPLICATES)
    for share in shares:
        cover = None if coverage is None else replace(coverage, untried=share * coverage.untried)
        own = judge_collected(mixed(found, share), "", cover, (), how, gates, len(shares))
        if own.verdict.answer == "better":
            return Certified(share, own.estimates[0].tested)
    return None


def mixed(found: Collected, share: float) -> Collected:
    """What would have been collected of a mixture: sums and counts for `snips`."""
    layout, old, count = found.sums.layout, found.sums.columns, found.tally
    reward, weight, weighted = (
        old[:, layout[found.places[name]][0][0]] for name in ("logged", "weight", "ips")
    )
    rows = old[:, 0]
    columns = np.stack(
        [
            rows,
            reward,
            (1 - share) * rows + share * weight,
            (1 - share) * reward + share * weighted,
        ],
        1,
    )
    rest = 1 - share
    mix = replace(
        count,
        weight=rest * count.rows + share * count.weight,
        squares=rest**2 * count.rows + 2 * rest * share * count.weight + share**2 * count.squares,
        max_weight=rest + share * count.max_weight,
        zeros=count.zeros if share == 1.0 else 0,
    )
    return Collected(
        estimators=parse("snips"),
        places={"logged": 0, "weight": 1, "estimator snips": 2},
        sums=Sums(columns, (((1, 0),), ((2, 0),), ((3, 2),))),
        tally=mix,
        users=found.users,
    )


def trials(found: Collected) -> tuple[Trial, ...]:
    """What it takes to see a difference between two groups of users, by its size and their share.

    Two means are compared, and the logged rewards tell how much such means vary; users' rows count
    as alike as they are in the log. Bloom (1995), "Minimum detectable effects".
    """
    form = closed_form(found.sums)
    place = found.places["logged"]
    mean = abs(float(form.value[place]))
    spread = float((form.pulls[:, place] ** 2).sum()) * found.tally.rows
    if not mean > 0 or not spread > 0:
        return ()
    made = []
    for difference in TRIAL_DIFFERENCES:
        once = (_POWER / (difference * mean)) ** 2 * spread
        for share in TRIAL_SHARES:
            decisions = once * (1 / share + 1 / (1 - share))
            days = None if found.per_day is None else decisions / found.per_day
            made.append(Trial(difference, share, decisions, days))
    return tuple(made)
