"""What to do about a log that can't tell: how many more decisions, and what to explore."""

from __future__ import annotations

import math

from evaluation.assessment import Assessment
from evaluation.overlap import Level
from evaluation.verdict import GATES, Gates, leading

_POWER = 1.96 + 0.84
"""Standard errors that a difference must be apart: seen in 80 % of such logs at 95 %."""
_WANTED, _SELDOM = 0.02, 3.0
"""What the policy would do at least this often, and this many times as often as the log."""
_SHOWN = 5
_MOST = 1e12
"""Decisions that no log holds."""


def rounded(count: float) -> str:
    """A number of decisions to two figures: no more is known of it."""
    digits = max(0, math.floor(math.log10(max(count, 1.0))) - 1)
    return f"{round(count, -digits):,.0f}"


def needed(assessment: Assessment, gates: Gates = GATES) -> float | None:
    """Decisions like these that the difference found would need to show; None where it shows,
    where there is none to go by, or where no log holds as many."""
    lead = leading(assessment.estimates)
    if lead is None or assessment.logged is None:
        return None
    found = lead.tested
    half = (found.high - found.low) / 2
    smallest = max(abs(found.value), gates.margin * abs(assessment.logged.value))
    if not half > smallest or smallest == 0:
        return None
    rows = assessment.rows * (half * _POWER / 1.96 / smallest) ** 2
    return rows if rows < _MOST else None


def unexplored(assessment: Assessment) -> dict[str, list[Level]]:
    """By feature, what the policy would do much more often than the log did, the most first."""
    if assessment.diagnostics is None:
        return {}
    found = {}
    for name, levels in assessment.diagnostics.overlap.items():
        rare = [
            level
            for level in levels
            if level.target >= _WANTED and level.target >= _SELDOM * level.logged
        ]
        if rare:
            found[name] = sorted(rare, key=lambda level: -level.target)[:_SHOWN]
    return found


def advice(assessment: Assessment, gates: Gates = GATES) -> list[str]:
    """Sentences on what to do, for somebody who decides about a release."""
    answer, found = assessment.verdict.answer, assessment.diagnostics
    if answer == "better":
        return ["Activate it, for a share of the users first, and go on logging propensities."]
    if answer == "worse":
        return ["Don't activate it."]
    if answer == "no_difference":
        return ["There is nothing to gain by activating it; other reasons may decide."]
    said = []
    if found is None:
        return ["Log the probability of each decision: without it nothing can be evaluated."]
    if found.mean_weight.high < 1 - gates.mean_weight_at_all:
        said.append(
            f"Only about {found.mean_weight.value:.0%} of what the policy would do was ever done "
            "in this log, if its propensities are right: let the running policy explore more, or "
            "mix some of the new one into it, and evaluate on the days that follow."
        )
    for name, levels in unexplored(assessment).items():
        shares = ", ".join(f"{x.name} ({x.logged:.1%} → {x.target:.1%})" for x in levels)
        said.append(
            f"Let the running policy explore more of these: by {name}, logged share → what the "
            f"policy would do: {shares}."
        )
    if found.effective_sample_size < 1:
        said.append(f"None of the {found.rows:,} decisions is what the policy would do.")
    elif found.effective_sample_size < gates.effective_sample_size:
        more = gates.effective_sample_size / found.effective_sample_size
        said.append(
            f"Of {found.rows:,} decisions {found.effective_sample_size:.1f} are like the policy's: "
            f"about {rounded(found.rows * more)} decisions of this kind would be needed before the "
            "log can say anything."
        )
    elif (rows := needed(assessment, gates)) is not None:
        said.append(
            f"A difference of this size needs about {rounded(rows)} decisions of this kind to show "
            f"({rows / assessment.rows:.1f} times as many as here)."
        )
    if min(found.users / gates.users, found.effective_users / gates.effective_users) < 1:
        said.append("Evaluate on a log of more users: the difference rests on too few of them.")
    if (open_ := assessment.outlook) is None:
        return said
    if open_.certified is not None:
        said.append(
            f"Start with a mixture: {open_.certified.share:.0%} of the decisions by the new "
            "policy, the rest as now. That much this log certifies as better."
        )
    if open_.trials:
        said.append(
            f"{'Or try' if said else 'Try'} it live on a share of the users, with a holdout: the "
            "table of a live trial says how long that takes."
        )
    return said
