"""What a network is told of an item and of the person who will read: its source's fields."""

from __future__ import annotations

from functools import cache

import numpy as np

from generation.copy.aspects import aspects_named, lexicon
from generation.copy.claims import claims
from generation.copy.copywriter import Brief
from generation.copy.facts import Facts
from generation.copy.labels import label
from generation.copy.source import MOST
from generation.copy.templates import slots_for

ANY = "any"
"""The style of a text whose style the network chooses."""
PUSH, DESCRIPTION = "push", "description"
"""What is to be written: title and body, or the item's description."""
SCALE = "5"
"""What ratings are out of."""


@cache
def sayable(aspect: str) -> bool:
    """Whether the verifier lets a text praise an aspect of items: not, for one, their delivery."""
    label = lexicon("en").labels[aspect]
    promises = any(pattern.search(label) for pattern in claims()["never"]["en"])
    return aspect in aspects_named(label) and not promises


def values_of(
    facts: Facts, brief: Brief, part: str, rng: np.random.Generator | None = None
) -> dict[str, str]:
    """Fields of a source, as texts in English.

    The style told is the brief's, whether or not the facts carry it. Of praised aspects one is
    told: the first, or with `rng` any.
    """
    reader = brief.reader
    slots = slots_for(facts, reader, "en", np.random.default_rng(0))
    for name in ("detail", "like", "similar", "aspect", "tenths"):
        slots.pop(name, None)
    likes = bool(facts.category) and facts.category in reader.likes
    so = {
        **{met: reader.met == met for met in ("view", "cart", "purchase")},
        "liked": likes,
        "leads": "superlative" in facts.evidence,
        "new": "new" in facts.evidence,
    }
    values = {
        "part": part,
        "style": brief.style.replace(" ", "-"),
        **{name: "yes" for name, holds in so.items() if holds},
        "responds": " ".join(style.replace(" ", "-") for style in reader.responds),
        "interest": " ".join(reader.likes[:1]),
        "similar": reader.similar if reader.similar != facts.title else "",
        **slots,
    }
    if "rating" in slots:
        values["scale"] = SCALE
    liked = [aspect.name for aspect in facts.aspects if aspect.liked and sayable(aspect.name)]
    if liked:
        chosen = liked[0] if rng is None else str(rng.choice(liked))
        values["aspect"] = lexicon("en").labels[chosen]
    wanted = brief.attributes if brief.attributes is not None else tuple(facts.attributes)
    given = [name for name in wanted if facts.attributes.get(name)]
    if part == PUSH and rng is not None and given:
        given = [str(rng.choice(given))]
    for number, name in enumerate(given[: 1 if part == PUSH else MOST]):
        values[f"label{number}"] = label(name, "en")
        values[f"value{number}"] = facts.attributes[name]
    return values
