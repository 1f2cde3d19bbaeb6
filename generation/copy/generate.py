"""Draft variants for many items, each with where it comes from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import pandas as pd

from generation.copy.copywriter import STYLES, Brief, Message, Reader
from generation.copy.facts import Facts
from generation.copy.writing import Checked
from ingestion.spread import Spread, in_turn

TOGETHER = 50
"""Items that are written about in one part."""
READERS = ("any", "view", "cart", "purchase", "likes")
"""For whom: anybody, who viewed the item, has it in the cart, bought it, likes its category."""


@dataclass(frozen=True)
class Order:
    """What to write of each item."""

    styles: tuple[str, ...] = STYLES
    locales: tuple[str, ...] = ("en", "zh")
    readers: tuple[str, ...] = ("any",)
    """of `READERS`; copy for other readers than any carries their name as its segment"""
    each: int = 1
    """texts of each style, locale and reader"""
    attributes: tuple[str, ...] | None = None
    """attributes that descriptions must name; None: all"""
    seed: int = 0


@dataclass(frozen=True)
class Generated:
    """What was written."""

    variants: pd.DataFrame
    """rows of a log's `variants` with status draft, and beside them description, claims, evidence
    (JSON), copywriter, source, seed, facts (their hash) and facts_at"""
    asked: int
    """texts asked for"""
    not_carried: int
    """of these, in a style that the item's facts do not carry, or the same as another"""
    refused: Mapping[str, int]
    """drafts that the verifier refused, by the first rule that they broke"""
    nothing: int
    """texts of which not even the bare title may leave"""


def generate(
    facts: Sequence[Facts],
    writer: Checked,
    order: Order,
    progress: Callable[[int], None] = lambda done: None,
    spread: Spread = in_turn,
) -> Generated:
    """Drafts for every item, style, language and reader that the facts carry.

    A text depends on the seed, its item and what was asked for, not on which other items there
    are. progress: called with the number of items done. spread: where the parts, of `TOGETHER`
    items, are written (default: here, one after the other).
    """
    parts = [facts[n : n + TOGETHER] for n in range(0, len(facts), TOGETHER)]
    variants: list[pd.DataFrame] = []
    asked = not_carried = nothing = done = 0
    refused: Counter[str] = Counter()
    for part, made in zip(parts, spread(_part, (writer, order), parts), strict=True):
        variants.append(made.variants)
        asked, not_carried = asked + made.asked, not_carried + made.not_carried
        nothing += made.nothing
        refused.update(made.refused)
        done += len(part)
        progress(done)
    table = pd.concat(variants, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))
    return Generated(table, asked, not_carried, dict(refused), nothing)


def _part(shared: tuple[Checked, Order], facts: Sequence[Facts]) -> Generated:
    """Drafts for some items."""
    writer, order = shared
    rows: dict[str, dict[str, object]] = {}
    refused: Counter[str] = Counter()
    asked = kept = nothing = 0
    for one in facts:
        for style, locale, reader, number in _requests(order):
            asked += 1
            seed = _seed(order.seed, one.item_id, style, locale, reader, number)
            brief = Brief(style, locale, _reader(reader, one), order.attributes)
            written = writer.write(one, brief, np.random.default_rng(seed))
            refused.update(findings[0].rule for _, findings in written.refused)
            message = written.message
            if message is None:
                nothing += 1
            elif message.style == style:
                row = _row(message, one, "" if reader == "any" else reader, seed)
                kept += str(row["variant_id"]) not in rows
                rows.setdefault(str(row["variant_id"]), row)
    return Generated(
        pd.DataFrame(list(rows.values()), columns=list(COLUMNS)),
        asked,
        asked - kept - nothing,
        dict(refused),
        nothing,
    )


COLUMNS = (
    *("variant_id", "style", "locale", "title", "body", "item_id", "segment", "status"),
    *("description", "claims", "evidence", "copywriter", "source", "seed", "facts", "facts_at"),
)


def _requests(order: Order) -> list[tuple[str, str, str, int]]:
    """Style, language, reader and number; what is personal is not written for anybody."""
    return [
        (style, locale, reader, number)
        for style in order.styles
        for locale in order.locales
        for reader in order.readers
        for number in range(order.each)
        if (style == "personal") == (reader != "any")
    ]


def _reader(name: str, facts: Facts) -> Reader:
    if name == "likes":
        return Reader(likes=(facts.category,) if facts.category else ())
    return Reader(met="" if name == "any" else name)


def _seed(*parts: object) -> int:
    text = json.dumps([str(part) for part in parts])
    return int.from_bytes(blake2b(text.encode(), digest_size=6).digest())


def _row(message: Message, facts: Facts, segment: str, seed: int) -> dict[str, object]:
    said = (message.item_id, message.locale, segment, message.title, message.body)
    evidence = {
        claim: words
        for claim, words in facts.evidence.items()
        if claim.partition(":")[0] in message.claims
    }
    return {
        "variant_id": f"copy-{blake2b(json.dumps(said).encode(), digest_size=6).hexdigest()}",
        "style": message.style,
        "locale": message.locale,
        "title": message.title,
        "body": message.body,
        "item_id": message.item_id,
        "segment": segment or None,
        "status": "draft",
        "description": message.description,
        "claims": " ".join(message.claims),
        "evidence": json.dumps(evidence, ensure_ascii=False),
        "copywriter": message.copywriter,
        "source": message.source,
        "seed": seed,
        "facts": facts.hash,
        "facts_at": None if facts.at is None else facts.at.isoformat(),
    }
