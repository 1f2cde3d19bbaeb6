"""What a policy is worth that goes on from the one that served, beside one trained anew and the old
one kept.

    python -m benchmarks.continuing --worlds logit hazard --seeds 2

A shop lives 42 days under its own policy; PPO is trained in a fit to them and serves for 14 days,
with its exploration floor. A second fit has the whole log. In it PPO is trained anew, with all its
steps and with a tenth of them, and goes on from the old policy (`train --from`) with a tenth. Then
all live 28 days more in the truth, without exploration: the same users as the 14 days left them,
the same draws. Values are true expected rewards a user; ± is 95 % over users, gains paired.
"""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import tyro

from agents.comparing import NORMAL
from agents.learning import learn
from agents.ppo import PPOSettings
from benchmarks.refitting import lived, logged, recorded
from policies.planner import planner
from policies.saved import PolicyBundle
from simulator.best_days import with_habits
from simulator.description import Simulator
from simulator.fit import fit
from simulator.kernel import Kernel

KEPT = "the old policy, kept"
USUAL = 0.15
"""Threshold that the habits are measured with that the planner sees."""


@dataclass(frozen=True)
class Args:
    """Of which shops."""

    worlds: tuple[str, ...] = ("logit", "hazard")
    """names of known-truth worlds"""
    seeds: int = 2
    """shops of each world"""
    users: int = 3000
    """users of each shop"""
    days: int = 42
    """days of log before the first policy"""
    served: int = 14
    """days that it serves"""
    live: int = 28
    """days that policies are compared over"""
    steps: int = 500_000
    """user-days of a training"""


@dataclass(frozen=True)
class Made:
    """A policy, and what it took."""

    bundle: PolicyBundle
    seconds: float
    """Of one core."""


def main(args: Args) -> None:
    """Every shop, a row for each policy."""
    columns = ("shop", "policy", "true value", "minus the old one's", "seconds of one core")
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for world in args.worlds:
        for seed in range(args.seeds):
            _shop(world, seed, args)


def _shop(world: str, seed: int, args: Args) -> None:
    kernel = logged(world, seed, args.users, args.days, args.served + args.live)
    first, _ = _fitted(kernel)
    old = _trained(first, seed, args.steps)
    _lived(kernel, old.bundle, seed, args.served)
    second, fitting = _fitted(kernel)
    tenth = args.steps // 10
    made = {
        KEPT: Made(old.bundle, 0.0),
        "fitted anew: the planner": Made(_planning(second), fitting),
        "fitted anew, trained anew": _trained(second, seed, args.steps),
        "fitted anew, trained anew, a tenth of the steps": _trained(second, seed, tenth),
        "fitted anew, trained from the old one, a tenth": _trained(second, seed, tenth, old.bundle),
    }
    worth = {
        name: _lived(deepcopy(kernel), _greedy(each.bundle), seed, args.live)
        for name, each in made.items()
    }
    for name, value in worth.items():
        trained = made[name].seconds
        took = "0" if name == KEPT else f"{trained:.0f}"
        if "trained" in name:
            took = f"{fitting:.0f} + {trained:.0f}"
        cells = (f"{world} {seed}", name, _interval(value), _interval(value - worth[KEPT], "+"))
        print("| " + " | ".join([*cells, took]) + " |", flush=True)


def _fitted(kernel: Kernel) -> tuple[Simulator, float]:
    """A fit to all that the kernel has recorded, and the seconds that it took."""
    now, began = int(kernel.at.min()), time.process_time()
    return fit(recorded(kernel, now), now).simulator, time.process_time() - began


def _trained(sim: Simulator, seed: int, steps: int, start: PolicyBundle | None = None) -> Made:
    began = time.process_time()
    bundle = learn(sim, "ppo", seed=seed, settings=PPOSettings(steps=steps), start_from=start)
    return Made(bundle, time.process_time() - began)


def _planning(sim: Simulator) -> PolicyBundle:
    """The planner on a fit, untrained."""
    sim = with_habits(sim, USUAL)
    assert sim.model is not None
    return PolicyBundle(planner(sim.model, sim.reward), sim.additive_model, sim.beliefs)


def _greedy(bundle: PolicyBundle) -> PolicyBundle:
    """Without exploration."""
    return replace(bundle, policy=replace(bundle.policy, floor=0.0))


def _lived(kernel: Kernel, bundle: PolicyBundle, seed: int, days: int) -> np.ndarray:
    """True expected rewards (N,) of days under a policy, seen with its own model and beliefs."""
    return lived(kernel, bundle.policy, bundle.model, bundle.traits, seed, days)


def _interval(value: np.ndarray, sign: str = "") -> str:
    """Mean over users (N,) with its 95 % half-width."""
    return f"{value.mean():{sign}.3f} ±{NORMAL * value.std(ddof=1) / len(value) ** 0.5:.3f}"


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
