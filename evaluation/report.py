"""Reports of assessments: plain values for JSON, and what the terminal shows."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape as escaped
from rich.table import Table

from evaluation.advice import advice
from evaluation.assessment import Assessment
from evaluation.collected import REWARD
from evaluation.rows import (
    Rows,
    days_note,
    days_rows,
    diagnostic_rows,
    estimate_rows,
    measure_rows,
    number,
    segment_rows,
    span,
    trial_rows,
)

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


def _table(title: str, rows: Rows) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for i, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if i == 0 or name == "says" else "right")
    for row in rows[1:]:
        table.add_row(*row)
    return table


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
        f"{what}: {estimator} predicted {number(predicted.value, sign)} "
        f"{span(predicted, sign)}, {number(happened.value, sign)} {span(happened, sign)} "
        f"happened: {'held' if found.held else 'did not hold'}"
    )
