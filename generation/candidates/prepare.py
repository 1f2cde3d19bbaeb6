"""Makes the arrays that serve a ranker's lists."""

from __future__ import annotations

import numpy as np

from generation.candidates.collaborative import ease_weights
from generation.candidates.evidence import RIDGE
from generation.candidates.hybrid import Hybrid
from generation.candidates.interactions import Interactions
from generation.candidates.ranked import Ranked
from generation.candidates.ranker import TOGETHER, Ranker
from ingestion.spread import Spread, in_turn
from mdp.catalog import Catalog
from mdp.clock import DAY
from mdp.hashing import hash_ids

DEPTH, NEIGHBOURS, POPULAR = 50, 20, 100
"""Items kept for a user, for an item, and for everyone."""


def hybrid_for(log: Interactions, seed: int = 0) -> Hybrid:
    """The hybrid, its window a quarter of the log's days where those are fewer than 120."""
    days = np.clip(np.ptp(log.at) / DAY / 4, 3, 30)
    return Hybrid(days=float(days), seed=seed)


def ranked_of(
    log: Interactions,
    catalog: Catalog,
    size: int = 10,
    ranker: Ranker | None = None,
    spread: Spread = in_turn,
) -> Ranked:
    """Lists for everyone by a fitted ranker (default: the hybrid), as arrays.

    catalog: that of the log, whose items it must hold. spread: where users are ranked, a thousand
    at a time (default: here, one after the other); the lists are the same.
    """
    ranker = hybrid_for(log).fit(log) if ranker is None else ranker
    hashes = log.items.hashes
    users = np.flatnonzero(np.diff(log.counts.indptr))
    user_hash = hash_ids(log.user_ids[n] for n in users)
    order = np.argsort(user_hash)
    parts = [users[order[n : n + TOGETHER]] for n in range(0, len(users), TOGETHER)]
    ranked = list(spread(_recommended, ranker, parts))
    lists = np.concatenate([np.zeros((0, DEPTH), np.int32), *ranked])
    weights = ease_weights(log.met, RIDGE)
    near = np.argsort(-weights, axis=1, kind="stable")[:, :NEIGHBOURS]
    weight = np.take_along_axis(weights, near, 1)
    popular = ranker.recommend(np.array([-1]), POPULAR)[0]
    by_hash = np.argsort(hashes)
    return Ranked(
        user_hash=user_hash[order],
        guess=np.where(lists >= 0, hashes[lists], 0).astype(np.uint64),
        item_hash=hashes[by_hash],
        near=np.where(weight > 0, hashes[near], 0).astype(np.uint64)[by_hash],
        weight=np.maximum(weight, 0)[by_hash],
        popular=hashes[popular[popular >= 0]],
        fitted_at=log.until,
        catalog=catalog,
        size=size,
    )


def _recommended(ranker: Ranker, users: np.ndarray) -> np.ndarray:
    return ranker.recommend(users, DEPTH)
