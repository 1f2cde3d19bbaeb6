"""The tables of an assessment as texts, for the terminal and for pages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from evaluation.advice import rounded
from evaluation.assessment import Assessment, Pair
from evaluation.diagnostics import Diagnostics
from evaluation.intervals import Interval
from evaluation.outlook import Outlook, Trial
from evaluation.verdict import weight_text

if TYPE_CHECKING:
    from evaluation.days import Days

_HALVES = "second half of the log less the first"
_NOTHING = 1e-12
"""Shown as 0: what sums of rounded numbers leave over."""
_TOO_LONG = 3650
"""Days that nobody waits for."""

Rows = list[tuple[str, ...]]


def estimate_rows(assessment: Assessment) -> Rows:
    """Header, the logging policy, and each estimator, as texts."""
    header = ("estimator", "value", "95 % interval", "less logged", "95 % interval")
    rows: Rows = [header]
    if assessment.logged is not None:
        rows.append(("logged", number(assessment.logged.value), span(assessment.logged), "", ""))
    for each in assessment.estimates:
        rows.append(
            (
                each.estimator,
                number(each.value.value),
                span(each.value),
                number(each.difference.value, "+"),
                span(each.difference, "+"),
            )
        )
    return rows


def days_rows(found: Days) -> Rows:
    """Header, the logging policy and each estimator of whole trajectories, as texts."""
    rows: Rows = [("over a user's days", "value", "95 % interval")]
    pairs = {"logged": found.logged, **found.estimates}
    rows += [(name, number(each.value), span(each)) for name, each in pairs.items()]
    return rows


def days_note(found: Days) -> str:
    """How far the log can follow the policy."""
    said = f"{found.users:,} users with up to {found.steps} decisions each"
    if found.believed == found.steps:
        return said
    return (
        f"{said}; after the first {found.believed} decisions fewer than 50 users' days still look "
        f"like the policy's ({found.effective_users[-1]:.1f} at the last): don't believe pdis, "
        "sn_pdis and sdr beyond"
    )


def measure_rows(assessment: Assessment) -> Rows:
    """Header and each measure under both policies."""
    return [("per decision", *_BOTH), *_pair_rows(assessment.measures)]


def segment_rows(assessment: Assessment, only: str | None = None) -> Rows:
    """Header and reward and measures of each segment under both policies; `only` one of them."""
    rows: Rows = [("segment", *_BOTH)]
    for segment, levels in assessment.segments.items():
        for level, pairs in levels.items():
            name = f"{segment} {level}"
            if only is not None:
                rows += _pair_rows({name: pairs[only]})
            else:
                rows += _pair_rows({f"{name}: {measure}": x for measure, x in pairs.items()})
    return rows


_BOTH = ("logged", "95 % interval", "policy", "95 % interval")


def _pair_rows(pairs: Mapping[str, Pair]) -> Rows:
    return [
        (
            name,
            number(pair.logged.value),
            span(pair.logged),
            number(pair.target.value),
            span(pair.target),
        )
        for name, pair in pairs.items()
    ]


def trial_rows(found: Outlook) -> Rows:
    """Header and what it takes to see each difference, by the share of the users, as texts."""
    shares = dict.fromkeys(trial.share for trial in found.trials)
    rows: Rows = [
        ("to see a difference of", *(f"{share:.0%} on the new policy" for share in shares))
    ]
    for difference in dict.fromkeys(trial.difference for trial in found.trials):
        own = [trial for trial in found.trials if trial.difference == difference]
        rows.append((f"{difference:.0%} of what is earned", *(_effort(trial) for trial in own)))
    return rows


def _effort(trial: Trial) -> str:
    if trial.days is None:
        days = ""
    elif trial.days > _TOO_LONG:
        days = " (over ten years)"
    else:
        days = f" ({max(trial.days, 1):,.0f} days)"
    return f"{rounded(trial.decisions)} decisions{days}"


def diagnostic_rows(found: Diagnostics) -> Rows:
    """Header and each diagnostic, as texts."""
    mean = found.mean_weight
    rows: Rows = [
        ("diagnostic", "value", "says"),
        ("rows", f"{found.rows:,}", f"of {found.users:,} users"),
        (
            "mean weight",
            f"{weight_text(mean.value)} [{weight_text(mean.low)}, {weight_text(mean.high)}]",
            "1 if all is well",
        ),
        ("largest weight", f"{found.max_weight:.4g}", ""),
        (
            "effective sample size",
            f"{found.effective_sample_size:,.0f} ({found.effective_share:.1%})",
            "rows that would say as much",
        ),
        ("effective users", f"{found.effective_users:,.0f}", "that the difference rests on"),
        ("heaviest 1 % of users", f"{found.heaviest_users:.1%}", "of all weight"),
        ("propensities of 1", f"{found.certain:.1%}", "of the rows, unlike the policy's"),
        ("never by the policy", f"{found.zero_target:.1%}", "of the logged decisions"),
    ]
    if found.model_gap is not None:
        gap = found.model_gap
        rows.append(
            ("v less weighted q", f"{number(gap.value)} {span(gap)}", "0 if the model fits")
        )
    for name, drift in (("reward", found.reward_drift), ("weight", found.weight_drift)):
        if drift is not None:
            moved = f"{number(drift.value, '+')} {span(drift, '+')}"
            rows.append((f"drift of the {name}", moved, _HALVES))
    if found.coverage is not None:
        rows.append(
            ("never by the log", f"{found.coverage.untried:.1%}", "of the policy's choices")
        )
        rows.append(("executed as decided", f"{found.coverage.executed:.1%}", "of the sends"))
    return rows


def number(value: float, sign: str = "") -> str:
    """Four figures."""
    if not math.isfinite(value):
        return "unknown"
    return f"{0.0 if abs(value) < _NOTHING else value:{sign}.4g}"


def span(interval: Interval, sign: str = "") -> str:
    """An interval in brackets."""
    if not math.isfinite(interval.low + interval.high):
        return "unknown"
    return f"[{number(interval.low, sign)}, {number(interval.high, sign)}]"
