"""How varied texts are: unique phrasings, self-BLEU, repeated 3-grams.

A phrasing is a text with the item's facts blanked to the names of their slots, so that another
item's name alone does not make two texts different.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from generation.copy.copywriter import Message
from generation.copy.facts import Facts
from generation.copy.repetition import repeats, tokens


def phrasing(message: Message, facts: Facts) -> str:
    """Title and body with every fact replaced by its slot's name."""
    known = facts.slots(message.locale)
    values = {value: name for name, value in known.items()} | dict.fromkeys(
        facts.attributes.values(), "value"
    )
    pattern = "|".join(
        rf"(?<![A-Za-z0-9.,]){re.escape(value)}(?![A-Za-z0-9])"
        for value in sorted(values, key=len, reverse=True)
    )
    text = f"{message.title}\n{message.body}"
    return re.sub(pattern, lambda match: f"{{{values[match[0]]}}}", text) if pattern else text


def unique_share(texts: Sequence[str]) -> float:
    """Different texts among all."""
    return len(set(texts)) / max(len(texts), 1)


def repeated_share(texts: Sequence[str]) -> float:
    """3-grams that a text has a second time, among the 3-grams of all texts."""
    total = sum(max(len(tokens(text)) - 2, 0) for text in texts)
    return sum(repeats(text) for text in texts) / max(total, 1)


def self_bleu(texts: Sequence[str], rng: np.random.Generator, size: int = 500) -> float:
    """Mean BLEU-4 of each of `size` texts against the others: 1 where all are alike.

    n-grams clipped by their highest count in any other text, n = 1 to 4 with equal weights,
    brevity penalty against the reference nearest in length, counts of 0 smoothed to 0.1
    (Zhu et al., 2018, Texygen; smoothing as in Chen and Cherry, 2014, method 1).
    """
    drawn = [tokens(texts[n]) for n in rng.permutation(len(texts))[:size]]
    grams = [[Counter(_grams(words, n)) for words in drawn] for n in range(1, 5)]
    # The two highest counts of each n-gram: a text's own must not be its reference.
    highest: list[dict[tuple[str, ...], tuple[int, int, int]]] = []
    for counts in grams:
        best: dict[tuple[str, ...], tuple[int, int, int]] = {}
        for text, count in enumerate(counts):
            for gram, number in count.items():
                first, owner, second = best.get(gram, (0, -1, 0))
                if number > first:
                    best[gram] = (number, text, first)
                else:
                    best[gram] = (first, owner, max(second, number))
        highest.append(best)
    lengths = np.array([len(words) for words in drawn])
    scores = []
    for text, words in enumerate(drawn):
        logs = 0.0
        for counts, best in zip(grams, highest, strict=True):
            total = sum(counts[text].values())
            hits = 0
            for gram, number in counts[text].items():
                first, owner, second = best[gram]
                hits += min(number, second if owner == text else first)
            logs += np.log(max(hits, 0.1) / max(total, 1)) / 4
        others = np.delete(lengths, text)
        nearest = others[np.argmin(np.abs(others - len(words)))]
        scores.append(np.exp(logs + min(0.0, 1 - nearest / max(len(words), 1))))
    return float(np.mean(scores))


def _grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(words[k:] for k in range(n)), strict=False))
