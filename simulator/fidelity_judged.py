"""Pushes that a fit's heads have not seen, and what the heads say of them.

Of later days it is the response model as it is saved that is judged: calibrated, for users drawn
from the traits that the fit gave them, as in every episode. What is saved is fitted to all users,
so of users whose pushes are unseen, heads of the same recipe are judged, fitted to the pushes of
the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ingestion.log import Log
from ingestion.splits import log_end
from mdp.attribution import RESPONSE_WINDOW
from mdp.errors import BadInput
from mdp.prediction import outcomes_of
from mdp.response import HEADS, ResponseModel, item_features
from mdp.state import ATTRIBUTION
from simulator.description import Simulator
from simulator.fit import Fit
from simulator.fit_heads import Sizes
from simulator.fit_response import predicted_of_others
from simulator.fit_sends import REMEMBERED, bare, remembering, states_of
from simulator.fit_tastes import Tastes
from simulator.material import Material, material_of
from simulator.posterior import drawn_traits
from simulator.randomness import EPISODE, keys
from simulator.sends import PURCHASE, Sends

WINDOWS = np.full(len(HEADS), RESPONSE_WINDOW)
"""How long after a push each head's outcome may come (5,) int64, microseconds."""
WINDOWS[PURCHASE] += ATTRIBUTION
DRAWS = 8
"""Draws of the users."""


@dataclass(frozen=True)
class Judged:
    """Pushes (S) that are judged, to users of whom there are U."""

    known: Sends
    """The pushes that the heads were fitted to; their users are among the U, too."""
    sends: Sends
    asked: np.ndarray
    """Whether each head had its turn, and its outcome the time to come (S, 5) bool."""
    probability: np.ndarray
    """Conditional probabilities (S, 5), means over draws of the users."""
    seen: np.ndarray | None
    """As policies see them (S, 5), who draw nothing; None where no policy has these heads."""
    members: np.ndarray
    """As `probability`, of each member of the ensemble (M, S, 5)."""
    users: int


def later_days(log: Log, fitted: Fit, until: int) -> Judged:
    """Pushes decided after the fit and before an instant, by the response model as it is saved.

    log: of the users `fitted.judged_by`, or more.
    """
    simulator, end = fitted.simulator, log_end(log)
    material = material_of(log, end + 1)
    place, at = material.events.rows_among(fitted.judged_by), material.decisions.decided_at
    mine = material.decisions.sent & (place[material.decisions.owner] >= 0)
    sent = np.flatnonzero(mine & (at >= simulator.start) & (at < until))
    sends, seen, probability = answered(material, simulator, fitted.sample[place], sent)
    come = material.decisions.send_at[sent, None] + WINDOWS <= end
    return Judged(
        known=fitted.tuned.sends,
        sends=replace(sends, user=place[sends.user]),
        asked=sends.asked & come,
        probability=probability[0],
        seen=seen,
        members=probability[1:],
        users=len(fitted.sample),
    )


def answered(
    material: Material, simulator: Simulator, rows: np.ndarray, sent: np.ndarray
) -> tuple[Sends, np.ndarray, np.ndarray]:
    """Decisions `sent`, by index (S,), as heads see them; the response model's probabilities (S, 5)
    as policies see them, and over draws of the users its own and each member's (1 + M, S, 5).
    rows: of the material's users in the simulator's."""
    model, traits, catalog = _model(simulator), simulator.traits[rows], material.catalog
    some, hashes = material.decisions.only(sent), simulator.users.hashes[rows]
    drawn = [drawn_traits(traits, _episode(hashes, number)) for number in range(DRAWS)]
    sends = _bare(material, model, traits, sent)
    bound = [one.bind(catalog) for one in (model, *simulator.members)]
    seen = np.zeros((len(sent), len(HEADS)))
    probability = np.zeros((len(bound), *seen.shape))
    for part in material.parts(sent):
        states, owner = states_of(material, sent[part]), some.owner[part]
        known = remembering(sends.only(part), catalog, states, model.half_lives)
        for name in REMEMBERED:
            getattr(sends, name)[part] = getattr(known, name)
        item, variant = (
            each[part].astype(np.int32)[:, None] for each in (sends.item, sends.variant)
        )
        where = some.decided_at[part], material.events.zone[owner]
        first, hour = np.zeros(len(part), np.int64), some.h[part]
        for number, one in enumerate(bound):
            for users in (traits, *drawn) if number == 0 else drawn:
                terms = one.terms(states, users[owner], item, variant, *where)
                answer = outcomes_of(terms, first, first, hour)
                if users is traits:
                    seen[part] = answer
                else:
                    probability[number, part] += answer / DRAWS
    return sends, seen, probability


def _episode(user: np.ndarray, number: int) -> np.ndarray:
    """Keys (U,) uint64 to draw users with, by their ids' hashes (U,)."""
    seed, day = np.full(len(user), number, np.uint64), np.zeros(len(user), np.int64)
    return keys(seed, EPISODE, user, day)


def _bare(material: Material, model: ResponseModel, traits: np.ndarray, sent: np.ndarray) -> Sends:
    """Decisions `sent` as if nothing was remembered before them, by the scales and tastes of a fit;
    traits: of the material's users (U,)."""
    tastes = Tastes(
        user=traits["taste"],
        item=model.bind(material.catalog).item_taste,
        category=model.category_taste,
        word=model.word_taste,
        word_hash=model.word_hash,
        bias=np.zeros(len(material.catalog.items), np.float32),
        scale=1.0,
        variance=traits["taste_var"],
    )
    sends = bare(material, tastes, traits["hours"], sent)
    measured = (item_features(material.catalog) - model.item_center) / model.item_scale
    return replace(sends, item_features=measured[sends.item].astype(np.float32))


def _model(simulator: Simulator) -> ResponseModel:
    model = simulator.additive_model
    if model is None:
        raise BadInput("a simulator without a response model of its own can't be judged")
    return model


def unseen_users(fitted: Fit) -> Judged:
    """All pushes before the fit's end to a tenth of the users, by heads of the same recipe that
    none of these pushes were fitted or calibrated to. Half-lives, widths and priors are the fit's,
    which were chosen with four fifths of these pushes among ten times as many."""
    found, simulator = fitted.tuned, fitted.simulator
    users, catalog = len(found.unseen), simulator.catalog
    strange = found.unseen[found.sends.user]
    others = replace(found, sends=found.sends.only(~strange))
    sends = found.sends.only(strange)
    specials = int(found.sends.special.max(initial=0))
    sizes = Sizes(users, len(catalog.items), len(catalog.variants), specials)
    traits = simulator.traits[fitted.sample]
    probability = predicted_of_others(others, sizes, traits, sends)
    none = np.zeros((0, *probability.shape))
    return Judged(others.sends, sends, sends.asked, probability, None, none, users)
