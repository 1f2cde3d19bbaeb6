"""How soon pushes are forgotten, and how many nobody minds: half-lives of fatigue, wear and
repetition, and fatigue's knee, from the log itself.

They are fitted as the weights of what is remembered are, together with them, in turns with all
other parameters. So they move as little as the log does. To compare fits that were made at several
half-lives would not do: each ends where its iterations end, which differs by more than near ties.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from simulator.fit_heads import (
    COLD,
    REMEMBERED,
    WARM,
    WORSE,
    Sizes,
    against,
    fit_heads,
    predicted,
)
from simulator.sends import DISMISS, OPEN, UNSUBSCRIBE, Sends
from simulator.widths import Widths

USUAL = np.array([3.0, 7.0, 14.0, 30.0])
"""Half-lives of fatigue, wear, repetition and bought before anything is seen, days."""
FITTED = REMEMBERED
"""Whose half-lives are fitted; what is said of purchases rests on too few."""
SPREAD = 1.0
"""Standard deviation of a half-life before anything is seen, octaves: from half to twice."""
KNEE = 0.5
"""Mean of the knee before anything is seen, exponentially distributed: likeliest there is none."""
STEP = 0.5
KNOTS = 2.0 ** np.arange(-1.0, 6.1, STEP)
"""Half-lives between which what is remembered is interpolated, days: half a day to two months."""
JUDGED = (OPEN, UNSUBSCRIBE)
"""Heads that tell half-lives and the knee: those that every push asks. Only a push that is not
opened can be dismissed, and what tires is opened less, so dismissals are of another choice of
users."""
FIRST = (OPEN, DISMISS, UNSUBSCRIBE)
"""Heads that all else is fitted to: dismissals tell users' tolerance."""
ROUNDS = 3
"""Times that half-lives and all else are fitted in turn; more move a half-life by about 1 %."""
ITERATIONS = 100
"""Of half-lives and what is fitted with them, at most."""


def fitted_half_lives(
    remembered: Callable[[np.ndarray], Sends], sizes: Sizes
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Half-lives (4,), days, and the knee () with the highest posterior, and parameters fitted with
    them.

    remembered: the pushes (S) as half-lives (4,), days, have them.
    """
    alike = [remembered(np.append(np.full(len(FITTED), days), USUAL[3:])) for days in KNOTS]
    by_knot = [np.stack([getattr(one, name) for one in alike], 1) for name in FITTED]
    lives, widths, sends = USUAL, Widths(), remembered(USUAL)
    heads = fit_heads(sends, sizes, widths, FIRST, COLD)
    for _ in range(ROUNDS):
        lives, knee = _likeliest(lives, heads, sends, widths, by_knot)
        sends = replace(remembered(lives), knee=knee)
        heads = fit_heads(sends, sizes, widths, FIRST, WARM, heads)
    return lives, sends.knee, heads


def _likeliest(
    lives: np.ndarray,
    heads: dict[str, np.ndarray],
    sends: Sends,
    widths: Widths,
    by_knot: list[np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Half-lives (4,) and knee () with the highest posterior given all else that was fitted to
    pushes under others, but levels and the weights of what is remembered.

    by_knot: what each of `FITTED` has of the pushes under `KNOTS`, (S, G) each.
    """
    judged = list(JUDGED)
    ease = torch.from_numpy(np.exp(-heads["tolerance"][sends.user]))
    tables = [torch.from_numpy(table) for table in by_knot]
    tables[0] = tables[0] * ease[:, None]
    weights = torch.tensor(np.stack([heads[f"{name}_weight"][judged] for name in FITTED])).double()
    level = torch.zeros(len(judged)).double()
    # A knee, as a square never below 0, is looked for from where it shows most.
    root = (torch.from_numpy(sends.fatigue) * ease).double().mean().sqrt()
    octaves, usual = (torch.from_numpy(np.log2(days[: len(FITTED)])) for days in (lives, USUAL))
    width, worse = torch.tensor(widths.weight)[judged], torch.from_numpy(WORSE[judged])
    outcome = torch.from_numpy(sends.outcome[:, judged]).double()
    turn = torch.from_numpy(sends.asked[:, judged]).double()

    def tiring(knee: torch.Tensor) -> torch.Tensor:
        parts = zip(tables, _interpolation(octaves).float(), strict=True)
        fatigue, *others = [(table @ part).double() for table, part in parts]
        return torch.stack([(fatigue - knee).clamp(min=0.0), *others], 1) @ weights

    logit = torch.logit(torch.from_numpy(predicted(heads, sends)[:, judged]).double(), 1e-7)
    rest = logit - tiring(torch.from_numpy(sends.knee).double())
    free = [each.requires_grad_() for each in (octaves, weights, level, root)]
    optimizer = torch.optim.LBFGS(
        free, max_iter=ITERATIONS, tolerance_change=1e-7, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        knee = root.square()
        logits = rest + level + tiring(knee)
        total = cross_entropy(logits, outcome, weight=turn, reduction="sum") + knee / KNEE
        far = (weights / width).square().sum() + ((octaves - usual) / SPREAD).square().sum()
        total = total + (far + against(weights, worse)) / 2
        total.backward()
        return total

    optimizer.step(loss)
    found = 2.0 ** octaves.detach().numpy().clip(*np.log2(KNOTS[[1, -2]]))
    knee = root.detach().square().numpy().astype(np.float32)
    return np.append(found, lives[len(FITTED) :]), knee


def _interpolation(octaves: torch.Tensor) -> torch.Tensor:
    """Weights (n, G) of the knots that give what half-lives of 2^octaves (n,) days remember: Keys'
    cubic convolution, which is smooth in the half-life.

    Keys (1981). Cubic convolution interpolation for digital image processing. IEEE Transactions on
    Acoustics, Speech, and Signal Processing 29(6).
    """
    knots = torch.from_numpy(np.log2(KNOTS))
    away = ((octaves.clamp(knots[1], knots[-2])[:, None] - knots) / STEP).abs()
    near = (1.5 * away - 2.5) * away * away + 1.0
    far = ((2.5 - 0.5 * away) * away - 4.0) * away + 2.0
    return torch.where(away < 1, near, torch.where(away < 2, far, torch.zeros_like(away)))
