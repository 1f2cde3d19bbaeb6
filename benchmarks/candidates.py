"""What candidates are worth: the true value of policies that choose among different lists.

    python -m benchmarks.candidates --users 1000 --seed 0

A demo shop lives 42 days under its own policy and recommender. Rankers learn from what its users
met by themselves in those days; then policies live with the same users in the truth, 10 candidates
a day, each time from another recommender. Recall says how many of the oracle's picks among all
items the lists hold: what they leave out no policy can earn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import tyro

from agents.rollouts import population, rollout
from agents.search import best_threshold
from generation.candidates.base import Recommender
from generation.candidates.collaborative import ALS, Ease
from generation.candidates.interactions import Interactions, interactions_of
from generation.candidates.own_popular import OwnPopular
from generation.candidates.prepare import hybrid_for, ranked_of
from generation.candidates.ranker import Ranker
from generation.candidates.saved import recommender_of
from generation.candidates.simple import OwnHistory, Popular
from ingestion.parse import log_of
from ingestion.splits import before
from policies.baselines import Greedy
from simulator.demo import demo
from simulator.description import Simulator
from simulator.fit import fit
from simulator.worlds import known_world


@dataclass(frozen=True)
class Args:
    """Of which shops."""

    worlds: tuple[str, ...] = ("logit", "hazard")
    """known-truth worlds"""
    users: int = 1000
    """users of each shop"""
    seeds: int = 2
    """shops of each world"""
    lives: int = 2
    """lives of each of 400 users"""
    days: int = 42
    """days of a life"""


def main(args: Args) -> None:
    """Fit, live, print."""
    print(
        "| world | seed | recommender | holds the best item | fitted greedy + threshold |", end=""
    )
    print(" minus own_popular's | oracle greedy + threshold |")
    print("|---|---|---|---|---|---|---|")
    for world in args.worlds:
        for seed in range(args.seeds):
            _shop(args, world, seed)


def _shop(args: Args, world: str, seed: int) -> None:
    shop = demo(known_world(world).simulator(args.users, seed), 42, seed)
    log = log_of(shop.tables, shop.meta)
    fitted = fit(log, seed=seed).simulator
    truth, rows = shop.truth, population(shop.truth, 400, seed)
    lists = recommenders(interactions_of(before(log, truth.start)), truth, seed)
    lives: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, recommender in lists.items():
        place = replace(truth, recommender=recommender)
        seen = place.believing(replace(fitted, members=()))
        knowing = place.believing(replace(place, model=None, beliefs=None))
        planned = replace(
            fitted,
            recommender=recommender_of(recommender.kind, recommender.arrays(), fitted.catalog),
        )
        threshold = best_threshold(planned, seed)
        lives[name] = (
            _lived(seen, threshold, rows, args),
            _lived(knowing, best_threshold(knowing, seed), rows, args),
        )
    for name, (mine, oracle) in lives.items():
        less = mine - lives["own_popular"][0]
        print(
            f"| {world} | {seed} | {name} | {holds_best(truth, lists[name], rows):.0%} | "
            f"{mine.mean():.2f} | {less.mean():+.2f} ±{1.96 * less.std() / len(less) ** 0.5:.2f} | "
            f"{oracle.mean():.2f} |",
            flush=True,
        )


def recommenders(known: Interactions, truth: Simulator, seed: int) -> dict[str, Recommender]:
    """By name; all but the world's own learn from the log alone."""
    catalog = truth.catalog
    rankers: dict[str, Ranker] = {
        "popularity": Popular(),
        "own history": OwnHistory(30),
        "ALS": ALS(32),
        "EASE": Ease(250),
        "hybrid": hybrid_for(known, seed),
    }
    return {
        "the world's own (knows tastes)": truth.recommender,
        "own_popular": OwnPopular.fit(
            catalog.items.hashes[known.item], known.at, catalog, known.until
        ),
        **{name: ranked_of(known, catalog, ranker=r.fit(known)) for name, r in rankers.items()},
    }


def holds_best(truth: Simulator, recommender: Recommender, rows: np.ndarray) -> float:
    """Share of the users whose list holds the item that they truly like best."""
    at = np.full(len(rows), truth.start)
    lists = recommender.candidates(truth.users.hashes[rows], truth.histories[rows], at)
    response = cast(Any, getattr(truth.response, "additive", truth.response))
    liking = truth.traits["taste"][rows] @ response.item_taste.T
    return float((lists == liking.argmax(1)[:, None]).any(1).mean())


def _lived(seen: Simulator, threshold: float, rows: np.ndarray, args: Args) -> np.ndarray:
    policy = replace(Greedy(threshold=threshold), floor=0.0)
    lives = range(1, args.lives + 1)
    return np.mean([rollout(seen, policy, rows, n, args.days).value for n in lives], 0)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
