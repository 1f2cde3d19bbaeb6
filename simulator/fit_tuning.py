"""What a fit rests on: half-lives, widths and priors that make a log's pushes likely, and how good
the heads are that they give, on pushes that were not fitted to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from mdp.response import HEADS
from simulator.covariates import Covariates
from simulator.fit_covariates import likeliest_prior
from simulator.fit_half_lives import fitted_half_lives
from simulator.fit_heads import COLD, WARM, Sizes, fit_heads, predicted
from simulator.fit_priors import likeliest_priors
from simulator.fit_sends import bare, remembering, sends_of, states_of
from simulator.fit_tastes import Tastes
from simulator.fit_widths import likeliest_widths
from simulator.material import Material
from simulator.sends import Sends, log_loss
from simulator.users_prior import UsersPrior
from simulator.widths import Widths

HELD_OUT = 0.2
"""Share of the pushes, the latest, that the fit is judged on."""
ROUNDS = 3
"""Times that the priors are set by the fit, and the fit made again under them."""
EVERY = tuple(range(len(HEADS)))


def tuned(
    material: Material,
    tastes: Tastes,
    profile: np.ndarray,
    covariates: Covariates,
    sizes: Sizes,
    unseen: np.ndarray,
    report: Callable[[str], None],
) -> tuple[
    Widths,
    UsersPrior | None,
    np.ndarray,
    dict[str, dict[str, float | None]],
    tuple[Sends, np.ndarray, Sends, np.ndarray, Sends],
]:
    """Widths, prior of users and half-lives likeliest on the earlier pushes, and how all heads do
    on the later ones and for users (U,) bool that are left out."""
    at = material.decisions.decided_at[material.decisions.sent]
    split = np.quantile(at, 1 - HELD_OUT)
    early, late = at <= split, at > split

    report("half-lives of fatigue, wear-out and repetition")
    # Later pushes would judge half-lives worse: with time all decayed counts grow, so on them luck
    # of a few days passes for one.
    sent = np.flatnonzero(material.decisions.sent)[early]
    plain, states = bare(material, tastes, profile, sent), states_of(material, sent)
    lives, start = fitted_half_lives(partial(remembering, plain, material.catalog, states), sizes)
    sends = sends_of(material, tastes, profile, lives)
    report("how much users differ")
    widths = likeliest_widths(start, sends.only(early), sizes.users)
    prior = None
    for _ in range(ROUNDS):
        start = fit_heads(sends.only(early), sizes, widths, EVERY, WARM, start, prior)
        widths = likeliest_priors(start, sends.only(early), widths)
        prior = likeliest_prior(start, sends.only(early), widths, covariates, prior)
    if prior is not None:  # less is left to users' own parts
        widths = likeliest_widths(start, sends.only(early), sizes.users, widths, prior)
    strange = unseen[sends.user]
    known, judged = sends.only(early & ~strange), sends.only(late & ~strange)
    heads = fit_heads(known, sizes, widths, EVERY, COLD, prior=prior)
    probability = predicted(heads, judged)
    metrics: dict[str, dict[str, float | None]] = {}
    for head, name in enumerate(HEADS):
        mine, earlier = judged.asked[:, head], known.asked[:, head]
        outcome = judged.outcome[mine, head]
        rate = known.outcome[earlier, head].mean() if earlier.any() else 0.0
        metrics[name] = {
            "pushes": float(mine.sum()),
            "log_loss": log_loss(probability[mine, head], outcome),
            "log_loss_of_rate": log_loss(np.full(len(outcome), rate), outcome),
        }
        if not len(outcome):  # JSON has no NaN
            metrics[name] |= {"log_loss": None, "log_loss_of_rate": None}
    others = sends.only(strange)
    return (
        widths,
        prior,
        lives,
        metrics,
        (judged, probability, others, predicted(heads, others), known),
    )
