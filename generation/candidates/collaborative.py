"""Collaborative filtering: neighbours, matrix factorisation and EASE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.linalg import lapack
from scipy.sparse import csr_matrix, diags
from threadpoolctl import threadpool_limits

from generation.candidates.ranker import Ranker
from mdp.errors import NotEnoughData

MOST_ITEMS = 20_000
"""Items above which EASE's dense matrix (8 bytes a pair) is refused."""


@dataclass
class UserKNN(Ranker):
    """What the users most alike met, weighted by how alike they are (cosine)."""

    name: ClassVar[str] = "user-kNN"
    neighbours: int = 100
    """users that count"""

    def _fit(self) -> None:
        self._unit = _unit(self.log.met)

    def scores(self, users: np.ndarray) -> np.ndarray:
        """Similarity-weighted counts (N, I)."""
        alike = (self._unit[users] @ self._unit.T).toarray()
        alike[np.arange(len(users)), users] = 0
        if self.neighbours < alike.shape[1]:
            least = np.partition(alike, -self.neighbours, axis=1)[:, -self.neighbours, None]
            alike[alike < least] = 0
        return np.asarray(alike @ self.log.met)


@dataclass
class ItemKNN(Ranker):
    """Items most like those that the user met: cosine or BM25 similarity of who met them."""

    name: ClassVar[str] = "item-kNN (cosine)"
    neighbours: int = 100
    """items that each item counts as alike"""

    def _fit(self) -> None:
        self._train(_unit(csr_matrix(self.log.met.T)).T)

    def _train(self, weighted: csr_matrix) -> None:
        from implicit.nearest_neighbours import ItemItemRecommender

        model = ItemItemRecommender(K=self.neighbours, num_threads=1)
        model.fit(csr_matrix(weighted, dtype=np.float64), show_progress=False)
        self._alike = csr_matrix(model.similarity)

    def scores(self, users: np.ndarray) -> np.ndarray:
        """Summed similarities (N, I)."""
        return (self.log.met[users] @ self._alike).toarray()


@dataclass
class ItemBM25(ItemKNN):
    """As `ItemKNN`, similarities of BM25-weighted interactions."""

    name: ClassVar[str] = "item-kNN (BM25)"

    def _fit(self) -> None:
        from implicit.nearest_neighbours import bm25_weight

        self._train(bm25_weight(self.log.met, K1=1.2, B=0.75))


@dataclass
class ALS(Ranker):
    """Matrix factorisation of implicit feedback (Hu, Koren and Volinsky, 2008)."""

    name: ClassVar[str] = "ALS"
    factors: int = 64
    """length of a user's and an item's vector"""
    regularization: float = 10.0
    """weight of the vectors' squares"""
    alpha: float = 2.0
    """how much more a meeting counts than none"""
    seed: int = 0
    """of the first factors"""

    def _fit(self) -> None:
        from implicit.als import AlternatingLeastSquares

        with threadpool_limits(1, "blas"):
            model = AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.regularization,
                alpha=self.alpha,
                iterations=15,
                num_threads=1,
                random_state=self.seed,
            )
            model.fit(self.log.met, show_progress=False)
        self._user, self._item = np.array(model.user_factors), np.array(model.item_factors)

    def scores(self, users: np.ndarray) -> np.ndarray:
        """Inner products (N, I)."""
        return self._user[users] @ self._item.T


@dataclass
class Ease(Ranker):
    """Embarrassingly shallow autoencoder (Steck, 2019): a ridge regression of each item on all
    others, in closed form."""

    name: ClassVar[str] = "EASE"
    ridge: float = 500.0
    """λ, the weight of the coefficients' squares"""

    def _fit(self) -> None:
        self.weights = ease_weights(self.log.met, self.ridge)

    def scores(self, users: np.ndarray) -> np.ndarray:
        """Regressions on what the users met (N, I)."""
        return np.asarray(self.log.met[users] @ self.weights)


def ease_weights(met: csr_matrix, ridge: float) -> np.ndarray:
    """EASE's coefficients (I, I) float32, 0 on the diagonal, of 0/1 interactions (U, I).

    Raises `NotEnoughData` above `MOST_ITEMS` items.
    """
    if met.shape[1] > MOST_ITEMS:
        raise NotEnoughData(
            f"EASE holds a weight for each pair of items, and {met.shape[1]:,} items are more than "
            f"{MOST_ITEMS:,}: leave out the methods that use it"
        )
    gram = (met.T @ met).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += ridge
    factor, _ = lapack.dpotrf(gram, lower=1, overwrite_a=1)
    inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights.astype(np.float32)


def _unit(rows: csr_matrix) -> csr_matrix:
    """Rows of length 1."""
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(1)).ravel())
    return csr_matrix(diags(1 / np.maximum(length, 1e-9)) @ rows)
