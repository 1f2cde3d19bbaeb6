"""What a log shows of the users of a known-truth world to one who knows the world."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from generation.candidates.base import catalog_rows
from generation.candidates.noisy_taste import NoisyTaste
from mdp.clock import SECOND
from mdp.events import Kind
from mdp.local_time import local_hour
from mdp.recency import Recency, recency_of
from simulator import fit_sends
from simulator.description import Simulator
from simulator.material import Material, acts_of
from simulator.sends import asked
from simulator.worlds import known_world
from simulator.worlds.logit import LogitShop

APART = 130 * SECOND
"""Acts of a visit follow each other within less."""


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
        if len(users) == size:
            return self
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
    openness: np.ndarray
    """What openness is drawn around for such users (U,); see `Observer`."""

    def of_users(self, users: np.ndarray) -> Seen:
        """What it shows of some users (N,), ascending, alone."""
        pushes = self.pushes.of_users(users, len(self.visits))
        own = (self.visits, self.met, self.listed, self.openness)
        return Seen(pushes, *(each[users] for each in own))


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
    world = known_world(truth.world)
    assert isinstance(world, LogitShop)
    openness = world.mean_openness(truth.organic)
    return Seen(_pushes(material, truth, row), visits, met, _scores(truth), openness)


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
        asked=asked(outcome, fit_sends.come_of(material, sent)),
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
