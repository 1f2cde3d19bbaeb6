"""Texts that may leave: a copywriter's where the verifier passes it, else the templates'."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from generation.copy.copywriter import Brief, Copywriter, Message, NoText
from generation.copy.facts import Facts
from generation.copy.templates import Templates
from generation.copy.verify import Finding, Verifier


@dataclass(frozen=True)
class Written:
    """What came of one request for a text."""

    message: Message | None
    """what may leave; None where not even the item's bare title may"""
    refused: tuple[tuple[Message, tuple[Finding, ...]], ...]
    """the drafts that the verifier refused, in order, with its findings"""


@dataclass(frozen=True)
class Checked:
    """A copywriter behind the verifier, with the templates to fall back on."""

    copywriter: Copywriter
    verifier: Verifier
    fallback: Copywriter = field(default_factory=Templates)
    tries: int = 3
    """drafts that each of the two may make"""

    def write(self, facts: Facts, brief: Brief, rng: np.random.Generator) -> Written:
        """The first draft that passes; where a copywriter has none to give, the fallback's."""
        refused: list[tuple[Message, tuple[Finding, ...]]] = []
        for writer in (self.copywriter, self.fallback):
            for _ in range(self.tries):
                try:
                    draft = writer.write(facts, brief, rng)
                except NoText:
                    break
                findings = self.verifier.check(draft, facts, brief.reader)
                if not findings:
                    return Written(draft, tuple(refused))
                refused.append((draft, findings))
        title = facts.title.strip()
        bare = Message(title, "", title, brief.locale, "plain", facts.item_id, "bare", "title")
        findings = self.verifier.check(bare, facts, brief.reader)
        return Written(None if findings else bare, tuple(refused))
