"""Response heads as they are used: fitted, calibrated, and with users' effects beside them."""

from __future__ import annotations

import numpy as np

from simulator.fit_calibration import calibrated, over_draws, shifts
from simulator.fit_heads import COLD, Sizes, fit_heads, predicted
from simulator.fit_tolerance import tolerances_of
from simulator.fit_tuning import EVERY, Tuned
from simulator.sends import OPEN, Sends
from simulator.widths import Widths


def heads_of(found: Tuned, sizes: Sizes) -> dict[str, np.ndarray]:
    """Heads fitted to the pushes, not yet calibrated."""
    return fit_heads(found.sends, sizes, found.widths, EVERY, COLD, prior=found.prior)


def response_of(
    heads: dict[str, np.ndarray], found: Tuned, traits: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The users' traits (U,) `TRAITS` with heads fitted to the pushes, and the heads' shifts (5,).

    traits: (U,) `TRAITS`, as far as pushes say nothing of them.
    """
    traits = _answering(traits, heads, found.sends, found.widths)
    return traits, shifts(calibrated(heads, found.sends, found.slope), found.sends, traits)


def predicted_of_others(
    found: Tuned, sizes: Sizes, traits: np.ndarray, others: Sends
) -> np.ndarray:
    """Conditional probabilities (S, 5) of other pushes, by heads fitted to `found.sends` and
    calibrated: means over draws of the users; traits as for `response_of`."""
    heads = heads_of(found, sizes)
    traits, shift = response_of(heads, found, traits)
    heads = calibrated(heads, found.sends, found.slope, shift)
    return over_draws(heads, others, traits, stayed=True)


def _answering(
    traits: np.ndarray, heads: dict[str, np.ndarray], sends: Sends, widths: Widths
) -> np.ndarray:
    """The traits (U,) `TRAITS` with users' effects; openness' variance is Laplace's."""
    traits = traits.copy()
    for name in ("styles", "openness", "price"):
        traits[name] = heads[name]
    probability = predicted(heads, sends)
    known = probability * (1 - probability) * sends.asked
    seen = np.bincount(sends.user, known[:, OPEN], minlength=len(traits))
    traits["openness_var"] = 1 / (1 / widths.openness**2 + seen)
    traits["tolerance"], traits["tolerance_var"] = tolerances_of(heads, sends, widths.tolerance)
    traits["known"] = 1
    return traits
