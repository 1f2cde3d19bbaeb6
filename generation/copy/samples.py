"""A page of drafts to read before anybody approves them."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from generation.copy.channels import channels
from generation.copy.copywriter import Message
from generation.copy.facts import Facts
from generation.copy.formats import fitted

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:68rem;margin:2rem auto;padding:0 1rem;
color:#222}h2{margin-top:2.5rem}.grid{display:grid;grid-template-columns:repeat(auto-fill,
minmax(19rem,1fr));gap:1rem}.push{background:#f3f4f6;border-radius:.9rem;padding:.7rem .9rem}
.push b{display:block}.push p{margin:.2rem 0}.push small{color:#555;display:block}
.push .id{font:12px ui-monospace,monospace;color:#777}table{border-collapse:collapse}
td,th{text-align:left;padding:.25rem .9rem .25rem 0;border-bottom:1px solid #ddd;
vertical-align:top}td.n{text-align:right}"""
_LANGUAGES = {"en": "English", "zh": "中文"}


def page(variants: pd.DataFrame, facts: Mapping[str, Facts], seed: int = 0, each: int = 12) -> str:
    """HTML in one file: `each` drafts of each language and style, the longest in every channel.

    variants: what `generate` made. The drafts shown are drawn by `seed`.
    """
    rng = np.random.default_rng(seed)
    parts = [
        f'<!doctype html><meta charset="utf-8"><title>Drafts</title><style>{_STYLE}</style>',
        f"<h1>{len(variants)} drafts of {variants['item_id'].nunique()} items</h1>",
        "<p>None of them may be sent before somebody has approved it. Below each stands what it "
        "claims and what in the log holds that.</p>",
    ]
    for (locale, style), group in variants.groupby(["locale", "style"], sort=False):
        drawn = rng.permutation(len(group))[:each]
        cards = "".join(_card(row, facts) for row in group.iloc[np.sort(drawn)].to_dict("records"))
        title = f"{_LANGUAGES.get(str(locale), str(locale))}: {style} ({len(group)})"
        parts.append(f'<h2>{escape(title)}</h2><div class="grid">{cards}</div>')
    for locale, group in variants.groupby("locale", sort=False):
        # The longest says most of what channels cut.
        row = max(group.to_dict("records"), key=lambda one: len(one["title"] + one["body"]))
        parts.append(_channels(row, facts, _LANGUAGES.get(str(locale), str(locale))))
    return "".join(parts)


def _card(row: Mapping[Any, Any], facts: Mapping[str, Facts]) -> str:
    evidence = facts[str(row["item_id"])].evidence
    held = "; ".join(
        f"{claim}: {words}"
        for claim, words in evidence.items()
        if claim.partition(":")[0] in str(row["claims"]).split()
    )
    segment = f" · for: {row['segment']}" if row["segment"] else ""
    return (
        f'<div class="push"><b>{escape(str(row["title"]))}</b><p>{escape(str(row["body"]))}</p>'
        f"<small>{escape(str(row['description']))}</small>"
        f"<small>{escape('the push claims ' + (held or 'nothing') + segment)}</small>"
        f'<span class="id">{escape(str(row["variant_id"]))} · {escape(str(row["copywriter"]))}'
        "</span></div>"
    )


def _channels(row: Mapping[Any, Any], facts: Mapping[str, Facts], language: str) -> str:
    """One draft in the form of every channel."""
    message = message_of(row)
    lines = []
    for channel in channels():
        form = fitted(message, channel, facts[message.item_id].title)
        unit = "segments" if channel == "sms" else "bytes"
        left = "; ".join((*form.dropped, *(f"does not fit: {breach}" for breach in form.breaches)))
        cells = (channel, form.title, form.body, left)
        lines.append(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}"
            f'<td class="n">{form.size} {unit}, {form.encoding}</td></tr>'
        )
    head = "".join(f"<th>{name}</th>" for name in ("channel", "title", "body", "left out", "size"))
    return (
        f"<h2>{escape(language)}: {escape(message.item_id)} in every channel</h2>"
        f"<table><tr>{head}</tr>{''.join(lines)}</table>"
    )


def message_of(row: Mapping[Any, Any]) -> Message:
    """A row of a table of variants as a message; what the table lacks is empty."""

    def text(name: str) -> str:
        value = row.get(name)
        return "" if value is None or pd.isna(value) else str(value)

    return Message(
        text("title"),
        text("body"),
        text("description"),
        "zh" if text("locale").lower().startswith("zh") else "en",
        text("style"),
        text("item_id"),
        text("copywriter"),
        text("source"),
        tuple(text("claims").split()),
    )
