"""An ideal observer: what a log tells of its users to one who knows all that they share.

It knows the true response model, the items, and the distributions that a known-truth world drew its
users from, and sees of the users only their log: what followed each push, when they visited, what
they met there, and what the recommender listed. Their traits are drawn from their exact posterior
by elliptical slice sampling, in blocks, all users at once: no fit can know more of them. Two things
it is given for nothing, so that it may know a little more than any log tells: the scores by which
the recommender listed, of which a log shows the order alone, and in *anyway* who the regulars are,
which purchases nearly tell.

Murray, Adams, MacKay (2010). Elliptical slice sampling. AISTATS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from scipy.special import gammaincinv, log_ndtr, ndtr

from benchmarks.seen import Pushes, Seen
from mdp.prediction import outcomes_of
from mdp.recency import Recency
from mdp.response import Response
from mdp.state import TASTE, TRAITS, new_histories
from simulator.description import Simulator
from simulator.worlds import known_world
from simulator.worlds.logit import LIST, OWN, TOLERANCE, LogitShop, best, commonly, fitness
from simulator.worlds.population import PEAK_SPREAD, PEAKS, WEIGHTS, Goods, demo_goods, profiles

BURN_IN, SWEEPS = 40, 300
OFTEN = 3
"""Slices in a sweep of what pushes alone tell of: they are cheap, and tell little."""
_WHOLE = np.dtype((np.void, TRAITS.itemsize))
"""Traits as mere bytes, which are taken several times faster than field by field."""
INFERRED = ("taste", "hours", "styles", "openness", "tolerance", "price")
Likelihood = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Log likelihoods (N,) of users (N,) with a block's latent variables (N, D) and traits (N,)."""


@dataclass(frozen=True)
class Observer:
    """Knows a world of the logit's people, and how its users respond, and infers who they are."""

    response: Response
    """The true responses, bound to the catalogue."""
    goods: Goods
    world: LogitShop
    """By which users and the recommender's guesses were drawn."""
    buckets: np.ndarray
    """Style buckets (B,) of the copy."""

    @classmethod
    def of(cls, truth: Simulator, seed: int) -> Observer:
        """Who knows a demo shop of a seed."""
        world = known_world(truth.world)
        assert isinstance(world, LogitShop)
        return cls(
            truth.response.bind(truth.catalog),
            demo_goods(np.random.default_rng([seed, 11])),  # as the world drew them
            world,
            np.unique(truth.catalog.variants.buckets),
        )

    def inferred(
        self, seen: Seen, rng: np.random.Generator, burn_in: int = BURN_IN, sweeps: int = SWEEPS
    ) -> tuple[np.ndarray, np.ndarray]:
        """Posterior means of users' traits, and a draw from the posterior: (U,) `TRAITS` each."""
        blocks, size = self._blocks(seen), len(seen.visits)
        order = ("hours", "taste", *OFTEN * ("patience", "copy"))
        latent = {name: np.zeros((size, width)) for name, (width, _) in blocks.items()}
        traits, total = np.zeros(size, TRAITS), np.zeros(size, TRAITS)
        traits["known"] = total["known"] = 1
        for name, values in latent.items():
            self.put(traits, name, values, seen.openness)
        for sweep in range(burn_in + sweeps):
            for name in order:
                own = (latent[name], traits, seen.openness)
                latent[name] = self._moved(name, *own, blocks[name][1], rng)
                self.put(traits, name, latent[name], seen.openness)
            if sweep >= burn_in:
                for trait in INFERRED:
                    total[trait] += traits[trait] / sweeps
        return total, traits

    def put(self, traits: np.ndarray, block: str, latent: np.ndarray, openness: np.ndarray) -> None:
        """Give users' traits (N,) the values that a block of latent variables (N, D) has, which are
        standard normal before anything is seen. openness: what the users' is drawn around (N,)."""
        if block == "taste":
            traits["taste"] = latent
        elif block == "hours":
            traits["hours"] = fitness(_hours(latent))
        elif block == "patience":
            traits["openness"] = openness + self.world.spread * latent[:, 0]
            traits["tolerance"] = TOLERANCE * latent[:, 1]
        else:
            traits["price"] = latent[:, 0]
            traits["styles"][:, self.buckets] = latent[:, 1:]

    def _blocks(self, seen: Seen) -> dict[str, tuple[int, Likelihood]]:
        """By name: how many latent variables, and their likelihood."""
        size = len(seen.visits)

        def pushed(users: np.ndarray, latent: np.ndarray, traits: np.ndarray) -> np.ndarray:
            return self.of_pushes(seen.pushes.of_users(users, size), traits)

        def about(users: np.ndarray, latent: np.ndarray, traits: np.ndarray) -> np.ndarray:
            visits = (seen.visits[users] * np.log(_hours(latent))).sum(1)
            return visits + pushed(users, latent, traits)

        def liked(users: np.ndarray, latent: np.ndarray, traits: np.ndarray) -> np.ndarray:
            liking = latent @ self.goods.taste.T
            organic = self.of_items(seen.met[users], liking)
            listed = self.of_lists(seen.listed[users], liking)
            return organic + listed + pushed(users, latent, traits)

        return {
            "hours": (2 * len(PEAKS), about),
            "taste": (TASTE, liked),
            "patience": (2, pushed),
            "copy": (1 + len(self.buckets), pushed),
        }

    def _moved(
        self,
        block: str,
        now: np.ndarray,
        traits: np.ndarray,
        openness: np.ndarray,
        likelihood: Likelihood,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """A block's latent variables (U, D), `now` before, after an elliptical slice of each
        user's."""
        size = len(now)

        def judged(users: np.ndarray, own: np.ndarray) -> np.ndarray:
            mine = traits[users]
            self.put(mine, block, own, openness[users])
            return likelihood(users, own, mine)

        left = np.arange(size)
        least = judged(left, now) + np.log(rng.random(size))
        other = rng.normal(size=now.shape)
        angle = rng.uniform(0.0, 2 * np.pi, size)
        low, high = angle - 2 * np.pi, angle.copy()
        out = now.copy()
        while len(left):
            cosine, sine = np.cos(angle[left])[:, None], np.sin(angle[left])[:, None]
            turned = cosine * now[left] + sine * other[left]
            taken = judged(left, turned) >= least[left]
            out[left[taken]] = turned[taken]
            left = left[~taken]
            below = angle[left] < 0
            low[left[below]], high[left[~below]] = angle[left[below]], angle[left[~below]]
            angle[left] = rng.uniform(low[left], high[left])
        return out

    def of_pushes(self, pushes: Pushes, traits: np.ndarray) -> np.ndarray:
        """Log likelihood (N,) of what followed the pushes to users with traits (N,)."""
        terms = self.response.terms(
            new_histories(0),
            traits.view(_WHOLE)[pushes.user].view(TRAITS),
            pushes.item,
            pushes.variant,
            pushes.decided_at,
            pushes.zone,
            Recency(*(getattr(pushes, f.name) for f in fields(Recency))),
        )
        first = np.zeros(len(pushes.user), np.int64)
        p = outcomes_of(terms, first, first, pushes.hour)
        what_came = np.where(pushes.asked, np.where(pushes.outcome, p, 1.0 - p), 1.0).prod(1)
        return np.bincount(pushes.user, np.log(np.maximum(what_came, 1e-30)), len(traits))

    def of_items(self, met: np.ndarray, liking: np.ndarray) -> np.ndarray:
        """Log likelihood (N,) of items met (N, I) by users who like the items so much (N, I)."""
        popular = np.exp(self.goods.popularity)
        weight = np.exp(liking) * popular
        own = np.zeros_like(weight)
        mine = best(weight, LIST)
        np.put_along_axis(own, mine, np.take_along_axis(weight, mine, 1), 1)
        own /= own.sum(1, keepdims=True)
        return (met * np.log(OWN * own + (1 - OWN) * popular / popular.sum())).sum(1)

    def of_lists(self, listed: np.ndarray, liking: np.ndarray) -> np.ndarray:
        """Log likelihood (N,) of the recommender's scores (N, I), those of items that it lists."""
        mean = liking + commonly(self.goods.popularity)
        noise, on = self.world.recommender_noise, np.isfinite(listed)
        least = np.where(on, listed, np.inf).min(1, keepdims=True)
        there = -0.5 * (np.where(on, listed - mean, 0.0) / noise) ** 2
        return np.where(on, there, log_ndtr((least - mean) / noise)).sum(1)


def _hours(latent: np.ndarray) -> np.ndarray:
    """Probabilities of each hour (N, 24) of users with latent normal variables (N, 6)."""
    peaks, weight = np.split(latent, 2, 1)
    gammas = gammaincinv(WEIGHTS, ndtr(weight)) + 1e-12
    return profiles(PEAKS + PEAK_SPREAD * peaks, gammas / gammas.sum(1, keepdims=True))
