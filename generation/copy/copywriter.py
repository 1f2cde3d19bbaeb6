"""The one interface of whatever writes push copy: templates, networks, language models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from generation.copy.facts import Facts
from mdp.errors import PushwiseError

STYLES = ("plain", "urgent", "warm", "discount", "social proof", "personal")
"""What a variant's `style` may be for the copywriters here: those of the demo shop."""


@dataclass(frozen=True)
class Reader:
    """What a text may say of the person who reads it; nothing of it is said where it is empty."""

    likes: tuple[str, ...] = ()
    """categories that the person is drawn to, most first"""
    met: str = ""
    """what the person last did with the item: "", `view`, `cart` or `purchase`"""
    similar: str = ""
    """title of an item that the person bought and that goes with this one"""
    responds: tuple[str, ...] = ()
    """styles that people like this one responded to, most first; no text says so"""


@dataclass(frozen=True)
class Brief:
    """What a text should be."""

    style: str = "plain"
    """one of `STYLES`"""
    locale: str = "en"
    """`en` or `zh`"""
    reader: Reader = Reader()
    """for whom"""
    attributes: tuple[str, ...] | None = None
    """the item's attributes that its description must name; None: all"""


@dataclass(frozen=True)
class Message:
    """One text in three lengths, and where it comes from."""

    title: str
    """of a push, an e-mail's subject"""
    body: str
    """of a push or an SMS: sentences, in the order in which they may be left out from the end"""
    description: str
    """of the item, for a page or a card: names every attribute that was asked for"""
    locale: str
    """`en` or `zh`"""
    style: str
    """of `STYLES`; the style that was asked for"""
    item_id: str
    copywriter: str
    """name of what wrote it"""
    source: str
    """the templates, or the model, that it was made with"""
    claims: tuple[str, ...] = ()
    """the claims that it makes, of the keys of `Facts.evidence`"""


class NoText(PushwiseError):
    """A copywriter can't write a text; another one may."""


class Copywriter(Protocol):
    """Writes a text about an item. What it says must still be verified."""

    @property
    def name(self) -> str:
        """`templates`, `seq2seq`, …: kept with each text."""
        ...

    def write(self, facts: Facts, brief: Brief, rng: np.random.Generator) -> Message:
        """A text that says of the item what `facts` hold. The same state of `rng` gives the
        same text. Raises `NoText`."""
        ...
