"""What a fit rests on: half-lives, widths and priors that make a log's pushes likely, and how sure
the heads that they give may be, by pushes that these were not fitted to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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
    slope: np.ndarray
    """By what factor each head's logits vary too much (5,) float64."""
    sends: Sends
    """The pushes (S)."""
    unseen: np.ndarray
    """Users (U,) bool of whose pushes the slopes know nothing."""


def tuned(
    material: Material,
    tastes: Tastes,
    profile: np.ndarray,
    covariates: Covariates,
    sizes: Sizes,
    unseen: np.ndarray,
    report: Callable[[str], None],
) -> Tuned:
    """Widths, prior of users and half-lives likeliest on the earlier pushes, and how sure heads
    fitted to those were of the later ones, the `unseen` users (U,) bool left out."""
    at = material.decisions.decided_at[material.decisions.sent]
    split = np.quantile(at, 1 - HELD_OUT)
    early, late = at <= split, at > split

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
    strange = unseen[sends.user]
    known, judged = sends.only(early & ~strange), sends.only(late & ~strange)
    heads = fit_heads(known, sizes, widths, EVERY, COLD, prior=prior)
    slope = slopes(judged, predicted(heads, judged))
    return Tuned(widths, prior, found.lives, slope, sends, unseen)
