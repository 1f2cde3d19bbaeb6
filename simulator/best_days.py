"""How good a user's days are: what a send must beat, as traits that observations show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from policies.baselines import Greedy
from policies.planner import planner
from policies.saved import TraitStore
from simulator.description import Simulator
from simulator.kernel import Kernel

BEFORE, DAYS = 7, 14
"""Days lived before the days that count, and how many count."""


def with_habits(simulator: Simulator, threshold: float, seed: int = 0) -> Simulator:
    """The simulator with each believed user's habit: mean, spread and 80 % quantile of the
    predicted reward of a day's best send, were the user's fatigue gone.

    Users live under fitted greedy with a threshold meanwhile, so that what was pushed lately
    weighs as it will. The mean user's stands for one never fitted. A simulator that believes
    nothing comes back as it is.
    """
    beliefs = simulator.beliefs
    if simulator.model is None or beliefs is None:
        return simulator
    greedy, plan = Greedy(threshold=threshold), planner(simulator.model, simulator.reward)
    kernel = Kernel(simulator, np.arange(len(simulator.users)), seed, BEFORE + DAYS)
    draws = np.random.default_rng(seed)
    best = []
    while not kernel.done:
        observation = kernel.view().observation
        if kernel.day[0] >= BEFORE:
            best.append(plan.rested(observation))
        kernel.step(greedy.act(observation, draws)[0])
    days = np.stack(best)
    habit = np.stack([days.mean(0), days.std(0), np.quantile(days, 0.8, axis=0)], 1)
    traits, default = beliefs.traits.copy(), beliefs.default.copy()
    known = np.isin(beliefs.hashes, simulator.users.hashes)
    order = np.argsort(simulator.users.hashes)
    place = np.searchsorted(simulator.users.hashes[order], beliefs.hashes[known])
    default["habit"] = habit.mean(0)
    traits["habit"] = default["habit"]
    traits["habit"][known] = habit[order][place]
    return replace(simulator, beliefs=TraitStore(beliefs.hashes, traits, default))
