"""Response heads as they are used: fitted, calibrated, and with users' effects beside them."""

from __future__ import annotations

import numpy as np

from simulator.fit_calibration import calibrated, over_draws, shifts
from simulator.fit_heads import COLD, Sizes, fit_heads, predicted
from simulator.fit_tuning import EVERY, Tuned
from simulator.head_terms import strained
from simulator.sends import DISMISS, OPEN, Sends
from simulator.widths import Widths


def response_of(
    found: Tuned, sizes: Sizes, traits: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Heads fitted to the pushes, not yet calibrated, the users' traits (U,) `TRAITS` with them,
    and the heads' shifts (5,).

    traits: (U,) `TRAITS`, as far as pushes say nothing of them.
    """
    heads = fit_heads(found.sends, sizes, found.widths, EVERY, COLD, prior=found.prior)
    traits = _answering(traits, heads, found.sends, found.widths)
    return heads, traits, shifts(calibrated(heads, found.sends, found.slope), found.sends, traits)


def predicted_of_others(
    found: Tuned, sizes: Sizes, traits: np.ndarray, others: Sends
) -> np.ndarray:
    """Conditional probabilities (S, 5) of other pushes, by heads fitted to `found.sends` and
    calibrated: means over draws of the users; traits as for `response_of`."""
    heads, traits, shift = response_of(found, sizes, traits)
    heads = calibrated(heads, found.sends, found.slope, shift)
    return over_draws(heads, others, traits)


def _answering(
    traits: np.ndarray, heads: dict[str, np.ndarray], sends: Sends, widths: Widths
) -> np.ndarray:
    """The traits (U,) `TRAITS` with users' effects, variances by Laplace's approximation where a
    head sees them."""
    traits = traits.copy()
    for name in ("styles", "openness", "tolerance", "price"):
        traits[name] = heads[name]
    probability = predicted(heads, sends)
    known = probability * (1 - probability) * sends.asked
    seen = np.bincount(sends.user, known[:, OPEN], minlength=len(traits))
    traits["openness_var"] = 1 / (1 / widths.openness**2 + seen)
    above = strained(heads["tolerance"], sends)
    eased = heads["fatigue_weight"][DISMISS] * np.where(above > 0, above + sends.knee, 0.0)
    borne = np.bincount(sends.user, known[:, DISMISS] * (1 + eased) ** 2, minlength=len(traits))
    traits["tolerance_var"] = 1 / (1 / widths.tolerance**2 + borne)
    traits["known"] = 1
    return traits
