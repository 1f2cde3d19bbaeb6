"""What learning from the live log brings: the same weeks under a fit that stays and under one that
is made anew every week.

    python -m benchmarks.refitting --worlds logit hazard --seeds 2

A shop lives 42 days under its own policy. From then on the planner on the fit decides, with its
exploration floor, for four weeks: once on the fit that was made at their start, and once on a fit
made anew after each week from the whole log so far. Both meet the same users and draws; what is
compared is the true expected reward, by week. A third time the planner lives the same weeks on the
last fit, which has seen all of them but one: no more than that can be learned by then. A fit
renews what all users share as well as what is believed of each, so what an agent could gain that
only updates its beliefs of users while it serves them is at most this.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import tyro

from agents.comparing import NORMAL
from agents.search import best_threshold
from ingestion.log import LOGGED, Log, LogMeta
from ingestion.parse import log_of
from mdp.observation import observe
from mdp.response import Truth
from policies.base import Policy
from policies.planner import Planner, planner
from policies.saved import TraitStore
from simulator.best_days import with_habits
from simulator.description import Simulator
from simulator.fit import fit
from simulator.kernel import Kernel
from simulator.worlds import known_world

WEEK = 7


@dataclass(frozen=True)
class Args:
    """Of which shops."""

    worlds: tuple[str, ...] = ("logit", "hazard")
    """names of known-truth worlds"""
    seeds: int = 2
    """shops of each world"""
    users: int = 3000
    """users of each shop, all of whom are served"""
    days: int = 42
    """days of log before the first fit"""
    weeks: int = 4
    """weeks that are served"""
    floor: float = 0.02
    """exploration of the planner"""


@dataclass(frozen=True)
class Fitted:
    """A fit, and the planner on it."""

    simulator: Simulator
    plan: Planner


def main(args: Args) -> None:
    """Every shop, a row for each way to learn."""
    weeks = " | ".join(f"week {week + 1}" for week in range(args.weeks))
    print(f"| shop | fitted | all weeks | {weeks} |\n" + "|---" * (args.weeks + 3) + "|")
    for world in args.worlds:
        for seed in range(args.seeds):
            _shop(world, seed, args)


def _shop(world: str, seed: int, args: Args) -> None:
    kernel = logged(world, seed, args.users, args.days, WEEK * args.weeks)
    first = _fitted(kernel, args.floor)
    renewed, found, fits = deepcopy(kernel), [], [first]
    for week in range(args.weeks):
        if week:
            fits.append(_fitted(renewed, args.floor))
        found.append(_week(renewed, fits[-1], seed))
    lives = {"every week": np.array(found)}
    for name, one in (("before", first), ("after all weeks but one", fits[-1])):
        own = deepcopy(kernel)
        lives[name] = np.array([_week(own, one, seed) for _ in range(args.weeks)])
    stays = lives.pop("before")
    values = " | ".join(f"{value:.2f}" for value in (stays.sum(0).mean(), *stays.mean(1)))
    print(f"| {world} {seed} | once, before them: value per user | {values} |", flush=True)
    for name, earned in lives.items():
        gain = np.concatenate([(earned - stays).sum(0)[None] / args.weeks, earned - stays])
        level = np.concatenate([[stays.mean()], stays.mean(1)])
        half = NORMAL * gain.std(1, ddof=1) / gain.shape[1] ** 0.5 / level
        cells = " | ".join(
            f"{mean:+.1%} ±{width:.1%}"
            for mean, width in zip(gain.mean(1) / level, half, strict=True)
        )
        print(f"| {world} {seed} | {name} | {cells} |", flush=True)


def logged(world: str, seed: int, users: int, days: int, more: int) -> Kernel:
    """A shop after days under its own policy, with more days to come."""
    truth = known_world(world).simulator(users, seed)
    kernel = Kernel(truth, np.arange(users), seed, days + more, record=True)
    draws = np.random.default_rng([seed, 17])
    for _ in range(days):
        actions, propensity = truth.logging.act(kernel.view().observation, draws)
        kernel.step(actions, propensity, truth.logging.name)
    return kernel


def _fitted(kernel: Kernel, floor: float) -> Fitted:
    """A fit to all that the kernel has recorded."""
    now = int(kernel.at.min())
    sim = fit(recorded(kernel, now), now).simulator
    sim = with_habits(sim, best_threshold(sim, 0))
    assert sim.model is not None
    return Fitted(sim, replace(planner(sim.model, sim.reward), floor=floor))


def recorded(kernel: Kernel, now: int) -> Log:
    """The log of all that a kernel has lived until an instant, microseconds UTC."""
    meta = LogMeta(
        complete_until=pd.Timestamp(now, unit="us", tz="UTC"),
        propensities=LOGGED,
        candidates=LOGGED,
        default_timezone="UTC",
    )
    return log_of(kernel.tables(), meta)


def _week(kernel: Kernel, fitted: Fitted, seed: int) -> np.ndarray:
    """True expected rewards (N,) of a week under a fit's planner."""
    sim = fitted.simulator
    return lived(kernel, fitted.plan, sim.model, sim.beliefs, seed, WEEK)


def lived(
    kernel: Kernel,
    policy: Policy,
    model: Truth | None,
    beliefs: TraitStore | None,
    seed: int,
    days: int,
) -> np.ndarray:
    """True expected rewards (N,) of days under a policy that sees with a model and beliefs."""
    truth = kernel.simulator
    assert model is not None
    assert beliefs is not None
    bound, total = model.bind(truth.catalog), np.zeros(kernel.N)
    believed = beliefs.rows(truth.users.hashes[kernel.rows])[0]
    draws = np.random.default_rng([seed, int(kernel.day[0])])
    for _ in range(days):
        view = observe(
            kernel.requests(), truth.catalog, truth.guardrails, truth.reward, bound, believed
        )
        actions, propensity = policy.act(view.observation, draws)
        total += kernel.step(actions, propensity, policy.name).expected
    return total


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
