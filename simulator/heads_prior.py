"""What the heads' parameters are taken to be before anything is seen: Gaussian priors around 0.

A maximum a posteriori of data that were drawn again, under priors whose means were drawn from the
priors themselves, is a draw from the posterior: exactly for a linear model, where without the
latter all draws would be pulled to one place by the prior.

Bardsley, Solonen, Haario and Laine (2014). Randomize-then-optimize. SIAM Journal on Scientific
Computing 36(4). Pearce, Leibfried and Brintrup (2020). Uncertainty in neural networks:
approximately Bayesian ensembling. AISTATS.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from simulator.head_terms import USERS_EFFECTS, Parameters
from simulator.users_prior import COEFFICIENTS
from simulator.widths import Widths

WEIGHTS = (
    *("taste", "hours", "fatigue", "repetition", "wear", "bought", "views"),
    *("openness", "styles"),
)
"""What has a weight of its own."""
FAR = 2.0
"""How far an hour's effect may be from 0, as a standard deviation."""
REMEMBERED = ("fatigue", "wear", "repetition")
"""Decayed counts of earlier pushes, which grow far beyond the log's under who pushes more."""
WORSE = np.array([-1.0, -1.0, -1.0, 1.0, 1.0], np.float32)
"""What earlier pushes do to the heads (5,): fewer open, click and buy, more dismiss and leave."""
AGAINST = 0.01
"""How far a weight of what is remembered may be on the other side, as a standard deviation."""
EACH = ("item_effect", "variant_effect", "style", "weekday", "hour", "weekday_hour", "special")
"""Effects of which a push has one each, of `special` on special days alone."""
ITERATIONS = 100
"""Of `moved`, which no push is looked at for."""


def deviations(p: Parameters, widths: Widths) -> list[torch.Tensor]:
    """How far what all users share is from where its prior has it, in standard deviations."""
    names = ("weight", "item_effect", "variant_effect", "wording", "style", "weekday", "hour")
    by_head = {name: torch.tensor(getattr(widths, name)) for name in names}
    weights = [f"{name}_weight" for name in (*WEIGHTS, "item")]
    hour, own = p["hour"], p["weekday_hour"]
    # Neighbouring hours of working days, and of the days of a weekend, are alike in what is theirs.
    steps = torch.cat([own - own.roll(1, 1), own[1:5] - own[:4], own[6:] - own[5:6]])
    return [
        *(p[name] / by_head["weight"] for name in weights),
        *(
            p[name] / by_head[name]
            for name in ("item_effect", "variant_effect", "style", "weekday")
        ),
        p["variant_weight"] / by_head["wording"],
        # Neighbouring hours are alike: a random walk round the clock, and a weak pull to 0.
        (hour - hour.roll(1, 0)) / by_head["hour"],
        hour / FAR,
        steps / torch.tensor(widths.weekday_hour),
        own / FAR,
        p["special"] / torch.tensor(widths.special),
    ]


def penalty(
    p: Parameters, widths: Widths, means: Sequence[torch.Tensor] | None = None
) -> torch.Tensor:
    """Minus the log prior, up to a constant. means: of the prior of `deviations`, if not 0."""
    away = deviations(p, widths)
    if means is not None:
        away = [one - mean for one, mean in zip(away, means, strict=True)]
    total = torch.zeros(())
    for one in away:
        total = total + one.square().sum()
    for name in REMEMBERED:
        total = total + against(p[f"{name}_weight"], torch.from_numpy(WORSE))
    for name in USERS_EFFECTS:
        total = total + (p[name] / getattr(widths, name)).square().sum()
    for name in p:
        if name.endswith(COEFFICIENTS):
            total = total + p[name].square().sum()
    return total / 2


def against(weights: torch.Tensor, worse: torch.Tensor) -> torch.Tensor:
    """What weights (…, H) of `REMEMBERED` are charged, twice minus a log prior, where they say that
    earlier pushes help. worse: `WORSE` of the heads (H,).

    By luck some do, in a log that pushes at random, and a policy that pushes what it likes best
    every few days would be promised ever more for it.
    """
    return ((weights * worse).clamp(max=0.0) / AGAINST).square().sum()


def drawn_means(p: Parameters, widths: Widths, rng: np.random.Generator) -> list[torch.Tensor]:
    """Means of `deviations`, drawn from the prior."""
    shapes = [one.shape for one in deviations(p, widths)]
    return [torch.from_numpy(rng.normal(size=shape).astype(np.float32)) for shape in shapes]


def moved(
    p: Parameters, widths: Widths, means: Sequence[torch.Tensor], known: Parameters
) -> Parameters:
    """By how much the prior's means move `EACH` from a maximum where they were 0, if what is known
    of each effect (its information, by name) were known of it apart from all others.

    A descent to the maximum begins there: what few pushes tell of moves most, and would come last.
    """
    each = [name for name in EACH if len(p[name])]
    out = {name: torch.zeros_like(value, requires_grad=name in each) for name, value in p.items()}
    optimizer = torch.optim.LBFGS(
        [out[name] for name in each], max_iter=ITERATIONS, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        pairs = zip(deviations(out, widths), means, strict=True)
        pulled = [(one - mean).square().sum() for one, mean in pairs if len(one)]
        held = [(known[name] * out[name].square()).sum() for name in each]
        total = torch.stack([*pulled, *held]).sum() / 2
        total.backward()
        return total

    optimizer.step(loss)
    return {name: out[name].detach() for name in EACH}
