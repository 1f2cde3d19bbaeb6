"""Reports in a directory: an HTML page in one file, the same in Markdown, JSON and pictures.

The page is for somebody who has never heard of off-policy evaluation and has to decide about a
release: the answer first, then why, what to do, and only then the numbers it rests on.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from evaluation.advice import advice
from evaluation.assessment import Assessment
from evaluation.glossary import glossary
from evaluation.report import MEANINGS, dumps
from evaluation.rows import (
    Rows,
    days_note,
    days_rows,
    diagnostic_rows,
    estimate_rows,
    measure_rows,
    segment_rows,
    trial_rows,
)
from evaluation.verdict import leading

HEADLINES = {
    "better": "Yes: better than what runs now",
    "worse": "No: worse than what runs now",
    "no_difference": "No difference to what runs now",
    "cannot_tell": "This log can't tell",
}
_INTRODUCTION = (
    "What would a policy have earned, had it made the decisions in this log? The running policy "
    "drew each decision by chance, with a known probability. A decision that the policy on trial "
    "would take more often counts for more here, one that it would take less often for less, and "
    "so its earnings can be estimated without sending anything. Each estimate is compared with "
    "what the log earned (dashed)."
)
_Section = tuple[str, list[str] | Rows]
"""A heading with sentences, or with a table."""


def write_report(
    directory: Path | str, assessments: Sequence[Assessment], values: dict[str, Any]
) -> list[Path]:
    """Write report.json (of `values`), report.png, report.md and report.html; returns the paths.

    Where the log says what its actions were, overlap.png too (of several policies one each).
    """
    from evaluation.picture import draw, draw_overlap

    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    picture = draw(assessments)
    overlaps = [draw_overlap(each) for each in assessments]
    contents = {
        "report.json": (dumps(values) + "\n").encode(),
        "report.png": picture,
        "report.md": markdown(assessments, [name for _, name in _named(overlaps)]).encode(),
        "report.html": page(assessments, picture, overlaps).encode(),
    }
    contents |= {name: image for image, name in _named(overlaps) if image and name}
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    return [directory / name for name in contents]


def _named(overlaps: Sequence[bytes | None]) -> list[tuple[bytes | None, str | None]]:
    """Pictures with their file names."""
    single = len(overlaps) == 1
    return [
        (image, None if image is None else "overlap.png" if single else f"overlap-{n}.png")
        for n, image in enumerate(overlaps, 1)
    ]


def in_short(assessment: Assessment) -> str:
    """One sentence with the number that decides."""
    lead, logged = leading(assessment.estimates), assessment.logged
    if lead is None or logged is None or assessment.verdict.answer == "cannot_tell":
        return MEANINGS[assessment.verdict.answer].capitalize() + "."
    found, base = lead.tested, logged.value
    if base > 0:
        return (
            f"It would have earned {found.value / base:+.1%} per decision (between "
            f"{found.low / base:+.1%} and {found.high / base:+.1%}): {lead.value.value:.4g} in "
            f"place of {base:.4g}."
        )
    return (
        f"It would have earned {lead.value.value:.4g} per decision in place of {base:.4g} (a "
        f"difference between {found.low:+.4g} and {found.high:+.4g})."
    )


def _sections(assessment: Assessment) -> Iterator[_Section]:
    """All that is said of one policy below its answer."""
    yield "Why", list(assessment.verdict.reasons)
    yield "What to do", advice(assessment)
    if assessment.outlook is not None and assessment.outlook.trials:
        yield "What a live trial would take", trial_rows(assessment.outlook)
    if assessment.estimates:
        yield "Reward per decision", estimate_rows(assessment)
    if assessment.days is not None:
        yield "Reward per user over the days", days_rows(assessment.days)
        yield "How far the log can follow the policy", [days_note(assessment.days)]
    if assessment.measures:
        yield "What else would change (as certain as the answer above)", measure_rows(assessment)
    if assessment.segments:
        yield "By segment", segment_rows(assessment)
    if assessment.diagnostics is not None:
        yield "Can the log tell?", diagnostic_rows(assessment.diagnostics)
    yield "To keep in mind", list(assessment.notes)


def markdown(assessments: Sequence[Assessment], overlaps: Sequence[str | None] = ()) -> str:
    """The report in Markdown; pictures lie beside it. overlaps: file names, one for each policy."""
    parts = ["# Is the policy better than the one that runs?"]
    for assessment in assessments:
        parts.append(f"## {assessment.name}: {HEADLINES[assessment.verdict.answer]}")
        if assessment.warning is not None:
            parts.append(f"**Warning: {assessment.warning}.**")
        parts.append(f"**`{assessment.verdict.answer}`. {in_short(assessment)}**")
        parts += _markdown_sections(list(_sections(assessment))[:2])
    parts.append(_INTRODUCTION)
    parts.append("![Values against the logged one, and importance weights](report.png)")
    names = [*overlaps, *[None] * (len(assessments) - len(overlaps))]
    for assessment, overlap in zip(assessments, names, strict=True):
        parts.append(f"## {assessment.name}: the numbers")
        parts += _markdown_sections(list(_sections(assessment))[2:])
        if overlap is not None:
            parts += ["### What the log did and what the policy would do", f"![]({overlap})"]
    parts.append("## How to read this")
    parts.append("\n".join(f"- **{word}**: {text}" for word, text in glossary(assessments)))
    return "\n\n".join(parts) + "\n"


def _markdown_sections(sections: Sequence[_Section]) -> Iterator[str]:
    for heading, content in sections:
        yield f"### {heading}"
        if content and isinstance(content[0], tuple):
            yield _markdown_table(content)
        else:
            yield "\n".join(f"- {line}" for line in content)


def _markdown_table(rows: Rows) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def page(
    assessments: Sequence[Assessment],
    picture: bytes,
    overlaps: Sequence[bytes | None] = (),
) -> str:
    """One HTML file with the pictures (PNG) inside; needs nothing else."""
    pictures = [*overlaps, *[None] * (len(assessments) - len(overlaps))]
    answers = "\n".join(_answer(assessment) for assessment in assessments)
    details = "\n".join(map(_details, assessments, pictures))
    words = glossary(assessments)
    reading = "".join(f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>" for word, text in words)
    return _PAGE.format(
        image=_image(picture, "Values against the logged one, and importance weights"),
        answers=answers,
        details=details,
        reading=reading,
        introduction=escape(_INTRODUCTION),
    )


def _answer(assessment: Assessment) -> str:
    """The box at the top: the answer, why, and what to do."""
    answer = assessment.verdict.answer
    said = assessment.warning
    warning = "" if said is None else f"<p><b>Warning: {escape(said)}.</b></p>"
    sections = dict(list(_sections(assessment))[:2])
    inner = "".join(
        f"<h3>{escape(heading)}</h3>{_html(content)}" for heading, content in sections.items()
    )
    return (
        f'<section class="answer {answer}">{warning}<p class="name">{escape(assessment.name)}</p>'
        f"<h2>{escape(HEADLINES[answer])} <code>{answer}</code></h2>"
        f"<p><b>{escape(in_short(assessment))}</b></p>{inner}</section>"
    )


def _details(assessment: Assessment, overlap: bytes | None) -> str:
    parts = [f"<h2>{escape(assessment.name)}: the numbers</h2>"]
    for heading, content in list(_sections(assessment))[2:]:
        parts.append(f"<h3>{escape(heading)}</h3>{_html(content)}")
        if heading == "Can the log tell?" and overlap is not None:
            parts.append("<h3>What the log did and what the policy would do</h3>")
            parts.append(_image(overlap, "Shares by item, variant and hour"))
    return "\n".join(parts)


def _html(content: list[str] | Rows) -> str:
    if content and isinstance(content[0], tuple):
        words = [' class="words"' if name == "says" else "" for name in content[0]]

        def line(tag: str, row: tuple[str, ...]) -> str:
            cells = zip(words, row, strict=True)
            return "".join(f"<{tag}{kind}>{escape(str(x))}</{tag}>" for kind, x in cells)

        head = line("th", content[0])
        lines = "".join(f"<tr>{line('td', row)}</tr>" for row in content[1:])
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
        return f'<div class="wide">{table}</div>'
    return "<ul>" + "".join(f"<li>{escape(str(text))}</li>" for text in content) + "</ul>"


def _image(picture: bytes, alt: str) -> str:
    code = base64.b64encode(picture).decode()
    return f'<div class="wide"><img alt="{escape(alt)}" src="data:image/png;base64,{code}"></div>'


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Off-policy evaluation</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: auto; padding: 1rem;
color: #1f2328 }}
.wide {{ overflow-x: auto }}
table {{ border-collapse: collapse; margin: .5rem 0 1rem }}
th, td {{ padding: .25rem .75rem; border-bottom: 1px solid #ddd; text-align: right }}
td {{ white-space: nowrap }}
th:first-child, td:first-child, .words {{ text-align: left; white-space: normal }}
.words {{ min-width: 11rem }}
img {{ max-width: 100%; min-width: 42rem }}
dt {{ font-weight: bold }} h3 {{ margin: 1rem 0 .25rem }}
ul {{ margin: .25rem 0; padding-left: 1.25rem }}
.answer {{ border-left: 6px solid; padding: .25rem 1rem; margin: 1rem 0; background: #f6f8fa }}
.answer h2 {{ margin: 0 }} .answer .name {{ color: #57606a; margin: 0 }}
.answer p, .answer li, .answer h3 {{ color: #1f2328 }}
code {{ font-size: .8em; font-weight: normal }}
.better {{ color: #1a7f37 }} .worse {{ color: #c62828 }}
.no_difference {{ color: #0969da }} .cannot_tell {{ color: #9a6700 }}
</style></head><body>
<h1>Is the policy better than the one that runs?</h1>
{answers}
<p>{introduction}</p>
{image}
{details}
<h2>How to read this</h2>
<dl>{reading}</dl>
</body></html>
"""
