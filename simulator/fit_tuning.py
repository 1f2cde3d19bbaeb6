"""What a fit rests on: half-lives, widths and priors that make a log's pushes likely, and how sure
the heads that they give may be, by pushes that these were not fitted to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from mdp.response import HEADS
from simulator.covariates import Covariates
from simulator.fit_calibration import slopes
from simulator.fit_covariates import likeliest_prior
from simulator.fit_half_lives import fitted_half_lives
from simulator.fit_heads import COLD, WARM, Sizes, fit_heads, predicted
from simulator.fit_priors import likeliest_priors
from simulator.fit_sends import bare, remembering, sends_of, states_of
from simulator.fit_tastes import Tastes
from simulator.fit_tolerance import likeliest_tolerance
from simulator.fit_widths import likeliest_widths
from simulator.material import Material
from simulator.sends import Sends
from simulator.users_prior import UsersPrior
from simulator.widths import Widths

HELD_OUT = 0.2
"""Share of the pushes, the latest, that say how sure the heads may be."""
ROUNDS = 3
"""Times that the priors are set by the fit, and the fit made again under them."""
EVERY = tuple(range(len(HEADS)))


@dataclass(frozen=True)
class Tuned:
    """What was found with the pushes of U users, all of a small shop's."""

    widths: Widths
    prior: UsersPrior | None
    """What covariates say of these users; None where they say nothing."""
    lives: np.ndarray
    """Half-lives (4,), days."""
    sends: Sends
    """The pushes (S)."""
    unseen: np.ndarray
    """Users (U,) bool of whose pushes the slopes know nothing."""
    slope: np.ndarray = field(default_factory=lambda: np.ones(len(HEADS)))
    """By what factor each head's logits vary too much (5,) float64; 1 until `slopes_of` tells."""


def tuned(
    material: Material,
    tastes: Tastes,
    profile: np.ndarray,
    covariates: Covariates,
    sizes: Sizes,
    unseen: np.ndarray,
    report: Callable[[str], None],
) -> Tuned:
    """Widths, prior of users and half-lives likeliest on the earlier pushes.

    unseen: users (U,) bool of whose pushes the slopes are to know nothing.
    """
    early = _early(material.decisions.decided_at[material.decisions.sent])

    report("half-lives of fatigue, wear-out and repetition")
    # Later pushes would judge half-lives worse: with time all decayed counts grow, so on them luck
    # of a few days passes for one.
    sent = np.flatnonzero(material.decisions.sent)[early]
    plain, states = bare(material, tastes, profile, sent), states_of(material, sent)
    found, start = fitted_half_lives(partial(remembering, plain, material.catalog, states), sizes)
    sends = replace(sends_of(material, tastes, profile, found.lives), knee=found.knee)
    report("how much users differ")
    widths = replace(Widths(), tolerance=found.tolerance)
    widths = likeliest_widths(start, sends.only(early), sizes.users, widths)
    prior = None
    for _ in range(ROUNDS):
        start = fit_heads(sends.only(early), sizes, widths, EVERY, WARM, start, prior)
        widths = likeliest_priors(start, sends.only(early), widths)
        widths = likeliest_tolerance(start, sends.only(early), widths)
        prior = likeliest_prior(start, sends.only(early), widths, covariates, prior)
    if prior is not None:  # less is left to users' own parts
        widths = likeliest_widths(start, sends.only(early), sizes.users, widths, prior)
    return Tuned(widths, prior, found.lives, sends, unseen)


def slopes_of(found: Tuned, sizes: Sizes) -> np.ndarray:
    """How sure (5,) float64 heads fitted to the earlier pushes were of the later ones, users whom
    these are not to know left out."""
    early, strange = _early(found.sends.decided_at), found.unseen[found.sends.user]
    known, judged = found.sends.only(early & ~strange), found.sends.only(~early & ~strange)
    heads = fit_heads(known, sizes, found.widths, EVERY, COLD, prior=found.prior)
    return slopes(judged, predicted(heads, judged))


def _early(at: np.ndarray) -> np.ndarray:
    """Which pushes at instants (S,) are not held out (S,) bool."""
    return at <= np.quantile(at, 1 - HELD_OUT)
