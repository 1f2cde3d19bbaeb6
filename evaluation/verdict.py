"""Verdict: better, worse, no difference, or that this log cannot tell; always with reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evaluation.diagnostics import Coverage, Diagnostics
from evaluation.intervals import Interval
from evaluation.specification import UNBIASED

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
    unlisted: float = 0.01
    """most drawn decisions that may be missing because their sends are not on their own lists"""
    silent: float = 0.01
    """most logged sends at the log's ends that nobody responded to, where chance does not explain
    it"""
    mean_weight: float = 0.01
    """most that the mean weight may be off 1 where its interval leaves 1 out: rounding does that"""
    mean_weight_at_all: float = 0.1
    """most that the mean weight may be off 1 whatever its interval"""
    certain: float = 0.5
    """most rows that may have a propensity of 1, where the policy would not have been as sure"""
    model_gap: float = 0.01
    """most that a model's two predictions may be apart, as a share of the logged mean, where the
    interval of their gap leaves 0 out: rounding does that"""
    holdout: float = 0.001
    """least p-value of the holdout's size"""
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
    decisive: Interval | None = None
    """The difference with an interval widened for the number of policies compared, and for what
    rows of large weight may not have met: what the verdict looks at; None: as `difference`."""

    @property
    def tested(self) -> Interval:
        """The difference that the verdict looks at."""
        return self.difference if self.decisive is None else self.decisive


@dataclass(frozen=True)
class Verdict:
    """An answer and why."""

    answer: Answer
    reasons: tuple[str, ...]
    """Sentences with the numbers."""


_ROUNDING = 1e-6
"""Differences within this share of the logged mean are those of rounded propensities."""


def leading(estimates: Sequence[Estimate]) -> Estimate | None:
    """The estimate that decides: dr, else sndr, snips, ips; never dm, which nothing checks, or one
    with changed weights, which would call the logging policy itself worse wherever it clips."""
    ranks = {name: rank for rank, name in enumerate(UNBIASED)}
    found = [estimate for estimate in estimates if _name(estimate) in ranks]
    return min(found, key=lambda estimate: ranks[_name(estimate)], default=None)


def judge(
    logged: float,
    estimates: Sequence[Estimate],
    diagnostics: Diagnostics,
    gates: Gates = GATES,
    comparisons: int = 1,
) -> Verdict:
    """The verdict on a target policy, one of `comparisons` that are compared with the logging one.
    logged: the logging policy's mean reward."""
    lead = leading(estimates)
    doubts = _doubts(diagnostics, gates)
    doubts += _sameness(diagnostics, gates)
    if _same_policy(diagnostics) and not doubts:
        same = "the policy gives every logged decision the probability that it was drawn with"
        return Verdict("no_difference", (f"{same}, so it is worth what was earned: {logged:.4g}",))
    doubts += _contradictions(estimates)
    if lead is None:
        doubts.append(
            "none of these estimators may decide, for changed weights have a bias and nothing "
            "checks dm against the logged rewards: add dr, snips or ips"
        )
    elif _name(lead) in ("dr", "sndr"):
        doubts += _misfits(logged, diagnostics, gates)
    if doubts or lead is None:
        return Verdict("cannot_tell", tuple(doubts))
    return _compared(logged, lead, estimates, gates.margin, comparisons)


def _compared(
    logged: float, lead: Estimate, estimates: Sequence[Estimate], share: float, comparisons: int
) -> Verdict:
    """The verdict where nothing speaks against the numbers."""
    difference, said = lead.tested, _said(logged, lead, comparisons)
    nothing, margin = _ROUNDING * abs(logged), share * abs(logged)
    if difference.low > nothing:
        return Verdict("better", (f"{said}, all above 0",))
    if difference.high < -nothing:
        return Verdict("worse", (f"{said}, all below 0",))
    band = f"±{margin:.4g}, {share:.0%} of the logged mean"
    # A policy close to the logging one has weights near 1: then dr is the noisier of the two.
    for each in (lead, *(each for each in estimates if _name(each) in UNBIASED)):
        if -margin <= each.tested.low and each.tested.high <= margin:
            near = f"{_said(logged, each, comparisons)}, all within {band}"
            return Verdict("no_difference", (near,))
    return Verdict(
        "cannot_tell", (f"{said}, which holds 0 and is not within {band}: more rows are needed",)
    )


def _said(logged: float, estimate: Estimate, comparisons: int) -> str:
    value, difference = round(estimate.value.value, 12), estimate.tested
    level = f"{100 - 5 / comparisons:.4g} % interval"
    if comparisons > 1:
        level += f" (95 % for all {comparisons} policies together)"
    elif difference != estimate.difference:
        level += " (taking rewards to be as noisy on rows of large weight as on all)"
    return (
        f"{estimate.estimator} puts the policy at {value:.4g} per decision and the logging policy "
        f"earned {logged:.4g}: a difference of {difference.value:+.4g}, {level} "
        f"{difference.low:+.4g} to {difference.high:+.4g}"
    )


def _same_policy(found: Diagnostics) -> bool:
    """Whether all weights are 1: their mean is, and their variance, 1 / share - 1, is 0."""
    near = abs(found.mean_weight.value - 1.0) < _ROUNDING
    return near and found.effective_share > 1.0 - _ROUNDING**2


def _doubts(found: Diagnostics, gates: Gates) -> list[str]:
    """Why the numbers can't be believed whatever they are."""
    doubts = []
    if found.users < gates.users:
        doubts.append(
            f"the number of users is {found.users}, and intervals need at least {gates.users}"
        )
    if found.effective_sample_size < gates.effective_sample_size:
        few = found.rows < gates.effective_sample_size
        why = "more rows are needed" if few else "the log seldom did what the policy would do"
        doubts.append(
            f"the effective sample size is {found.effective_sample_size:.1f} of {found.rows} rows, "
            f"and at least {gates.effective_sample_size:g} is needed: {why}"
        )
    mean = found.mean_weight
    off, said = (
        abs(mean.value - 1.0),
        f"the mean weight is {weight_text(mean.value)}, 99 % interval "
        f"{weight_text(mean.low)} to {weight_text(mean.high)}",
    )
    if mean.excludes(1.0) and off > gates.mean_weight:
        doubts.append(f"{said}, which leaves 1 out: {_why_mean(mean.value)}")
    elif off > gates.mean_weight_at_all:
        doubts.append(
            f"{said}, and with right propensities and enough rows it is 1 (0.9 to 1.1 is "
            "allowed): a few rows of large weight decide it, by luck or because propensities are "
            "wrong"
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
    return doubts + ([] if found.coverage is None else _gaps(found.coverage, gates))


def weight_text(weight: float) -> str:
    """A weight of usual size to three places, a huge one in short."""
    return f"{weight:.3f}" if weight < 1000 else f"{weight:.4g}"


def _why_mean(mean: float) -> str:
    if mean > 1:
        return (
            "propensities are wrong. Those logged before guardrails are too small, for what "
            "guardrails take from some actions goes to the others"
        )
    return (
        "the policy does what the log seldom or never did, or propensities are wrong (were missing "
        "ones filled with 1?)"
    )


def _sameness(found: Diagnostics, gates: Gates) -> list[str]:
    """Why a log without any variety tells nothing of another policy."""
    doubts = []
    if found.certain > gates.certain and not _same_policy(found):
        doubts.append(
            f"the propensity is 1 in {found.certain:.0%} of the rows: either the log left nothing "
            "to chance there, and says nothing of any other policy, or 1 was filled in for the "
            "probabilities that were not logged"
        )
    if found.constant_reward == 0 and not _same_policy(found):
        doubts.append(
            "no reward other than 0 was logged, so nothing shows what the policy would change: "
            "more rows are needed"
        )
    elif found.constant_reward and found.rows > 1:
        doubts.append(
            f"every row has the reward {found.constant_reward:g}: were decisions without an "
            "outcome left out? They belong into the table, with the reward that no outcome earns"
        )
    return doubts


def _gaps(found: Coverage, gates: Gates) -> list[str]:
    """What the log lacks of itself, and of the policy."""
    gaps = []
    if found.unlisted > gates.unlisted:
        gaps.append(
            f"{found.unlisted:.1%} of the drawn decisions, more than {gates.unlisted:.0%}, are "
            "left out as sends of an item or a variant that is not on their own list, and holds "
            "are over-represented in what is left"
        )
    if found.silent > gates.silent:
        gaps.append(
            f"{found.silent:.0%} of the sends are before the first response to any or after the "
            "last, too many for chance: outcomes are missing from the log, and without them a send "
            "only costs"
        )
    ratio = found.holdout
    if ratio is not None and ratio.p_value < gates.holdout:
        gaps.append(
            f"the holdout has {ratio.share:.2%} of the users and should have {ratio.expected:.2%} "
            f"(p = {ratio.p_value:.1g}): something other than chance decides who is held out"
        )
    if found.untried > gates.untried:
        gaps.append(
            f"the policy gives {found.untried:.1%} of its probability to sends that the log never "
            f"tried, more than {gates.untried:.0%}"
        )
    return gaps


def _misfits(logged: float, found: Diagnostics, gates: Gates) -> list[str]:
    """Why the predictions that `dr` rests on can't be believed."""
    gap = found.model_gap
    if gap is None or not gap.excludes(0.0) or abs(gap.value) <= gates.model_gap * abs(logged):
        return []
    return [
        "the reward model does not fit what the policy does: "
        f"v_target and the weighted q_logged are {gap.value:+.4g} apart on average, 99 % interval "
        f"{gap.low:+.4g} to {gap.high:+.4g}, which leaves 0 out: v_target is not what q_logged's "
        "model expects of the policy, or propensities are wrong"
    ]


def _contradictions(estimates: Sequence[Estimate]) -> list[str]:
    """Estimators whose intervals lie on opposite sides of 0."""
    sides = [estimate for estimate in estimates if _name(estimate) in UNBIASED]
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
    """Of estimators with a number the whole label, which is none of `UNBIASED`."""
    return estimate.estimator.lower()
