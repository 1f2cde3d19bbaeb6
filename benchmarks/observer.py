"""An ideal observer: what a log tells of its users to one who knows all that they share.

It knows the true response model, the items, and the distributions that a known-truth world drew its
users from, and sees of the users only their log: what followed each push, when they visited, what
they met there, and what the recommender listed. Their traits are drawn from their exact posterior
by elliptical slice sampling, in blocks, all users at once: no fit can know more of them. It is even
given the scores by which the recommender listed, of which a log shows the order alone.

Murray, Adams, MacKay (2010). Elliptical slice sampling. AISTATS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.special import gammaincinv, log_ndtr, ndtr

from generation.candidates.base import catalog_rows
from generation.candidates.noisy_taste import NoisyTaste
from mdp.clock import SECOND
from mdp.events import Kind
from mdp.local_time import local_hour
from mdp.prediction import outcomes_of
from mdp.recency import Recency, recency_of
from mdp.response import Response
from mdp.state import TASTE, TRAITS, new_histories
from simulator import fit_sends
from simulator.description import Simulator
from simulator.material import Material, acts_of
from simulator.sends import asked
from simulator.worlds.logit import LIST, OWN, TOLERANCE, best, commonly, fitness
from simulator.worlds.population import PEAK_SPREAD, PEAKS, WEIGHTS, Goods, profiles

APART = 130 * SECOND
"""Acts of a visit follow each other within less."""
BURN_IN, SWEEPS = 40, 300
OFTEN = 3
"""Slices in a sweep of what pushes alone tell of: they are cheap, and tell little."""
INFERRED = ("taste", "hours", "styles", "openness", "tolerance", "price")
Likelihood = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Log likelihoods (N,) of users (N,) with a block's latent variables (N, D) and traits (N,)."""


@dataclass(frozen=True)
class Pushes:
    """S pushes, by user ascending."""

    user: np.ndarray
    """(S,) int64"""
    item: np.ndarray
    """Catalogue rows (S, 1) int32."""
    variant: np.ndarray
    """Catalogue rows (S, 1) int32."""
    hour: np.ndarray
    """Local hours (S,) int64."""
    decided_at: np.ndarray
    """(S,) int64"""
    zone: np.ndarray
    """Zone codes (S,) int16."""
    fatigue: np.ndarray
    """Of a `Recency` under the true half-lives (S,)."""
    repetition: np.ndarray
    wear: np.ndarray
    bought: np.ndarray
    views: np.ndarray
    """Of the same (S, 1) each."""
    outcome: np.ndarray
    """Whether each head's outcome followed (S, 5) bool."""
    asked: np.ndarray
    """Whether each head had its turn (S, 5) bool."""

    def of_users(self, users: np.ndarray, size: int) -> Pushes:
        """Those of some users (N,), ascending, of U, who are then known by their place."""
        place = np.full(size, -1)
        place[users] = np.arange(len(users))
        mine = place[self.user] >= 0
        some = Pushes(*(getattr(self, f.name)[mine] for f in fields(self)))
        return replace(some, user=place[some.user])


@dataclass(frozen=True)
class Seen:
    """What a log shows of U users."""

    pushes: Pushes
    visits: np.ndarray
    """Visits by local hour (U, 24)."""
    met: np.ndarray
    """How often each item was met (U, I)."""
    listed: np.ndarray
    """The recommender's scores (U, I), -inf for what it lists never."""

    def of_users(self, users: np.ndarray) -> Seen:
        """What it shows of some users (N,), ascending, alone."""
        pushes = self.pushes.of_users(users, len(self.visits))
        return Seen(pushes, self.visits[users], self.met[users], self.listed[users])


def log_of(material: Material, truth: Simulator) -> Seen:
    """What a log shows of a known truth's users, in the truth's order."""
    row_of = {user: row for row, user in enumerate(truth.users.ids)}
    row = np.array([row_of[user] for user in material.events.user_ids])
    shape = (len(truth.users), len(truth.catalog.items))
    acts = acts_of(material)
    owner = row[acts.owner]
    order = np.lexsort((acts.at, owner))
    who, at = owner[order], acts.at[order]
    begins = np.append(True, (np.diff(who) != 0) | (np.diff(at) > APART))
    visits, met = np.zeros((shape[0], 24)), np.zeros(shape)
    hour = local_hour(at[begins], truth.users.codes[who[begins]])
    np.add.at(visits, (who[begins], hour), 1.0)
    viewed = acts.kind == Kind.VIEW
    np.add.at(met, (owner[viewed], acts.item[viewed]), 1.0)
    return Seen(_pushes(material, truth, row), visits, met, _scores(truth))


def _pushes(material: Material, truth: Simulator, row: np.ndarray) -> Pushes:
    """The log's pushes; row: of each of its users among the truth's."""
    decisions, catalog = material.decisions, truth.catalog
    sent = np.flatnonzero(decisions.sent)
    sent = sent[np.argsort(row[decisions.owner[sent]], kind="stable")]
    some = decisions.only(sent)
    slots = np.arange(len(sent))
    item = some.items[slots, some.k, None]
    variant = some.variants[slots, some.v, None]
    parts, found = material.parts(sent), []
    for part in parts:
        found.append(
            recency_of(
                fit_sends.states_of(material, sent[part]),
                some.decided_at[part],
                item[part],
                variant[part],
                catalog.items.hashes,
                catalog.variants.buckets,
                truth.response.half_lives,
            )
        )
    back = np.argsort(np.concatenate(parts), kind="stable")
    names = [f.name for f in fields(Recency)]
    recency = {name: np.concatenate([getattr(one, name) for one in found])[back] for name in names}
    outcome = fit_sends.outcomes_of(material, sent) > 0
    user = row[some.owner]
    return Pushes(
        user=user,
        item=item,
        variant=variant,
        hour=some.h,
        decided_at=some.decided_at,
        zone=truth.users.codes[user],
        **recency,
        outcome=outcome,
        asked=asked(outcome),
    )


def _scores(truth: Simulator) -> np.ndarray:
    """By what its recommender lists a truth's users (U, I)."""
    recommender, users = truth.recommender, truth.users
    assert isinstance(recommender, NoisyTaste)
    out = np.full((len(users), len(truth.catalog.items)), -np.inf)
    place = np.searchsorted(recommender.user_hash, users.hashes)
    rows = catalog_rows(truth.catalog, recommender.guess[place])
    np.put_along_axis(out, rows.astype(np.int64), recommender.score[place], 1)
    return out


@dataclass(frozen=True)
class Observer:
    """Knows a world of the logit's people, and how its users respond, and infers who they are."""

    response: Response
    """The true responses, bound to the catalogue."""
    goods: Goods
    noise: float
    """Standard deviation of the recommender's guesses."""
    buckets: np.ndarray
    """Style buckets (B,) of the copy."""

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
            self.put(traits, name, values)
        for sweep in range(burn_in + sweeps):
            for name in order:
                latent[name] = self._moved(name, latent[name], traits, blocks[name][1], rng)
                self.put(traits, name, latent[name])
            if sweep >= burn_in:
                for trait in INFERRED:
                    total[trait] += traits[trait] / sweeps
        return total, traits

    def put(self, traits: np.ndarray, block: str, latent: np.ndarray) -> None:
        """Give users' traits (N,) the values that a block of latent variables (N, D) has, which are
        standard normal before anything is seen."""
        if block == "taste":
            traits["taste"] = latent
        elif block == "hours":
            traits["hours"] = fitness(_hours(latent))
        elif block == "patience":
            traits["openness"], traits["tolerance"] = latent[:, 0], TOLERANCE * latent[:, 1]
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
        likelihood: Likelihood,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """A block's latent variables (U, D), `now` before, after an elliptical slice of each
        user's."""
        size = len(now)

        def judged(users: np.ndarray, own: np.ndarray) -> np.ndarray:
            mine = traits[users]
            self.put(mine, block, own)
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
            traits[pushes.user],
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
        on = np.isfinite(listed)
        least = np.where(on, listed, np.inf).min(1, keepdims=True)
        there = -0.5 * (np.where(on, listed - mean, 0.0) / self.noise) ** 2
        return np.where(on, there, log_ndtr((least - mean) / self.noise)).sum(1)


def _hours(latent: np.ndarray) -> np.ndarray:
    """Probabilities of each hour (N, 24) of users with latent normal variables (N, 6)."""
    peaks, weight = np.split(latent, 2, 1)
    gammas = gammaincinv(WEIGHTS, ndtr(weight)) + 1e-12
    return profiles(PEAKS + PEAK_SPREAD * peaks, gammas / gammas.sum(1, keepdims=True))
