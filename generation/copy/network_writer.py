"""The copywriter that a network is: what it writes is verified like any other text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from generation.copy.claims import claims
from generation.copy.conditions import ANY, DESCRIPTION, PUSH, values_of
from generation.copy.copywriter import Brief, Message
from generation.copy.facts import Facts
from generation.copy.seq2seq import LONGEST, TEMPERATURE, Seq2Seq
from generation.copy.source import BREAK, Draft, Source
from generation.copy.templates import Templates, carried_style
from generation.copy.verify import EVIDENCED


@dataclass(frozen=True, eq=False)
class NetworkWriter:
    """Writes English; Chinese it leaves to the templates."""

    network: Seq2Seq
    temperature: float = TEMPERATURE
    """how freely it chooses; 0: always the likeliest word"""
    source: str = "seq2seq"
    """which network, as kept with each text"""
    name: str = "seq2seq"
    """kept with each text"""

    def write(self, facts: Facts, brief: Brief, rng: np.random.Generator) -> Message:
        """A text about an item; nothing is certain of it before it was verified."""
        return self.write_many([(facts, brief)], rng)[0]

    def write_many(
        self, requests: Sequence[tuple[Facts, Brief]], rng: np.random.Generator
    ) -> list[Message]:
        """A text for each item and brief, many times faster than one by one."""
        requests = [(facts, _carried(facts, brief)) for facts, brief in requests]
        english = [n for n, (_, brief) in enumerate(requests) if brief.locale == "en"]
        drafts = self.drafts([requests[n] for n in english], rng)
        written = {n: self._message(*requests[n], *drafts[at]) for at, n in enumerate(english)}
        return [
            written[n] if n in written else Templates().write(facts, brief, rng)
            for n, (facts, brief) in enumerate(requests)
        ]

    def drafts(
        self, requests: Sequence[tuple[Facts, Brief]], rng: np.random.Generator
    ) -> list[tuple[Draft, Draft]]:
        """Push and description of each as they leave the network."""
        if not requests:
            return []
        sources = [
            Source.of(values_of(facts, brief, part, rng))
            for facts, brief in requests
            for part in (PUSH, DESCRIPTION)
        ]
        draws = rng.random((len(sources), LONGEST))
        texts = self.network.write(sources, draws, self.temperature)
        return list(zip(texts[::2], texts[1::2], strict=True))

    def _message(self, facts: Facts, brief: Brief, push: Draft, page: Draft) -> Message:
        title, _, body = push.text.partition(BREAK)
        return Message(
            title,
            body,
            page.text,
            brief.locale,
            brief.style,
            facts.item_id,
            self.name,
            self.source,
            claims_in(f"{push.text}\n{page.text}"),
        )


def _carried(facts: Facts, brief: Brief) -> Brief:
    """The brief in the style that the facts carry; a network may also choose (`ANY`)."""
    return brief if brief.style == ANY else replace(brief, style=carried_style(facts, brief))


def claims_in(text: str) -> tuple[str, ...]:
    """The kinds of claims that an English text makes, as far as evidence is asked for them."""
    patterns = claims()
    return tuple(
        kind for kind in sorted(EVIDENCED) if any(p.search(text) for p in patterns[kind]["en"])
    )
