"""Fitted greedy as a policy to save: what a good engineer would ship without learning to plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from agents.search import baselines, best_static_rule, best_threshold
from policies.baselines import Greedy
from policies.saved import PolicyBundle, SavedRecommender
from simulator.best_days import with_habits
from simulator.description import Simulator


@dataclass(frozen=True)
class GreedySettings:
    """Greedy has none: its threshold is searched."""


def greedy_bundle(simulator: Simulator, seed: int = 0, command: Sequence[str] = ()) -> PolicyBundle:
    """Greedy on the simulator's beliefs, with the constant threshold that does best in it."""
    if simulator.model is None:
        simulator = simulator.believing(simulator)
    with Console(stderr=True).status("searching for the best threshold and static rule"):
        threshold, rule = best_threshold(simulator, seed), best_static_rule(simulator, seed)
        simulator = with_habits(simulator, threshold, seed)
    return PolicyBundle(
        policy=Greedy(threshold=threshold, floor=simulator.guardrails.floor),
        model=simulator.additive_model,
        traits=simulator.beliefs,
        reward=simulator.reward,
        guardrails=simulator.guardrails,
        recommender=SavedRecommender(simulator.recommender.kind, simulator.recommender.arrays()),
        manifest={
            "algorithm": "greedy",
            "seed": seed,
            "command": list(command),
            "trained_until": simulator.manifest.get("trained_until"),
            "baselines": baselines(threshold, rule),
        },
    )
