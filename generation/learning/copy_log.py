"""What a shop's log teaches a copywriter: its approved variants, and which ones people liked."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from generation.copy.conditions import ANY
from generation.copy.copywriter import Reader
from generation.copy.facts import Facts
from generation.copy.formatting import language_of
from generation.copy.gather import facts_of
from generation.copy.similar import pushes_of, styles_responded
from generation.learning.copy_pairs import Example, Pairs, example_of
from ingestion.log import Log

ENOUGH = 3
"""Visits to a category that make it one that a person is drawn to."""
SHARE = 0.3
"""Of the shop's own texts in training, where pushes were responded to."""


def pairs_of(log: Log) -> tuple[Pairs, dict[str, int]]:
    """What to learn from, and how much of what there is."""
    facts = list(facts_of(log).values())
    variants = list(_variants(log, facts))
    responses = list(_responses(log, dict(variants)))
    own = [example for _, example in variants] + responses
    counts = {
        "items": len(facts),
        "variants": len(variants),
        "variants_left_out": int(_approved(log)["variant_id"].nunique()) - len(variants),
        "responses": len(responses),
    }
    share = SHARE if responses else 0.15
    return Pairs([one for one in facts if one.title.strip()], own, share), counts


def _approved(log: Log) -> pd.DataFrame:
    variants = log.tables["variants"]
    return variants[variants["status"].fillna("approved") == "approved"]


def _variants(log: Log, facts: list[Facts]) -> Iterator[tuple[str, Example]]:
    """English variants whose words name nothing of the catalogue."""
    for row in _approved(log).to_dict("records"):
        locale = row.get("locale")
        if language_of(None if locale != locale else locale) != "en":
            continue
        example = example_of(str(row["title"]), str(row["body"]), str(row["style"]))
        if example is not None:
            yield str(row["variant_id"]), example


def _responses(log: Log, variants: dict[str, Example]) -> Iterator[Example]:
    """Pushes of the later half that were responded to, each with what was known before."""
    pushes = pushes_of(log)
    if pushes.empty:
        return
    half = pushes["decided_at"].sort_values().iloc[len(pushes) // 2]
    responds = styles_responded(log, half)
    likes = _likes(log, half)
    later = pushes[(pushes["decided_at"] >= half) & pushes["responded"]]
    for user, variant in zip(later["user_id"], later["variant_id"], strict=True):
        if variant in variants:
            reader = Reader(likes.get(user, ()), responds=responds.get(user, ()))
            yield Example(variants[variant].skeleton, ANY, reader)


def _likes(log: Log, until: pd.Timestamp) -> dict[str, tuple[str, ...]]:
    """User → the category met most before an instant, where it was met often enough."""
    events = log.tables["events"]
    events = events[events["at"] < until]
    items = log.tables["items"].drop_duplicates("item_id").set_index("item_id")["category"]
    counts = events.assign(category=events["item_id"].map(items)).dropna(subset="category")
    counts = counts.groupby(["user_id", "category"]).size().reset_index(name="n")
    counts = counts[counts["n"] >= ENOUGH].sort_values("n", kind="stable")
    return {str(u): (str(c),) for u, c in zip(counts["user_id"], counts["category"], strict=True)}
