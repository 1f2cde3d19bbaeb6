"""What it would be worth to know how the tastes of *seasonal* have turned.

    python -m benchmarks.turning --out runs/agents

There the tastes by which users answer pushes turn, all alike, while what they meet by themselves
and are offered does not, so that no weighing of views tells of it. Takes a shop of
`benchmarks.limits` and its fit, puts the true tastes of a day, turned to the fit's axes, in the
place of the fitted ones, and prints what that adds for the planner on the fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from agents.comparing import Entry
from benchmarks.limits import ORACLE, Shop, difference
from mdp.clock import DAY
from policies.planner import planner
from simulator.best_days import with_habits
from simulator.description import Simulator, own_beliefs
from simulator.truths import SeasonalTruth, turned_tastes

USUAL = 0.15
"""Threshold that users' habits are measured with."""


@dataclass(frozen=True)
class Args:
    """Of which shop."""

    out: Path = Path("runs/agents")
    """where shops' logs and fits are, or go"""
    seed: int = 0
    """seed of the shop"""


def main(args: Args) -> None:
    """Replace, live, print."""
    shop = Shop.of(args.out, "seasonal", args.seed)
    truth = shop.truth.response
    assert isinstance(truth, SeasonalTruth)
    ends = shop.truth.start // DAY - int(truth.since[0])
    worth = {ORACLE: shop.worth(planning(shop, shop.truth)), "as fitted": shop.worth(seen(shop))}
    for name, day in (("of its first day", 0), ("of its last day", ends)):
        worth[name] = shop.worth(seen(shop, day * float(truth.turn[0])))
        gain, half = difference(worth, name, "as fitted")
        print(f"the log's tastes {name}: {gain:+.1f} ±{half:.1f} points of the oracle's value")


def seen(shop: Shop, angle: float | None = None) -> Entry:
    """The planner who sees the shop as its fit does, but for users' true tastes, turned."""
    if angle is None:
        return planning(shop, shop.fitted)
    traits, own, true = shop.fitted.traits.copy(), shop.fitted_traits["taste"], shop.truth.traits
    now = turned_tastes(true["taste"], np.full(len(own), angle))
    # The axes of a fit are nobody's: those that bring true tastes nearest to the fitted ones.
    apart = true["taste"] - true["taste"].mean(0)
    axes = np.linalg.lstsq(apart, own - own.mean(0))[0]
    row_of = {user: row for row, user in enumerate(shop.fitted.users.ids)}
    rows = [row_of[user] for user in shop.truth.users.ids]
    traits["taste"][rows] = own.mean(0) + (now - true["taste"].mean(0)) @ axes
    knowing = replace(shop.fitted, traits=traits)
    return planning(shop, replace(knowing, beliefs=own_beliefs(knowing)))


def planning(shop: Shop, imagined: Simulator) -> Entry:
    """The planner who sees the shop as another simulator does."""
    known = shop.truth.believing(with_habits(imagined, USUAL))
    assert known.model is not None
    return Entry(planner(known.model, known.reward), known)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
