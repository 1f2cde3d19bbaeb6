"""What reviews say of items: aspects, each praised or blamed, with the reviewer's words.

A small lexicon (`data/aspects.toml`): a review is cut into thoughts at full stops, commas and words
such as "but"; a thought that names an aspect and holds good or bad words says so of it; a negation
before such a word turns it around. A review counts once for each aspect: what most of its thoughts
say. English and Chinese are told apart by their characters.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from generation.copy.aspects import Lexicon, lexicon
from generation.copy.facts import Aspect

_HAN = re.compile(r"[\u3400-\u9fff]")
_CUT = re.compile(r"[.!?;,\n。！？；，、~…]+")
_REACH = {"en": 25, "zh": 5}
"""Characters before a word in which a negation turns it around."""
LONGEST_QUOTE = 80
"""Characters of a quotation, at most."""


def opinions(text: str) -> Iterator[tuple[str, int, str]]:
    """What a review says: aspect, 1 for praise or -1 for blame, and the thought in its own words.

    A thought about no aspect, or one that says neither, gives nothing.
    """
    locale = "zh" if _HAN.search(text) else "en"
    words = lexicon(locale)
    for sentence in _CUT.split(text):
        for thought in words.turn.split(sentence):
            tone = _tone(thought, words, _REACH[locale])
            if tone:
                for aspect, names in words.words.items():
                    if names.search(thought):
                        yield aspect, tone, thought.strip()


def _tone(thought: str, words: Lexicon, reach: int) -> int:
    """1 where a thought is more good than bad, -1 where more bad, else 0."""
    bad = [match.span() for match in words.bad.finditer(thought)]
    total = sum(_turned(thought, begin, words, reach) for begin, _ in bad)
    total = -total
    for match in words.good.finditer(thought):
        # 不值 and 不够好 hold a good word; what is bad as a whole is not good in part.
        if not any(begin < match.end() and match.start() < end for begin, end in bad):
            total += _turned(thought, match.start(), words, reach)
    return int(np.sign(total))


def _turned(thought: str, place: int, words: Lexicon, reach: int) -> int:
    before = thought[max(place - reach, 0) : place]
    return -1 if len(words.negation.findall(before)) % 2 else 1


def read(text: str) -> dict[str, tuple[int, str]]:
    """What a review says on the whole: aspect → 1 or -1, and its first words in that tone."""
    said: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for aspect, tone, words in opinions(text):
        said[aspect].append((tone, words))
    on_the_whole = {
        aspect: int(np.sign(sum(tone for tone, _ in tones))) for aspect, tones in said.items()
    }
    return {
        aspect: (whole, next(words for tone, words in said[aspect] if tone == whole))
        for aspect, whole in on_the_whole.items()
        if whole
    }


def tones_of(texts: Iterable[str]) -> np.ndarray:
    """1 praise, -1 blame, 0 neither, of each review and aspect (R, A) int8."""
    column = {aspect: n for n, aspect in enumerate(lexicon("en").words)}
    tones = [[(column[aspect], tone) for aspect, (tone, _) in read(t).items()] for t in texts]
    out = np.zeros((len(tones), len(column)), np.int8)
    for row, said in enumerate(tones):
        for aspect, tone in said:
            out[row, aspect] = tone
    return out


def aspects_of(reviews: pd.DataFrame) -> dict[str, tuple[Aspect, ...]]:
    """Item → its aspects, most praised first, from a log's table of reviews."""
    praised: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    blamed: dict[tuple[str, str], int] = defaultdict(int)
    for row, (item, text) in enumerate(zip(reviews["item_id"], reviews["text"], strict=True)):
        if not isinstance(text, str) or not isinstance(item, str):
            continue
        for aspect, (tone, words) in read(text).items():
            if tone > 0:
                praised[item, aspect].append((row, words))
            else:
                blamed[item, aspect] += 1
    found: dict[str, list[Aspect]] = defaultdict(list)
    for item, aspect in sorted({*praised, *blamed}):
        quotes = praised.get((item, aspect), [])
        row, quote = min(quotes, key=lambda one: abs(len(one[1]) - 40), default=(-1, ""))
        found[item].append(
            Aspect(aspect, len(quotes), blamed[item, aspect], quote[:LONGEST_QUOTE], row)
        )
    return {
        item: tuple(sorted(aspects, key=lambda a: (-a.praised, a.blamed, a.name)))
        for item, aspects in found.items()
    }
