"""What would be gained by learning users while serving them: a bound on what an agent can add that
adapts within its weeks.

    python -m benchmarks.adapting runs/agents/logit-0 runs/agents/hazard-0

The planner lives with a shop's true users, its model and beliefs from the fit. Once the beliefs
stay as they are, and once each push updates what is believed of its user's openness and response to
the style, by Laplace's approximation to Bayes' rule from the fit's own posterior on. Optimism adds
some of a style's remaining standard deviations to what is believed of it, to try styles out.
Arguments are shops as `benchmarks.agents` leaves them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from tyro.conf import Positional

from agents.comparing import NORMAL
from agents.rollouts import population
from agents.search import best_threshold
from mdp.actions import decode
from mdp.observation import observe
from mdp.prediction import PARTS
from mdp.state import STYLE_COUNTS
from policies.planner import Planner, planner
from simulator.best_days import with_habits
from simulator.description import Simulator
from simulator.kernel import Kernel
from simulator.saved import load_simulator

OPEN = PARTS.index("open")
LEARNED: dict[str, tuple[bool, bool, float]] = {
    "nothing": (False, False, 0.0),
    "openness": (True, False, 0.0),
    "styles": (False, True, 0.0),
    "styles, with optimism 0.5": (False, True, 0.5),
    "styles, with optimism 1": (False, True, 1.0),
    "openness and styles": (True, True, 0.0),
}
"""What is learned: openness, styles, and the optimism about styles."""


@dataclass(frozen=True)
class Args:
    """Of which shops."""

    shops: Positional[tuple[Path, ...]]
    """directories with logs/truth and sim"""
    users: int = 1000
    """users who are served"""
    lives: int = 2
    """lives of each of them"""
    days: int = 28
    """days of a life"""


def main(args: Args) -> None:
    """Every shop, a row for each way to learn."""
    print("| shop | learned while serving | minus what is believed from the start |\n|---|---|---|")
    for place in args.shops:
        sim, truth = load_simulator(place / "sim"), load_simulator(place / "logs" / "truth")
        sim = with_habits(sim, best_threshold(sim, 0))
        assert sim.model is not None
        seen = replace(truth, model=sim.model, beliefs=sim.beliefs)
        plan = planner(sim.model, sim.reward)
        rows = population(seen, args.users, 0)
        variance = styles_variance(sim, seen, rows)
        worth = {}
        for name, how in LEARNED.items():
            lives = [
                served(seen, plan, rows, seed, args.days, variance, *how)
                for seed in range(1, args.lives + 1)
            ]
            worth[name] = np.mean(lives, 0)
        frozen = worth["nothing"]
        for name, values in worth.items():
            gain = (values - frozen) / frozen.mean()
            half = NORMAL * gain.std(ddof=1) / len(gain) ** 0.5
            print(f"| {place.name} | {name} | {gain.mean():+.1%} ±{half:.1%} |", flush=True)


def styles_variance(sim: Simulator, seen: Simulator, rows: np.ndarray) -> np.ndarray:
    """Variance (N, 16) of what the fit believes of the users' styles: Laplace's, with the width
    that goes with how far the beliefs are spread."""
    sends = sim.histories["styles"][:, STYLE_COUNTS.index("sends")].astype(np.float64)
    opens = sim.histories["styles"][:, STYLE_COUNTS.index("opens")].astype(np.float64)
    rate = opens.sum() / max(sends.sum(), 1.0)
    known, believed = sends * rate * (1.0 - rate), sim.traits["styles"].astype(np.float64)
    used, width = sends > 0.1, 0.1
    for _ in range(200):
        width = float((believed**2 + 1.0 / (1.0 / width + known))[used].mean())
    row_of = {user: row for row, user in enumerate(sim.users.ids)}
    order = [row_of[seen.users.ids[row]] for row in rows]
    return np.asarray(1.0 / (1.0 / width + known))[order]


def served(
    seen: Simulator,
    plan: Planner,
    rows: np.ndarray,
    seed: int,
    days: int,
    variance: np.ndarray,
    openness: bool,
    styles: bool,
    optimism: float,
) -> np.ndarray:
    """True expected rewards (N,) of users `rows` (N,)."""
    assert seen.model is not None
    assert seen.beliefs is not None
    kernel, draws = Kernel(seen, rows, seed, days), np.random.default_rng([seed, 12])
    model = seen.model.bind(seen.catalog)
    start = seen.beliefs.rows(seen.users.hashes[rows])[0]
    everyone, total = np.arange(len(rows)), np.zeros(len(rows))
    known_styles, known_openness = 1.0 / variance, 1.0 / np.maximum(start["openness_var"], 1e-3)
    traits = start.copy()
    while not kernel.done:
        asked, hopeful = kernel.requests(), traits.copy()
        hopeful["styles"] += optimism / np.sqrt(known_styles)
        view = [
            observe(asked, seen.catalog, seen.guardrails, seen.reward, model, believed).observation
            for believed in (hopeful, traits)
        ]
        actions, _ = plan.act(view[0], draws)
        k, v, _ = decode(actions, *view[0]["pairs"].shape[1:3])
        likely = view[1]["pairs"][everyone, k, v, OPEN].astype(np.float64)
        bucket = seen.catalog.variants.buckets[asked.variants[everyone, v]]
        step = kernel.step(actions)
        total += step.expected
        who = np.flatnonzero(step.sent)
        p, style = likely[who], bucket[who]
        known_styles[who, style] += p * (1.0 - p)
        known_openness[who] += p * (1.0 - p)
        if styles:
            traits["styles"][who, style] += (step.opened[who] - p) / known_styles[who, style]
        if openness:
            traits["openness"][who] += (step.opened[who] - p) / known_openness[who]
    return total


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
