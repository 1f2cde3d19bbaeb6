"""The hybrid: boosted trees over what all other rankers know of a user and an item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from generation.candidates.evidence import FEATURES, Evidence
from generation.candidates.interactions import Interactions
from generation.candidates.ranker import Ranker
from mdp.clock import DAY

LEAST_POSITIVES = 50
"""Items met again or anew in the windows below which there are no trees, and EASE ranks."""
_BELOW = -1e6


@dataclass
class Hybrid(Ranker):
    """Learned from the log's own past: what was known at an instant, and what users met in the
    days after it, for the last windows before the end.

    Two stages. Candidates are the items that a user met, those that EASE and popularity find, and
    new items of like content; LightGBM then ranks them. Items that are no candidate come after.
    """

    name: ClassVar[str] = "hybrid"
    days: float = 30
    """length of a window"""
    windows: int = 2
    """windows to learn from, each a window earlier"""
    learners: int = 3000
    """most users to learn from, of each window"""
    rounds: int = 200
    """trees"""
    leaves: int = 31
    """leaves of a tree"""
    seed: int = 0
    """of the rows and features that each tree sees"""

    def _fit(self) -> None:
        self.evidence = Evidence(self.log)
        self._trees = None
        features, labels = self._past()
        if labels.sum() >= LEAST_POSITIVES and not labels.all():
            self._trees = self._boosted(features, labels)

    def _past(self) -> tuple[np.ndarray, np.ndarray]:
        """Candidates of earlier instants: features (M, F) and whether they were met (M,) bool."""
        features = [np.zeros((0, len(FEATURES)), np.float32)]
        labels = [np.zeros(0, bool)]
        for window in range(1, self.windows + 1):
            cut = self.log.until - int(window * self.days * DAY)
            past = self.log.before(cut)
            if not len(past.user):
                break
            met = self.log.where((self.log.at >= cut) & (self.log.at < cut + self.days * DAY))
            evidence = Evidence(past)
            active = np.unique(met.user)
            active = active[np.diff(past.counts.indptr)[active] > 0]
            if len(active) > self.learners:
                rng = np.random.default_rng([self.seed, window])
                active = np.sort(rng.choice(active, self.learners, replace=False))
            for part in np.array_split(active, len(active) // 500 + 1):
                if len(part):
                    row, item, seen = evidence.pairs(part)
                    features.append(seen)
                    labels.append(_holds(met, part[row], item))
        return np.concatenate(features), np.concatenate(labels)

    def _boosted(self, features: np.ndarray, labels: np.ndarray) -> Any:
        import lightgbm

        settings = {
            "objective": "binary",
            "learning_rate": 0.05,
            "num_leaves": self.leaves,
            "min_data_in_leaf": min(200, max(20, len(labels) // 100)),
            "feature_fraction": 0.7,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "lambda_l2": 10.0,
            "seed": self.seed,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }
        data = lightgbm.Dataset(features, labels.astype(np.float32), feature_name=list(FEATURES))
        return lightgbm.train(settings, data, self.rounds)

    def scores(self, users: np.ndarray) -> np.ndarray:
        """Log-odds of meeting the item in the days to come (N, I)."""
        scores = self.evidence.alike(users) + _BELOW
        row, item, seen = self.evidence.pairs(users)
        if self._trees is None:
            scores[row, item] = seen[:, FEATURES.index("alike")]
        else:
            scores[row, item] = self._trees.predict(seen, raw_score=True, num_threads=1)
        return scores


def _holds(met: Interactions, user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Whether each pair (M,) of rows is among the interactions."""
    width = met.shape[1]
    return np.isin(user * width + item, np.unique(met.user * width + met.item))
