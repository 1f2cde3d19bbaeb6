"""A linear text classifier: what reads like a violation though no list names its words.

Multinomial logistic regression on the words of English texts and the sequences of up to three
characters of Chinese ones, trained by `generation.learning.moderation` on texts written for it.
What it finds is for a person to review.

A file holds one language's: arrays `features` (their names, UTF-8, one a line), `weights` (F, 7)
float16, `bias` (7,) float32 and `threshold` (1,) float32, metadata `version` and `language`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from generation.copy.normalise import HANZI

KINDS = ("absolute", "discrimination", "personal", "profanity", "promises", "promotion")
"""What a text may be beside innocent, the last column of the weights."""
LIFTED = {
    "superlative": "absolute",
    "social_proof": "promotion",
    "scarcity": "promotion",
    "deadline": "promotion",
    "discount": "promotion",
}
"""Evidence → the kind that is no violation with it: the rules look for what it does not prove."""
_TOKEN = re.compile(rf"\{{[a-z_]+\}}|[{HANZI}]|[a-z]+(?:['’][a-z]+)?|\d+|[£$€¥%]")
_LONG = 6
"""Letters from which on a word's beginning and end are features of their own."""


@dataclass(frozen=True)
class Suspicion:
    """What a text is taken for."""

    kind: str
    """one of `KINDS`"""
    probability: float
    """that it is a violation of any kind"""
    begin: int
    """first character of what speaks most for it"""
    end: int
    """place behind the last one"""


def features(plain: str, language: str) -> list[str]:
    """Features of a folded text (`normalise.fold`), repeats included.

    English: words, pairs of words, beginnings and ends of long words. Chinese: characters (and
    words of Latin letters), pairs and triples of them, and triples whatever is in the middle. Of
    numbers only their digits' count is kept; a slot (`{price}`) is a token of its own. The first
    features are the text's tokens, and then the pairs of them, in order.
    """
    tokens = [_bare(token) for token in _TOKEN.findall(plain)]
    tokens = ["^", *tokens, "$"]
    out = [*tokens, *(f"{a} {b}" for a, b in pairwise(tokens))]
    if language == "zh":
        for a, b, c in zip(tokens, tokens[1:], tokens[2:], strict=False):
            out += (f"{a} {b} {c}", f"{a} _ {c}")
    else:
        for token in tokens:
            if len(token) >= _LONG:
                out += (token[:4] + "-", "-" + token[-3:])
    return out


def _bare(token: str) -> str:
    return "0" * len(token) if token.isdigit() else token.replace("’", "'")


class Classifier:
    """One language's classifier; several threads may use one."""

    def __init__(
        self,
        language: str,
        version: str,
        names: Collection[str],
        weights: np.ndarray,
        bias: np.ndarray,
        threshold: float,
    ) -> None:
        """names: F features; weights: (F, 7) and bias: (7,), innocent last; threshold: a text is
        suspect from this probability of any violation on."""
        kinds = len(KINDS) + 1
        if weights.shape != (len(names), kinds) or bias.shape != (kinds,):
            raise ValueError(f"weights {weights.shape} of {len(names)} features, bias {bias.shape}")
        if not (np.isfinite(weights).all() and np.isfinite(bias).all() and 0 < threshold < 1):
            raise ValueError("weights, bias or threshold are no use")
        self.language, self.version, self.threshold = language, version, threshold
        self._row = {name: row for row, name in enumerate(names)}
        if len(self._row) != len(names):
            raise ValueError("a feature is there twice")
        self._weights, self._bias = weights.astype(np.float32), bias.astype(np.float32)

    def probabilities(self, plain: str) -> np.ndarray:
        """Of each kind and of innocence (7,) float32, for a folded text."""
        names = set(features(plain, self.language))
        rows = np.array([self._row[name] for name in names if name in self._row], np.int64)
        scores = self._weights.take(rows, 0).sum(0) / len(names) ** 0.5 + self._bias
        weight = np.exp(scores - scores.max())
        return np.asarray(weight / weight.sum())

    def suspicion(self, plain: str, evidence: Collection[str] = ()) -> Suspicion | None:
        """What a folded text is taken for; None where it is not suspect. evidence: claims that the
        item's facts hold, whose kinds are no violation."""
        probability = self.probabilities(plain)
        for claim in evidence:
            if claim in LIFTED:
                probability[KINDS.index(LIFTED[claim])] = 0.0
        total = float(probability[:-1].sum())
        if total < self.threshold:
            return None
        kind = int(probability[:-1].argmax())
        return Suspicion(KINDS[kind], total, *self._speaking(plain, kind))

    def _speaking(self, plain: str, kind: int) -> tuple[int, int]:
        """Where the token or pair of tokens stands that speaks most for a kind."""
        spans = [(0, 0), *(m.span() for m in _TOKEN.finditer(plain)), (len(plain), len(plain))]
        spans += [(first, last) for (first, _), (_, last) in pairwise(spans)]
        speaks = self._weights[:, kind] - self._weights[:, -1]
        names = features(plain, self.language)[: len(spans)]
        best = max(
            range(len(spans)),
            key=lambda n: speaks[self._row[names[n]]] if names[n] in self._row else -np.inf,
        )
        return spans[best]

    def saved(self, path: Path) -> None:
        """Write its file."""
        arrays: dict[str, np.ndarray] = {
            "features": np.frombuffer("\n".join(self._row).encode(), np.uint8),
            "weights": self._weights.astype(np.float16),
            "bias": self._bias,
            "threshold": np.array([self.threshold], np.float32),
        }
        about = {"version": self.version, "language": self.language}
        path.write_bytes(save(arrays, metadata=about))

    @classmethod
    def read(cls, path: Path) -> Classifier:
        """From its file; raises `ValueError`, `KeyError` or `OSError` where it can't be used."""
        content = path.read_bytes()
        arrays = load(content)
        size = int.from_bytes(content[:8], "little")
        about = json.loads(content[8 : 8 + size])["__metadata__"]
        return cls(
            about["language"],
            about["version"],
            arrays["features"].tobytes().decode().split("\n"),
            arrays["weights"],
            arrays["bias"],
            float(arrays["threshold"][0]),
        )
