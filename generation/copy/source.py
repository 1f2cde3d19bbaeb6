"""What a network reads to write a text, and how its tokens become one.

A source is a list of words, each tagged with the field it is from: what the item's facts hold, and
conditions such as the style. A text is a list of tokens: words of a fixed vocabulary, in which
there is neither a digit nor a name, and places of the source, whose words are copied. So a number
or a name can be left out, cut short or put where another belongs, but never made up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np

MOST = 6
"""Attributes of an item that a network is told."""
CONDITIONS = (
    *("part", "style", "responds", "interest"),
    *("view", "cart", "purchase", "liked", "leads", "new"),
)
"""Fields that say how to write; none of their words is ever copied."""
FACTS = (
    *("item", "brand", "category", "price", "was", "saving", "percent", "stock", "until"),
    *("rating", "scale", "buyers", "window", "reviews", "aspect", "likes", "similar"),
    *(f"{part}{n}" for n in range(MOST) for part in ("label", "value")),
)
"""Fields that a text may copy. `label0` and `value0` are an attribute's name and value."""
FIELDS = (*CONDITIONS, *FACTS)
BUCKETS = 512
"""Classes of words by hash, so that a word never seen in training has one too."""
PLACES = 12
"""Places in a field that are told apart; further ones count as the last."""
END, BREAK = "<end>", "\n"
"""Ends a text; stands between title and body."""
_TOKEN = re.compile(r"\n| ?[^\W\d_]+(?:['’-][^\W\d_]+)*| ?[^\w\s]| ")
_OPENERS = tuple("\n \"'“‘(«#")


@dataclass(frozen=True)
class Source:
    """The words that a text is written from."""

    words: tuple[str, ...]
    """as they are copied; those after a field's first begin with their space"""
    field: np.ndarray
    """(S,) int64, place in `FIELDS`"""
    place: np.ndarray
    """(S,) int64, place in the field from 0"""
    bucket: np.ndarray
    """(S,) int64, class of the word, 1 to `BUCKETS`; 0 is kept for padding and unknown words"""

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Source:
        """From the fields' texts; those without one are left out."""
        words, field, place = [], [], []
        for number, name in enumerate(FIELDS):
            for at, word in enumerate(values.get(name, "").split()):
                words.append(word if at == 0 else f" {word}")
                field.append(number)
                place.append(at)
        return cls(
            tuple(words),
            np.array(field, np.int64),
            np.array(place, np.int64),
            np.array([_bucket(word) for word in words], np.int64),
        )

    @property
    def last(self) -> np.ndarray:
        """Whether a word is its field's last (S,) bool."""
        return np.append(self.field[1:] != self.field[:-1], True)


@lru_cache(100_000)
def _bucket(word: str) -> int:
    digest = blake2b(word.strip().lower().encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % BUCKETS + 1


Piece = str | int
"""A vocabulary's word, or a place of the source."""


def skeleton_of(text: str, slots: Mapping[str, str]) -> list[str] | None:
    """A text as vocabulary words and `{slot}`s, with the slots' values found in it, longest first.

    None where it can't be put together again from them, or holds a digit outside of slots.
    """
    known = [name for name in FACTS if slots.get(name)]
    names = sorted(known, key=lambda name: -len(slots[name]))
    by_value: dict[str, str] = {}
    for name in names:
        by_value.setdefault(slots[name], name)
    if not by_value:
        return None
    values = "|".join(re.escape(value) for value in by_value)
    found = re.split(rf"(?<![^\W_])({values})(?![^\W_])", text)
    pieces: list[str] = []
    for number, part in enumerate(found):
        if number % 2:
            if pieces and pieces[-1] == " ":
                pieces.pop()
            pieces.append(f"{{{by_value[part]}}}")
        elif part:
            tokens = _TOKEN.findall(part)
            if "".join(tokens) != part:
                return None
            pieces.extend(tokens)
    back = text_of(
        [slots[piece[1:-1]] if is_slot(piece) else piece for piece in pieces],
        [is_slot(piece) for piece in pieces],
    )
    return pieces if back == text else None


def is_slot(piece: str) -> bool:
    """Whether a piece of a skeleton stands for a field's value."""
    return len(piece) > 2 and piece[0] == "{"


def text_of(pieces: Sequence[str], opens: Sequence[bool]) -> str:
    """The text of words and values; a value that `opens` a mention brings its own space."""
    text = ""
    for piece, begins in zip(pieces, opens, strict=True):
        text += " " + piece if begins and text and not text.endswith(_OPENERS) else piece
    return text


def placed(skeleton: Sequence[str], source: Source) -> list[Piece]:
    """A skeleton with each slot as the places of its words in a source.

    Raises KeyError where the source lacks a slot's field.
    """
    spans: dict[str, list[int]] = {}
    for at, number in enumerate(source.field):
        spans.setdefault(FIELDS[number], []).append(at)
    pieces: list[Piece] = []
    for piece in skeleton:
        pieces.extend(spans[piece[1:-1]] if is_slot(piece) else [piece])
    return pieces


@dataclass(frozen=True)
class Draft:
    """A text as a network wrote it."""

    text: str
    """title, `BREAK`, body; or a description"""
    skeleton: tuple[str, ...]
    """words and `{field}`s; a field of which not all was copied, in order, is `{field?}`"""
    ended: bool
    """whether it came to an end by itself"""

    @property
    def mentions(self) -> list[str]:
        """The slots in it, whole or not."""
        return [piece for piece in self.skeleton if is_slot(piece)]


def draft_of(pieces: Sequence[Piece], source: Source, ended: bool = True) -> Draft:
    """The text of a network's tokens, and what it did with the source's fields."""
    words: list[str] = []
    opens: list[bool] = []
    skeleton: list[str] = []
    run: list[int] = []

    def close() -> None:
        if run:
            name = FIELDS[source.field[run[0]]]
            whole = source.place[run[0]] == 0 and bool(source.last[run[-1]])
            skeleton.append(f"{{{name}}}" if whole else f"{{{name}?}}")
            run.clear()

    for piece in pieces:
        if isinstance(piece, str):
            close()
            words.append(piece)
            opens.append(False)
            skeleton.append(piece)
            continue
        onward = bool(run) and piece == run[-1] + 1 and not source.last[run[-1]]
        if not onward:
            close()
        run.append(piece)
        words.append(source.words[piece] if onward else source.words[piece].lstrip())
        opens.append(not onward)
    close()
    return Draft(text_of(words, opens), tuple(skeleton), ended)


@dataclass(frozen=True)
class Batch:
    """Sources side by side, padded."""

    field: np.ndarray
    """(N, S) int64, 0 for padding, else the field + 1"""
    place: np.ndarray
    """(N, S) int64"""
    bucket: np.ndarray
    """(N, S) int64"""
    copyable: np.ndarray
    """(N, S) bool"""
    onward: np.ndarray
    """whether the next place goes on with the same field (N, S) bool"""

    @classmethod
    def of(cls, sources: Sequence[Source]) -> Batch:
        """Pads to the longest."""
        size = max(len(source.words) for source in sources)
        field, place, bucket, onward = (np.zeros((len(sources), size), np.int64) for _ in range(4))
        for row, source in enumerate(sources):
            n = len(source.words)
            field[row, :n] = source.field + 1
            place[row, :n] = source.place.clip(max=PLACES - 1)
            bucket[row, :n] = source.bucket
            onward[row, :n] = ~source.last
        return cls(field, place, bucket, field > len(CONDITIONS), onward.astype(bool))
