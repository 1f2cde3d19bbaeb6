"""How soon pushes are forgotten, and how many nobody minds: half-lives of fatigue, wear and
repetition, and fatigue's knee, from the log itself.

They are fitted as the weights of what is remembered are, together with them, in turns with all
other parameters. So they move as little as the log does. To compare fits that were made at several
half-lives would not do: each ends where its iterations end, which differs by more than near ties.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from simulator.fit_heads import COLD, WARM, Sizes, fit_heads, predicted
from simulator.fit_tolerance import PRIOR, TOLD_BY, likelihoods, nodes
from simulator.head_terms import strain
from simulator.heads_prior import REMEMBERED, WORSE, against
from simulator.sends import OPEN, Sends
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
LEAST = 5.0
"""Nats by which a knee must make the pushes likelier: in a small log a knee and a longer memory are
nearly as likely as neither."""
FIRST = (OPEN, *TOLD_BY)
"""Heads that tell half-lives and the knee: those that most pushes ask."""
ROUNDS = 3
"""Times that half-lives and all else are fitted in turn; more move a half-life by about 1 %."""
ITERATIONS, ENOUGH = 100, 1e-5
"""Of half-lives and what is fitted with them, at most, and until they gain so few nats."""


@dataclass(frozen=True)
class Remembered:
    """How pushes are remembered."""

    lives: np.ndarray
    """Half-lives (4,), days."""
    knee: np.ndarray
    """Of fatigue ()."""
    tolerance: float
    """Width of tolerance."""
    cost: float
    """Minus the log posterior, nats, up to a constant."""


def fitted_half_lives(
    remembered: Callable[[np.ndarray], Sends], sizes: Sizes
) -> tuple[Remembered, dict[str, np.ndarray]]:
    """How pushes are remembered with the highest posterior, and parameters fitted with that.

    remembered: the pushes (S) as half-lives (4,), days, have them.
    """
    alike = [remembered(np.append(np.full(len(FITTED), days), USUAL[3:])) for days in KNOTS]
    by_knot = [np.stack([getattr(one, name) for one in alike], 1) for name in FITTED]
    found = Remembered(USUAL, np.zeros((), np.float32), Widths().tolerance, np.inf)
    heads = fit_heads(remembered(USUAL), sizes, Widths(), FIRST, COLD)

    def likeliest(bent: bool) -> Remembered:
        sends = replace(remembered(found.lives), knee=found.knee)
        return _likeliest(found, heads, sends, by_knot, bent)

    def refitted() -> dict[str, np.ndarray]:
        sends = replace(remembered(found.lives), knee=found.knee)
        widths = replace(Widths(), tolerance=found.tolerance)
        return fit_heads(sends, sizes, widths, FIRST, WARM, heads)

    for _ in range(ROUNDS):
        found = likeliest(bent=False)
        heads = refitted()
    bent = likeliest(bent=True)
    if bent.cost + LEAST < likeliest(bent=False).cost:
        found = bent
        heads = refitted()
        for _ in range(ROUNDS - 1):
            found = likeliest(bent=True)
            heads = refitted()
    return found, heads


def _likeliest(
    begun: Remembered,
    heads: dict[str, np.ndarray],
    sends: Sends,
    by_knot: list[np.ndarray],
    bent: bool,
) -> Remembered:
    """What has the highest posterior given all else that was fitted to pushes as `begun` has them,
    but levels and the weights of what is remembered; tolerance is integrated out.

    by_knot: what each of `FITTED` has of the pushes under `KNOTS`, (S, G) each. bent: with a knee.
    """
    judged, usual = list(FIRST), Widths()
    tables = [torch.from_numpy(table) for table in by_knot]
    weights = torch.tensor(np.stack([heads[f"{name}_weight"][judged] for name in FITTED])).double()
    own = torch.from_numpy(heads["tolerance_weight"][judged]).double()
    width, worse = torch.tensor(usual.weight)[judged], torch.from_numpy(WORSE[judged])
    outcome = torch.from_numpy(sends.outcome[:, judged]).double()
    turn = torch.from_numpy(sends.asked[:, judged]).double()
    user = torch.from_numpy(sends.user)
    tolerance = torch.from_numpy(heads["tolerance"]).double()[user]

    octaves, before = (
        torch.from_numpy(np.log2(days[: len(FITTED)])) for days in (begun.lives, USUAL)
    )
    far = torch.tensor(np.log(begun.tolerance / usual.tolerance)).double()
    level = torch.zeros(len(judged)).double()
    felt = torch.from_numpy(sends.fatigue) * torch.exp(-tolerance)
    # A knee, as a square never below 0, is looked for from where it shows most.
    knee = torch.from_numpy(begun.knee).double() if begun.knee > 0 else felt.mean()
    root = knee.sqrt() if bent else torch.zeros(()).double()

    logit = torch.logit(torch.from_numpy(predicted(heads, sends)[:, judged]).double(), 1e-7)
    others = torch.from_numpy(np.stack([getattr(sends, name) for name in FITTED[1:]], 1)).double()
    strained = strain(torch.from_numpy(sends.fatigue), tolerance, torch.from_numpy(sends.knee))
    tiring = strained[:, None] * weights[0] + tolerance[:, None] * own
    rest = logit - others @ weights[1:] - tiring
    free = [octaves, weights, level, far, *([root] if bent else [])]
    for each in free:
        each.requires_grad_()
    optimizer = torch.optim.LBFGS(
        free, max_iter=ITERATIONS, tolerance_change=ENOUGH, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        fatigue, *others = [
            (table @ part).double()
            for table, part in zip(tables, _interpolation(octaves).float(), strict=True)
        ]
        known, knee = rest + level + torch.stack(others, 1) @ weights[1:], root.square()
        opening = known[:, 0] + weights[0, 0] * strain(fatigue, tolerance, knee)
        total = cross_entropy(opening, outcome[:, 0], weight=turn[:, 0], reduction="sum")
        values, log_weights = nodes(usual.tolerance * far.exp())
        said = likelihoods(
            known[:, 1:],
            strain(fatigue[:, None], values, knee),
            values,
            {"tolerance_weight": own[1:], "fatigue_weight": weights[0, 1:]},
            outcome[:, 1:],
            turn[:, 1:],
        )
        by_user = torch.zeros(len(heads["tolerance"]), len(values)).double()
        by_user = by_user.index_add(0, user, said) + log_weights
        total = total - torch.logsumexp(by_user, 1).sum()
        total = total + knee / KNEE + (far / PRIOR).square() / 2
        apart = (weights / width).square().sum() + ((octaves - before) / SPREAD).square().sum()
        total = total + (apart + against(weights, worse)) / 2
        total.backward()
        return total

    optimizer.step(loss)
    found = 2.0 ** octaves.detach().numpy().clip(*np.log2(KNOTS[[1, -2]]))
    return Remembered(
        np.append(found, begun.lives[len(FITTED) :]),
        root.detach().square().numpy().astype(np.float32),
        usual.tolerance * float(far.detach().exp()),
        loss().item(),
    )


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
