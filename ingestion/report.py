"""The report of `pushwise check`: an HTML page in one file, JSON, and pictures."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ingestion.check import Finding
from ingestion.log import Log
from ingestion.pictures import pictures
from ingestion.quality import Quality
from ingestion.rules import RULES
from ingestion.scores import DIMENSIONS, Score, overall, verdict

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1a202c}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:
collapse;font-size:.9rem}td,th{padding:.25rem .7rem;border-bottom:1px solid #e2e8f0;text-align:left;
vertical-align:top}td.n{text-align:right}.error{color:#c53030}.warning{color:#975a16}
img{max-width:100%}figure{margin:1rem 0}figcaption{font-weight:600}.down{color:#c53030}"""


def write_report(
    path: Path,
    log: Log,
    found: Sequence[Finding],
    figures: Quality,
    scored: Sequence[Score],
    before: Mapping[str, float] | None = None,
) -> None:
    """`report.html`, `report.json` and a PNG for each picture in a directory.

    `log` is what the pictures are of, all of it or a part. `before` are another log's overall
    scores, to show the trend from them.
    """
    path.mkdir(parents=True, exist_ok=True)
    values = report_values(found, figures, scored, before)
    (path / "report.json").write_text(json.dumps(values, indent=1) + "\n")
    drawn = pictures(log)
    for name, (_, png) in drawn.items():
        (path / f"{name}.png").write_bytes(png)
    (path / "report.html").write_text(
        _page(found, figures, scored, before, drawn, len(log.tables["users"]))
    )


def report_values(
    found: Sequence[Finding],
    figures: Quality,
    scored: Sequence[Score],
    before: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The report as plain values."""
    values: dict[str, Any] = {
        "verdict": verdict(figures),
        "scores": overall(scored),
        "findings": [finding.to_mapping() for finding in found],
        "quality": figures.to_mapping(),
        "scores_by_column": [score.to_mapping() for score in scored],
    }
    if before is not None:
        values["scores_before"] = dict(before)
    return values


def _page(
    found: Sequence[Finding],
    figures: Quality,
    scored: Sequence[Score],
    before: Mapping[str, float] | None,
    drawn: Mapping[str, tuple[str, bytes]],
    users: int,
) -> str:
    ends = [(time or "")[:16].replace("T", " ") for time in (figures.first, figures.last)]
    span = f", from {ends[0]} to {ends[1]} (UTC)" if figures.first else ""
    images = "".join(
        f"<figure><figcaption>{escape(says)}</figcaption><img alt='{escape(says)}' "
        f"src='data:image/png;base64,{base64.b64encode(png).decode()}'></figure>"
        for says, png in drawn.values()
    )
    whole, part = figures.rows.get("users", 0), ""
    if users < whole:
        part = f"<p>Of {users:,} of the {whole:,} users, by chance, and what they did.</p>"
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>A log's quality</title>"
        f"<style>{_STYLE}</style><h1>{escape(verdict(figures))}</h1>"
        f"<p>{escape(figures.sizes or 'No rows')}{escape(span)}.</p>"
        f"<h2>Scores</h2>{_scores(scored, before)}"
        f"<h2>What is wrong</h2>{_findings(found)}<h2>Pictures</h2>{part}{images}</html>\n"
    )


def _scores(scored: Sequence[Score], before: Mapping[str, float] | None) -> str:
    tables = dict.fromkeys(score.table for score in scored)
    by = {(score.table, score.dimension): score for score in scored if score.column is None}
    rows = [_row(["", *DIMENSIONS], "th")]
    for table in tables:
        shares = [by.get((table, dimension)) for dimension in DIMENSIONS]
        rows.append(
            _row([table, *(_percent(None if each is None else each.score) for each in shares)])
        )
    total = overall(scored)
    rows.append(_row(["all tables", *(_percent(total.get(d)) for d in DIMENSIONS)], "th"))
    if before is not None:
        changes = [
            f"{100 * (total[d] - before[d]):+.2f}" if d in total and d in before else ""
            for d in DIMENSIONS
        ]
        rows.append(_row(["points more than before", *changes]))
    return f"<table>{''.join(rows)}</table><p>{_MEANING}</p>"


_MEANING = (
    "The share of rows that break no rule of that kind; timeliness: of the days from first to "
    "last, those that have rows."
)


def _percent(share: float | None) -> str:
    if share is None:
        return ""
    # Never 100 % where something is wrong.
    return "100 %" if share == 1 else f"{min(100 * share, 99.99):.2f} %"


def _findings(found: Sequence[Finding]) -> str:
    if not found:
        return "<p>Nothing.</p>"
    rows = [_row(["severity", "where", "what", "rows", "such as", "clean"], "th")]
    for each in found:
        where = each.table if each.column is None else f"{each.table}.{each.column}"
        such = ", ".join(filter(None, each.values))
        action = RULES[each.rule].action.value
        cells = [each.severity, where, each.says, f"{each.count:,}", such, action]
        rows.append(_row(cells, "td", each.severity))
    return f"<table>{''.join(rows)}</table>"


def _row(cells: Sequence[str], tag: str = "td", kind: str = "") -> str:
    said = "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells)
    return f"<tr class='{kind}'>{said}</tr>" if kind else f"<tr>{said}</tr>"
