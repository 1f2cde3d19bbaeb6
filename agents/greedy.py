"""Fitted greedy as a policy to save: what a good engineer would ship without learning to plan."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.progress import doing
from agents.provenance import provenance
from agents.runs import Run
from agents.search import baselines, best_static_rule, best_threshold
from policies.baselines import Greedy
from policies.saved import PolicyBundle, SavedRecommender
from simulator.best_days import with_habits
from simulator.description import Simulator


@dataclass(frozen=True)
class GreedySettings:
    """Greedy has none: its threshold is searched."""


def greedy_bundle(
    simulator: Simulator,
    seed: int = 0,
    command: Sequence[str] = (),
    run: Path | None = None,
    resume: bool = False,
) -> PolicyBundle:
    """Greedy on the simulator's beliefs, with the constant threshold that does best in it.

    run and resume: see `agents.learning.learn`.
    """
    began = time.process_time()
    description = provenance(simulator, "greedy", seed, GreedySettings(), command)
    Run.begun(run, description, resume)
    if simulator.model is None:
        simulator = simulator.believing(simulator)
    with doing("searching for the best threshold and static rule"):
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
            **description,
            "trained_until": simulator.manifest.get("trained_until"),
            "signed_up": simulator.sign_up_days,
            "baselines": baselines(threshold, rule),
            "cpu_seconds": round(time.process_time() - began, 1),
        },
    )
