"""How right a network's texts are as it writes them, before anything refuses one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from generation.copy.copywriter import Brief
from generation.copy.facts import Facts
from generation.copy.network_writer import NetworkWriter
from generation.copy.verify import Verifier

Request = tuple[Facts, Brief]


@dataclass(frozen=True)
class Raw:
    """Counts of texts, pushes and descriptions alike."""

    texts: int
    slots: int
    """mentions of facts in them"""
    right: int
    """mentions that are whole and with which the verifier finds nothing wrong"""
    refused: int
    """texts in which the verifier finds anything"""
    phrasings: int
    """different pushes, with slots in place of facts"""
    pushes: int

    @property
    def slots_right(self) -> float:
        """Share of the mentions."""
        return self.right / max(self.slots, 1)

    @property
    def unique(self) -> float:
        """Different phrasings, as a share of the pushes."""
        return self.phrasings / max(self.pushes, 1)

    def to_mapping(self) -> dict[str, float | int]:
        """As a manifest keeps it."""
        return {
            "texts": self.texts,
            "slots": self.slots,
            "slots_right": round(self.slots_right, 5),
            "refused": self.refused,
            "unique_phrasings": round(self.unique, 5),
        }


def measured(
    writer: NetworkWriter, requests: Sequence[Request], verifier: Verifier, seed: int
) -> Raw:
    """What a network writes for these requests, as drawn by the seed.

    Each finding of the verifier costs one mention, and each mention that is cut short or mixed
    up one more.
    """
    drafts = writer.drafts(requests, np.random.default_rng(seed))
    slots = right = refused = 0
    for (facts, brief), pair in zip(requests, drafts, strict=True):
        for draft in pair:
            findings = sum(1 for _ in verifier.check_text(draft.text, facts, brief.reader))
            whole = sum(not name.endswith("?}") for name in draft.mentions)
            slots += len(draft.mentions)
            right += max(whole - findings, 0)
            refused += findings > 0 or not draft.ended
    phrasings = {push.skeleton for push, _ in drafts}
    return Raw(2 * len(drafts), slots, right, refused, len(phrasings), len(drafts))
