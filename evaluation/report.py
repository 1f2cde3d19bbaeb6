"""Reports of assessments: plain values for JSON, and tables for the terminal and for pages."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape as escaped
from rich.table import Table

from evaluation.advice import advice, rounded
from evaluation.assessment import Assessment, Pair
from evaluation.collected import REWARD
from evaluation.diagnostics import Diagnostics
from evaluation.intervals import Interval
from evaluation.outlook import Outlook, Trial
from evaluation.verdict import weight_text

if TYPE_CHECKING:
    from evaluation.days import Days
    from evaluation.reconcile import Compared, Reconciled

COLORS = {"better": "green", "worse": "red", "no_difference": "cyan", "cannot_tell": "yellow"}
MEANINGS = {
    "better": "the policy would have earned more per decision than the log did",
    "worse": "the policy would have earned less per decision than the log did",
    "no_difference": "the policy would have earned about as much per decision as the log did",
    "cannot_tell": "this log can't say what the policy is worth: choose by none of these numbers",
}
_HALVES = "second half of the log less the first"
_NOTHING = 1e-12
"""Shown as 0: what sums of rounded numbers leave over."""
_TOO_LONG = 3650
"""Days that nobody waits for."""
_WIDE = 100
"""Characters of a terminal line that a report needs."""


def to_json(assessment: Assessment) -> dict[str, Any]:
    """Plain values, null for what is not known; `verdict` and `reasons` come first. `estimators`
    and `differences` (less the logged mean) are keyed by the estimators as they were asked for."""
    values = {
        "name": assessment.name,
        "verdict": assessment.verdict.answer,
        "reasons": list(assessment.verdict.reasons),
        "warning": assessment.warning,
        "rows": assessment.rows,
        "users": assessment.users,
        "logged": assessment.logged and asdict(assessment.logged),
        "estimators": {
            **{each.estimator: asdict(each.value) for each in assessment.estimates},
            **_named_days(assessment.days),
        },
        "differences": {each.estimator: asdict(each.difference) for each in assessment.estimates},
        "diagnostics": assessment.diagnostics and asdict(assessment.diagnostics),
        "measures": {name: asdict(pair) for name, pair in assessment.measures.items()},
        "segments": {
            segment: {
                level: {measure: asdict(pair) for measure, pair in pairs.items()}
                for level, pairs in levels.items()
            }
            for segment, levels in assessment.segments.items()
        },
        "days": assessment.days and asdict(assessment.days),
        "outlook": assessment.outlook and asdict(assessment.outlook),
        "advice": advice(assessment),
        "notes": list(assessment.notes),
    }
    if assessment.policy_hash is not None:
        values["policy_hash"] = assessment.policy_hash
    return _finite(values)


def _named_days(found: Days | None) -> dict[str, Any]:
    """Values per user of the estimators over days that were asked for by name."""
    return {} if found is None else {name: asdict(found.estimates[name]) for name in found.named}


def dumps(values: Any) -> str:
    """JSON text that every reader accepts."""
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def show(assessment: Assessment, console: Console) -> None:
    """Print verdict, estimates and diagnostics."""
    answer = assessment.verdict.answer
    if assessment.warning is not None:
        said = escaped(assessment.warning)
        console.print(f"[bold]warning[/]: {said}", highlight=False, soft_wrap=True)
    console.print(f"[bold]{escaped(assessment.name)}[/]: [bold {COLORS[answer]}]{answer}[/]")
    console.print(f"  {MEANINGS[answer]}", highlight=False)
    for reason in assessment.verdict.reasons:
        console.print(f"  - {reason}", highlight=False, markup=False, soft_wrap=True)
    if assessment.estimates:
        console.print(_table("reward per decision", estimate_rows(assessment)))
    if assessment.days is not None:
        console.print(_table("reward per user over the days", days_rows(assessment.days)))
        console.print(days_note(assessment.days), highlight=False, soft_wrap=True)
    if assessment.measures:
        console.print(
            _table("what else would change (as certain as the verdict)", measure_rows(assessment))
        )
    if assessment.segments:
        console.print(_table("reward per decision by segment", segment_rows(assessment, REWARD)))
    if assessment.diagnostics is not None:
        console.print(_table("can the log tell?", diagnostic_rows(assessment.diagnostics)))
    if assessment.outlook is not None and assessment.outlook.trials:
        console.print(_table("what a live trial would take", trial_rows(assessment.outlook)))
    for line in advice(assessment):
        console.print(f"do: {line}", highlight=False, markup=False, soft_wrap=True)
    for note in assessment.notes:
        console.print(f"note: {note}", style="dim", highlight=False, markup=False, soft_wrap=True)


def terminal() -> Console:
    """A console on stdout; wide enough for whole cells where stdout is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDE)


Rows = list[tuple[str, ...]]


def estimate_rows(assessment: Assessment) -> Rows:
    """Header, the logging policy, and each estimator, as texts."""
    header = ("estimator", "value", "95 % interval", "less logged", "95 % interval")
    rows: Rows = [header]
    if assessment.logged is not None:
        rows.append(("logged", _number(assessment.logged.value), _span(assessment.logged), "", ""))
    for each in assessment.estimates:
        rows.append(
            (
                each.estimator,
                _number(each.value.value),
                _span(each.value),
                _number(each.difference.value, "+"),
                _span(each.difference, "+"),
            )
        )
    return rows


def days_rows(found: Days) -> Rows:
    """Header, the logging policy and each estimator of whole trajectories, as texts."""
    rows: Rows = [("over a user's days", "value", "95 % interval")]
    pairs = {"logged": found.logged, **found.estimates}
    rows += [(name, _number(each.value), _span(each)) for name, each in pairs.items()]
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
            _number(pair.logged.value),
            _span(pair.logged),
            _number(pair.target.value),
            _span(pair.target),
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


def reconciled_lines(found: Reconciled, so_far: tuple[int, int] | None) -> list[str]:
    """What was predicted and what happened, in sentences."""
    lines = [
        f"{found.policy}: {found.rows:,} decisions of {found.users:,} users made live",
        f"  {_compared('reward per decision', found.estimator, found.value)}",
    ]
    if found.difference is not None:
        what = f"less what ran beside ({found.beside[0]:,} decisions of {found.beside[1]:,} users)"
        lines.append(f"  {_compared(what, found.estimator, found.difference, '+')}")
    else:
        lines.append("  nothing else ran beside it: keep a holdout or a challenger to compare with")
    if not found.value.held or (found.difference is not None and not found.difference.held):
        lines.append(
            "  a prediction is of decisions in the states that the logging policy led to: look at "
            "drift of users and items, and at what the policy's own sends do to users"
        )
    if so_far is not None:
        lines.append(f"  so far {so_far[1]} of {so_far[0]} predictions have held")
    return lines


def _compared(what: str, estimator: str, found: Compared, sign: str = "") -> str:
    predicted, happened = found.predicted, found.happened
    return (
        f"{what}: {estimator} predicted {_number(predicted.value, sign)} "
        f"{_span(predicted, sign)}, {_number(happened.value, sign)} {_span(happened, sign)} "
        f"happened: {'held' if found.held else 'did not hold'}"
    )


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
            ("v less weighted q", f"{_number(gap.value)} {_span(gap)}", "0 if the model fits")
        )
    for name, drift in (("reward", found.reward_drift), ("weight", found.weight_drift)):
        if drift is not None:
            moved = f"{_number(drift.value, '+')} {_span(drift, '+')}"
            rows.append((f"drift of the {name}", moved, _HALVES))
    if found.coverage is not None:
        rows.append(
            ("never by the log", f"{found.coverage.untried:.1%}", "of the policy's choices")
        )
        rows.append(("executed as decided", f"{found.coverage.executed:.1%}", "of the sends"))
    return rows


def _table(title: str, rows: Rows) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for i, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if i == 0 or name == "says" else "right")
    for row in rows[1:]:
        table.add_row(*row)
    return table


def _number(value: float, sign: str = "") -> str:
    if not math.isfinite(value):
        return "unknown"
    return f"{0.0 if abs(value) < _NOTHING else value:{sign}.4g}"


def _span(interval: Interval, sign: str = "") -> str:
    if not math.isfinite(interval.low + interval.high):
        return "unknown"
    return f"[{_number(interval.low, sign)}, {_number(interval.high, sign)}]"
