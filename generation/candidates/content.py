"""Content: items whose words, and what reviewers say of them, are like those of what a user met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_matrix, hstack

from generation.candidates.interactions import Interactions
from generation.candidates.ranker import Ranker
from mdp.item_words import tokens_of


@dataclass
class Content(Ranker):
    """TF-IDF of the words and reviewers' praise and blame: the only ranker that knows items which
    nobody met yet."""

    name: ClassVar[str] = "content (TF-IDF)"
    half_life: float = np.inf
    """days in which a meeting counts half"""

    def _fit(self) -> None:
        self._features = features_of(self.log)
        decayed = self.log.matrix(np.exp2(-self.log.age / self.half_life))
        self._taste = csr_matrix(decayed.minimum(1) @ self._features)

    def scores(self, users: np.ndarray) -> np.ndarray:
        """Summed likeness to what was met (N, I)."""
        return (self._taste[users] @ self._features.T).toarray()


def features_of(log: Interactions) -> csr_matrix:
    """Content of the items (I, words + aspects) float32; the product of two rows is how alike."""
    words = _words_of(log)
    if not len(log.reviewed.item):
        return words
    return csr_matrix(hstack([words, csr_matrix(log.reviewed.features(len(log.items)))]))


def _words_of(log: Interactions) -> csr_matrix:
    """TF-IDF vectors of length 1 (I, words) of the items' texts, the title counted twice."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    items = log.items
    texts = [
        f"{title} {title} {category} {description}"
        for title, category, description in zip(
            items.titles, items.categories, log.descriptions, strict=True
        )
    ]
    if not any(tokens_of(text) for text in texts):
        return csr_matrix((len(texts), 1), dtype=np.float32)
    vectorizer = TfidfVectorizer(
        tokenizer=tokens_of, token_pattern=None, sublinear_tf=True, dtype=np.float32
    )
    return csr_matrix(vectorizer.fit_transform(texts))
