"""From a shop's texts and items to a saved copywriter, measured on items kept aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from generation.copy.copywriter import STYLES, Brief
from generation.copy.facts import Facts
from generation.copy.gather import verifier_for
from generation.copy.measured import Raw, Request, measured
from generation.copy.network_writer import NetworkWriter
from generation.copy.saved import SavedWriter
from generation.copy.seq2seq import TEMPERATURE
from generation.copy.templates import carried_style
from generation.learning.adversarial import Phase, adversarial
from generation.learning.copy_pairs import Pairs, augmented, some_reader
from generation.learning.copywriting import Settings, Writer, train

ASIDE = 0.1
"""Share of the items that are kept aside to measure, where there are twenty or more."""
MEASURED = 400
"""Requests on these."""
LOSES = {"slots_right": 0.001, "unique": 0.005}
"""By how much less counts as losing: about what another seed of the same network gives."""

Progress = Callable[[str, int, int], None]
"""Called with what is going on, the steps done and all of them."""


@dataclass(frozen=True)
class Trained:
    """A network and how good it is on items it has not seen."""

    saved: SavedWriter
    likeliest: Raw
    """at temperature 0"""
    free: Raw
    """at the temperature at which it draws"""


def train_writer(
    pairs: Pairs,
    settings: Settings,
    phase: Phase | None = None,
    progress: Progress | None = None,
    manifest: dict[str, Any] | None = None,
) -> Trained:
    """Trains, goes through the adversarial phase where one is given, and measures."""
    say = progress or (lambda *_: None)
    known, aside = split(pairs.items, settings.seed)
    learned = replace(pairs, items=known)
    vocabulary = learned.vocabulary(np.random.default_rng([settings.seed, 1]))
    net = train(vocabulary, learned.draw, settings, lambda n, of, _: say("learning", n, of))
    requests = requests_on(aside, MEASURED, settings.seed)
    before = _measure(net, requests, pairs.items, settings.seed)
    about: dict[str, Any] = {**(manifest or {}), "settings": asdict(settings)}
    if phase is not None:
        other = adversarial(net, learned.draw, phase, lambda n, of, _: say("adversarial", n, of))
        after = _measure(other, requests, pairs.items, settings.seed)
        kept = not loses(before, after)
        about["adversarial"] = {
            "kept": kept,
            "before": before[1].to_mapping(),
            "after": after[1].to_mapping(),
        }
        if kept:
            net, before = other, after
    about["parameters"] = net.size
    about["figures"] = {
        "likeliest": before[0].to_mapping(),
        f"{TEMPERATURE}": before[1].to_mapping(),
    }
    return Trained(SavedWriter(net.arrays(), about), *before)


def loses(before: tuple[Raw, Raw], after: tuple[Raw, Raw]) -> bool:
    """Whether a network is less right or less varied than it was: the gate of the phase."""
    return any(
        getattr(now, name) < getattr(then, name) - most
        for then, now in zip(before, after, strict=True)
        for name, most in LOSES.items()
    )


def split(items: Sequence[Facts], seed: int) -> tuple[list[Facts], list[Facts]]:
    """Items to learn from and items kept aside; the same ones where there are too few."""
    if len(items) < 20:
        return list(items), list(items)
    order = np.random.default_rng([seed, 2]).permutation(len(items))
    size = max(int(len(items) * ASIDE), 2)
    return [items[n] for n in order[size:]], [items[n] for n in order[:size]]


def requests_on(items: Sequence[Facts], size: int, seed: int) -> list[Request]:
    """Requests on items whose prices, discounts, stock, readers and so on are drawn by the seed."""
    rng = np.random.default_rng([seed, 3])
    requests = []
    for n in range(size):
        facts = augmented(items[n % len(items)], rng)
        brief = Brief(STYLES[n % len(STYLES)], reader=some_reader(facts, items, rng))
        requests.append((facts, replace(brief, style=carried_style(facts, brief))))
    return requests


def _measure(
    net: Writer, requests: Sequence[Request], items: Sequence[Facts], seed: int
) -> tuple[Raw, Raw]:
    verifier, network = verifier_for(items), net.arrays()
    likeliest, free = (
        measured(NetworkWriter(network, temperature), requests, verifier, seed)
        for temperature in (0.0, TEMPERATURE)
    )
    return likeliest, free
