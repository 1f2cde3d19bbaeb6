"""Reports of assessments: plain values for JSON, tables for the terminal, a page with a picture."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape as escaped
from rich.table import Table

from evaluation.assessment import Assessment
from evaluation.diagnostics import Diagnostics
from evaluation.intervals import Interval

COLORS = {"better": "green", "worse": "red", "no_difference": "cyan", "cannot_tell": "yellow"}
MEANINGS = {
    "better": "the policy would have earned more per decision than the log did",
    "worse": "the policy would have earned less per decision than the log did",
    "no_difference": "the policy would have earned about as much per decision as the log did",
    "cannot_tell": "this log can't say what the policy is worth: choose by none of these numbers",
}
_NOTHING = 1e-12
"""Shown as 0: what sums of rounded numbers leave over."""
_WIDE = 100
"""Characters of a terminal line that a report needs."""


def to_json(assessment: Assessment) -> dict[str, Any]:
    """Plain values, null for what is not known; `verdict` and `reasons` come first. `estimators`
    and `differences` (less the logged mean) are keyed by the estimators as they were asked for."""
    values = {
        "name": assessment.name,
        "verdict": assessment.verdict.answer,
        "reasons": list(assessment.verdict.reasons),
        "rows": assessment.rows,
        "users": assessment.users,
        "logged": assessment.logged and asdict(assessment.logged),
        "estimators": {each.estimator: asdict(each.value) for each in assessment.estimates},
        "differences": {each.estimator: asdict(each.difference) for each in assessment.estimates},
        "diagnostics": assessment.diagnostics and asdict(assessment.diagnostics),
        "measures": {name: asdict(pair) for name, pair in assessment.measures.items()},
        "segments": {
            segment: {level: asdict(pair) for level, pair in levels.items()}
            for segment, levels in assessment.segments.items()
        },
        "notes": list(assessment.notes),
    }
    return _finite(values)


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
    console.print(f"[bold]{escaped(assessment.name)}[/]: [bold {COLORS[answer]}]{answer}[/]")
    console.print(f"  {MEANINGS[answer]}", highlight=False)
    for reason in assessment.verdict.reasons:
        console.print(f"  - {reason}", highlight=False, markup=False, soft_wrap=True)
    if assessment.estimates:
        console.print(_table("reward per decision", estimate_rows(assessment)))
    if assessment.diagnostics is not None:
        console.print(_table("can the log tell?", diagnostic_rows(assessment.diagnostics)))
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


def diagnostic_rows(found: Diagnostics) -> Rows:
    """Header and each diagnostic, as texts."""
    mean = found.mean_weight
    rows: Rows = [
        ("diagnostic", "value", "says"),
        ("rows", f"{found.rows:,}", f"of {found.users:,} users"),
        ("mean weight", f"{mean.value:.3f} [{mean.low:.3f}, {mean.high:.3f}]", "1 if all is well"),
        ("largest weight", f"{found.max_weight:.4g}", ""),
        (
            "effective sample size",
            f"{found.effective_sample_size:,.0f} ({found.effective_share:.1%})",
            "rows that would say as much",
        ),
        ("effective users", f"{found.effective_users:,.0f}", "that the difference rests on"),
        ("heaviest 1 % of users", f"{found.heaviest_users:.1%}", "of all weight"),
        ("never by the policy", f"{found.zero_target:.1%}", "of the logged decisions"),
    ]
    if found.model_gap is not None:
        gap = found.model_gap
        rows.append(
            ("v less weighted q", f"{_number(gap.value)} {_span(gap)}", "0 if the model fits")
        )
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
    return f"[{_number(interval.low, sign)}, {_number(interval.high, sign)}]"


def write_report(
    directory: Path | str, assessments: Sequence[Assessment], values: dict[str, Any]
) -> list[Path]:
    """Write report.json (of `values`), report.png and report.html; returns their paths."""
    from evaluation.picture import draw

    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    picture = draw(assessments)
    contents = {
        "report.json": (dumps(values) + "\n").encode(),
        "report.png": picture,
        "report.html": page(assessments, picture).encode(),
    }
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    return [directory / name for name in contents]


def page(assessments: Sequence[Assessment], picture: bytes) -> str:
    """One HTML file with the picture (PNG) inside; needs nothing else."""
    image = base64.b64encode(picture).decode()
    body = "\n".join(_section(assessment) for assessment in assessments)
    reading = "".join(f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>" for word, text in _WORDS)
    return _PAGE.format(image=image, body=body, reading=reading)


def _section(assessment: Assessment) -> str:
    answer = assessment.verdict.answer
    parts = [f'<h2>{escape(assessment.name)}: <span class="{answer}">{answer}</span></h2>']
    parts.append(f"<p><b>{escape(MEANINGS[answer].capitalize())}.</b></p>")
    parts.append(_list(assessment.verdict.reasons))
    if assessment.estimates:
        parts.append("<h3>Reward per decision</h3>")
        parts.append(_html_table(estimate_rows(assessment)))
    if assessment.diagnostics is not None:
        parts.append("<h3>Can the log tell?</h3>")
        parts.append(_html_table(diagnostic_rows(assessment.diagnostics)))
    parts.append(_list(assessment.notes))
    return "\n".join(parts)


def _list(sentences: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in sentences) + "</ul>"


def _html_table(rows: Rows) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:]
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


_WORDS = (
    ("reward", "what a decision earned; on a shop's log by the policy's own weights of purchases, "
     "clicks, dismissals, unsubscribes and sends"),
    ("weight", "how much a logged decision counts: its probability under the policy, divided by "
     "the probability that the log drew it with; 0 for what the policy would never do"),
    ("95 % interval", "of 100 logs drawn alike, about 95 would give an interval that holds the "
     "true value; the wider, the less the log knows"),
    ("less logged", "the difference to what the log earned: the verdict looks at this"),
    ("logged", "the mean reward in the log, which is what its own policy is worth"),
    ("ips", "the mean of all rewards, each times its weight"),
    ("snips", "the same divided by the mean weight: steadier"),
    ("ips:clip=N", "as ips, with no weight above N: steadier, but off to one side"),
    ("sg_ips:N", "as ips, with weights that are bent down smoothly; N from 0 (not at all) to 1"),
    ("mips", "as ips, with weights of what kind of action it was (item, variant, hour columns)"),
    ("snmips", "the same divided by the mean weight"),
    ("dm", "what a model of the rewards expects of the policy; no reward checks it"),
    ("dr", "dm corrected by the weighted rewards where the model was wrong"),
    ("sndr", "the same with the correction divided by the mean weight: steadier"),
    ("switch_dr:N", "as dr, but without the correction where the weight is above N"),
    ("dros:N, sg_dr:N, dr:clip=N", "as dr, with weights that are bent down or clipped"),
    ("…:slope", "N is chosen from the log: as much bending as its intervals allow"),
    ("effective sample size", "the weighted log says as much as this many rows of equal weight; "
     "small where the policy does what the log seldom did"),
)  # fmt: skip
"""For readers who have never heard of off-policy evaluation."""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Off-policy evaluation</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: auto; padding: 1rem }}
table {{ border-collapse: collapse; margin: 1rem 0 }}
th, td {{ padding: .25rem .75rem; border-bottom: 1px solid #ddd; text-align: right }}
th:first-child, td:first-child {{ text-align: left }}
img {{ max-width: 100% }} dt {{ font-weight: bold }}
.better {{ color: #1a7f37 }} .worse {{ color: #c62828 }}
.no_difference {{ color: #0969da }} .cannot_tell {{ color: #9a6700 }}
</style></head><body>
<h1>Off-policy evaluation</h1>
<p>What would a policy have earned, had it made the decisions in this log? The log's own policy drew
each decision by chance, with a known probability. A decision that the policy on trial would take
more often counts for more here, one that it would take less often for less, and so its earnings can
be estimated without sending anything. Each estimate is compared with what the log earned (dashed).
</p>
<img alt="Values against the logged one, and importance weights"
 src="data:image/png;base64,{image}">
{body}
<h2>How to read this</h2>
<dl>{reading}</dl>
</body></html>
"""
