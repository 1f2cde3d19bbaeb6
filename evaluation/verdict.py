"""Verdict: better, worse, no difference, or that this log cannot tell; always with reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evaluation.diagnostics import Diagnostics
from evaluation.intervals import Interval

Answer = Literal["better", "worse", "no_difference", "cannot_tell"]


@dataclass(frozen=True)
class Gates:
    """What a log must have before its numbers are believed."""

    users: int = 30
    """least number of users: the bootstrap resamples them"""
    effective_sample_size: float = 100.0
    """least effective sample size"""
    effective_users: float = 50.0
    """least number of users that the difference rests on"""
    heaviest_users: float = 0.3
    """most weight that the heaviest 1 % of the users may hold"""
    untried: float = 0.05
    """most probability that the target may give to what the log never tried"""
    mean_weight: float = 0.01
    """most that the mean weight may be off 1 where its interval leaves 1 out: rounding does that"""
    margin: float = 0.05
    """differences within this share of the logged mean count as none"""


GATES = Gates()


@dataclass(frozen=True)
class Estimate:
    """What one estimator says of the target, and of its difference to the logging policy."""

    estimator: str
    """As it was asked for."""
    value: Interval
    """Reward per decision."""
    difference: Interval
    """Value less the logging policy's mean reward, paired."""


@dataclass(frozen=True)
class Verdict:
    """An answer and why."""

    answer: Answer
    reasons: tuple[str, ...]
    """Sentences with the numbers."""


_ROUNDING = 1e-6
"""Differences within this share of the logged mean are those of rounded propensities."""
_PREFERENCE = ("dr", "snips", "ips", "clipped")
_AGREEING = ("dr", "snips", "ips")


def leading(estimates: Sequence[Estimate]) -> Estimate | None:
    """The estimate that decides: dr, else snips, ips, clipped; never dm, which nothing checks."""
    ranks = {name: rank for rank, name in enumerate(_PREFERENCE)}
    found = [estimate for estimate in estimates if _name(estimate) in ranks]
    return min(found, key=lambda estimate: ranks[_name(estimate)], default=None)


def judge(
    logged: float,
    estimates: Sequence[Estimate],
    diagnostics: Diagnostics,
    gates: Gates = GATES,
) -> Verdict:
    """The verdict on a target policy. logged: the logging policy's mean reward."""
    lead = leading(estimates)
    doubts = [*_doubts(diagnostics, gates), *_contradictions(estimates)]
    if lead is None:
        doubts.append(
            "no estimator here checks its number against the logged rewards: add dr, snips or ips"
        )
    if doubts or lead is None:
        return Verdict("cannot_tell", tuple(doubts))
    difference, margin = lead.difference, gates.margin * abs(logged)
    said = (
        f"{lead.estimator} puts the policy at {round(lead.value.value, 12):.4g} per decision and "
        f"the logging policy earned {logged:.4g}: a difference of {difference.value:+.4g}, "
        f"95 % interval {difference.low:+.4g} to {difference.high:+.4g}"
    )
    nothing = _ROUNDING * abs(logged)
    if difference.low > nothing:
        return Verdict("better", (f"{said}, all above 0",))
    if difference.high < -nothing:
        return Verdict("worse", (f"{said}, all below 0",))
    band = f"±{margin:.4g}, {gates.margin:.0%} of the logged mean"
    if -margin <= difference.low and difference.high <= margin:
        return Verdict("no_difference", (f"{said}, all within {band}",))
    return Verdict(
        "cannot_tell", (f"{said}, which holds 0 and is not within {band}: more rows are needed",)
    )


def _doubts(found: Diagnostics, gates: Gates) -> list[str]:
    """Why the numbers can't be believed whatever they are."""
    doubts = []
    if found.users < gates.users:
        doubts.append(f"there are {found.users} users, and intervals need at least {gates.users}")
    if found.effective_sample_size < gates.effective_sample_size:
        doubts.append(
            f"the effective sample size is {found.effective_sample_size:.1f} of {found.rows} rows, "
            f"and at least {gates.effective_sample_size:g} is needed: the log seldom did what the "
            "policy would do"
        )
    mean = found.mean_weight
    if mean.excludes(1.0) and abs(mean.value - 1.0) > gates.mean_weight:
        doubts.append(
            f"the mean weight is {mean.value:.3f}, 99 % interval {mean.low:.3f} to "
            f"{mean.high:.3f}, which leaves 1 out: propensities are wrong, or the policy does "
            "what the log seldom or never did"
        )
    if found.heaviest_users > gates.heaviest_users:
        doubts.append(
            f"the heaviest 1 % of the users hold {found.heaviest_users:.0%} of the weight, more "
            f"than {gates.heaviest_users:.0%}"
        )
    if found.effective_users < gates.effective_users:
        doubts.append(
            f"the difference rests on about {found.effective_users:.0f} users, fewer than "
            f"{gates.effective_users:g}"
        )
    if found.coverage is not None and found.coverage.untried > gates.untried:
        doubts.append(
            f"the policy gives {found.coverage.untried:.1%} of its probability to sends that the "
            f"log never tried, more than {gates.untried:.0%}"
        )
    return doubts


def _contradictions(estimates: Sequence[Estimate]) -> list[str]:
    """Estimators whose intervals lie on opposite sides of 0."""
    sides = [estimate for estimate in estimates if _name(estimate) in _AGREEING]
    above = [estimate for estimate in sides if estimate.difference.low > 0]
    below = [estimate for estimate in sides if estimate.difference.high < 0]
    if not above or not below:
        return []
    up, down = above[0], below[0]
    return [
        f"the estimators contradict one another: {up.estimator} says "
        f"{up.difference.value:+.4g} and {down.estimator} says {down.difference.value:+.4g}, both "
        "with intervals that leave 0 out"
    ]


def _name(estimate: Estimate) -> str:
    return estimate.estimator.lower().partition(":")[0]
