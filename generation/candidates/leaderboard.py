"""Rankers side by side: full ranking of the catalogue, on months that they have not seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from generation.candidates.ranker import Ranker
from generation.candidates.splits import Split

DEPTH = 20
"""Length of the lists that are judged."""
REPLICATES = 1000
"""Bootstrap resamples of users."""
_DISCOUNT = 1 / np.log2(np.arange(2, DEPTH + 2))
_BEST = np.concatenate([[0.0], np.cumsum(_DISCOUNT)])


@dataclass(frozen=True)
class Score:
    """How well a ranker found what users bought, with 95 % intervals over users."""

    users: int
    """users asked about"""
    ndcg: float
    """mean NDCG@20"""
    ndcg_low: float
    ndcg_high: float
    recall: float
    """mean share of what was bought that is among the 20"""
    recall_low: float
    recall_high: float
    coverage: float
    """share of the catalogue that is in somebody's list"""

    def to_mapping(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "users": self.users,
            f"ndcg@{DEPTH}": round(self.ndcg, 5),
            f"ndcg@{DEPTH}_interval": [round(self.ndcg_low, 5), round(self.ndcg_high, 5)],
            f"recall@{DEPTH}": round(self.recall, 5),
            f"recall@{DEPTH}_interval": [round(self.recall_low, 5), round(self.recall_high, 5)],
            "coverage": round(self.coverage, 5),
        }


@dataclass(frozen=True)
class Entry:
    """A method's line of the leaderboard."""

    method: str
    settings: dict[str, Any]
    """the configuration that did best on the validation month"""
    tried: int
    """configurations tried there"""
    validation: tuple[float, float]
    """NDCG@20 of that configuration on the validation month: new, all"""
    new: Score
    all: Score
    seconds: float
    """to fit it and to rank for every user of the test month"""

    def to_mapping(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "method": self.method,
            "settings": self.settings,
            "configurations_tried": self.tried,
            "validation": {"new": self.validation[0], "all": self.validation[1]},
            "new": self.new.to_mapping(),
            "all": self.all.to_mapping(),
            "seconds": round(self.seconds, 2),
        }


def leaderboard(
    validation: Split,
    test: Split,
    methods: dict[str, Sequence[Ranker]],
    seed: int = 0,
    report: Callable[[str], None] = lambda step: None,
) -> list[Entry]:
    """Judge each method by the configuration that does best on the validation split.

    methods: configurations, unfitted, by the method's name. Best is the highest sum of NDCG@20
    over new and over all items. The entries come best first by the validation's sum, so that the
    order, too, does not come from the test month.
    """
    entries = []
    for name, tries in methods.items():
        found = []
        for n, ranker in enumerate(tries):
            report(f"{name}: configuration {n + 1} of {len(tries)}")
            found.append(_means(ranker.fit(validation.known), validation))
        best = int(np.argmax([sum(pair) for pair in found]))
        report(f"{name}: test month")
        began = time.perf_counter()
        ranker = tries[best].fit(test.known)
        new, whole = (judged(ranker, test, fresh, seed) for fresh in (True, False))
        seconds = time.perf_counter() - began
        entries.append(Entry(name, _settings(ranker), len(tries), found[best], new, whole, seconds))
    return sorted(entries, key=lambda entry: -sum(entry.validation))


def _settings(ranker: Any) -> dict[str, Any]:
    """The configuration of a ranker, as JSON can hold it."""
    return {name: "none" if value == np.inf else value for name, value in asdict(ranker).items()}


def _means(ranker: Ranker, split: Split) -> tuple[float, float]:
    new, whole = (_found(ranker, split, fresh)[0].mean() for fresh in (True, False))
    return round(float(new), 5), round(float(whole), 5)


def _found(ranker: Ranker, split: Split, new: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """NDCG and recall of each user (N,), and the lists (N, 20)."""
    users, truth, barred = split.asked(new)
    lists = ranker.recommend(users, DEPTH, barred)
    wanted = truth.toarray() > 0
    hit = np.take_along_axis(wanted, np.maximum(lists, 0), 1) & (lists >= 0)
    size = wanted.sum(1)
    ndcg = (hit * _DISCOUNT).sum(1) / _BEST[np.minimum(size, DEPTH)]
    return ndcg, hit.sum(1) / size, lists


def judged(ranker: Ranker, split: Split, new: bool, seed: int = 0) -> Score:
    """A fitted ranker's score on a split, for new items or for all."""
    ndcg, recall, lists = _found(ranker, split, new)
    shown = np.unique(lists[lists >= 0])
    return Score(
        len(ndcg),
        *_interval(ndcg, seed),
        *_interval(recall, seed),
        len(shown) / split.truth.shape[1],
    )


def _interval(values: np.ndarray, seed: int) -> tuple[float, float, float]:
    """Mean and 95 % percentile interval of the bootstrap over users."""
    rng = np.random.default_rng(seed)
    counts: Iterable[np.ndarray] = (
        rng.multinomial(len(values), np.full(len(values), 1 / len(values)))
        for _ in range(REPLICATES)
    )
    means = np.array([count @ values for count in counts]) / len(values)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(values.mean()), float(low), float(high)
