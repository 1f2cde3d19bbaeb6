"""One way to learn a policy, whatever the algorithm: `learn`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from agents import bandits
from agents.algorithms import algorithm_of
from agents.logged import Logged, logged
from agents.provenance import provenance
from agents.runs import Run
from agents.search import best_static_rule
from ingestion.log import Log
from mdp.errors import BadSetting
from policies.base import Policy
from policies.network import NetworkPolicy
from policies.saved import PolicyBundle, SavedRecommender
from simulator.description import Simulator
from simulator.threads import one_thread


def learn(
    simulator: Simulator,
    algo: str,
    log: Log | None = None,
    seed: int = 0,
    settings: Any = None,
    command: Sequence[str] = (),
    checkpoint: Callable[[PolicyBundle], None] | None = None,
    run: Path | None = None,
    resume: bool = False,
    start_from: PolicyBundle | None = None,
    workers: int | None = None,
) -> PolicyBundle:
    """Learn a policy by a registered algorithm; same arguments, same policy.

    log: what those learn from that learn from logs, of before the simulator's `trained_until`;
    they take from the simulator only what it believes of users, its guardrails and its recommender.
    settings: the algorithm's own, default: `Algorithm.default_settings()`. run: folder that says
    what was run, with curves and the state to resume from. resume: go on with the run in the
    folder, where there is one. checkpoint, start_from and workers: see `agents.training.train`.
    Raises `BadSetting`, `BadInput` where the folder holds something else, and `NotEnoughData` for
    a log with too little in it.
    """
    algorithm = algorithm_of(algo)
    chosen = algorithm.default_settings() if settings is None else settings
    if resume and run is None:
        raise BadSetting("--resume needs the folder of the run to go on: give it with --run DIR")
    if start_from is not None and (algorithm.from_logs or algo == "greedy"):
        raise BadSetting(f"{algo} begins anew, from no other policy: leave out --from")
    if workers is not None and algo != "ppo":
        raise BadSetting(f"{algo} learns in one process: leave out --workers")
    if workers is not None:
        from agents.parallel import need_shards

        need_shards(chosen, workers)
    if algorithm.from_logs:
        if log is None:
            raise BadSetting(f"{algo} learns from logged decisions: give the log with --logs LOGS")
        return _from_log(simulator, algo, log, seed, chosen, command, run, resume)
    if log is not None:
        raise BadSetting(f"{algo} learns in the simulator: leave out --logs")
    if algo == "greedy":
        from agents.greedy import greedy_bundle

        return greedy_bundle(simulator, seed, command, run, resume)
    from agents.training import train

    with one_thread():
        return train(
            simulator,
            algo,
            seed,
            chosen,
            command,
            checkpoint,
            run,
            resume,
            start_from=start_from,
            workers=workers,
        )


def _from_log(
    simulator: Simulator,
    algo: str,
    log: Log,
    seed: int,
    settings: Any,
    command: Sequence[str],
    folder: Path | None,
    resume: bool,
) -> PolicyBundle:
    began = time.process_time()
    description = provenance(simulator, algo, seed, settings, command, log)
    run = Run.begun(folder, description, resume)
    if simulator.model is None:
        simulator = simulator.believing(simulator)
    model = simulator.additive_model  # before any work: a policy can't carry another
    data = logged(log, simulator, seed)
    found: dict[str, Any] = {}
    learned: dict[str, np.ndarray] = {}
    if algo in ("linucb", "thompson"):
        policy: Policy = getattr(bandits, algo)(data, settings, seed)
    elif algo == "recovering":
        rule = best_static_rule(simulator, seed)
        found = {"rule": {"hour": rule.hour, "every_days": rule.every_days}}
        policy = bandits.recovering(data, settings, rule)
    else:
        policy, learned = _network(algo, data, settings, seed, run)
    manifest = {
        **description,
        "trained_until": data.until,
        "signed_up": simulator.sign_up_days,
        "learned_from": data.summary,
        "cpu_seconds": round(time.process_time() - (began if run is None else run.began), 1),
        **found,
    }
    return PolicyBundle(
        policy=replace(policy, floor=simulator.guardrails.floor),
        model=model,
        traits=simulator.beliefs,
        reward=simulator.reward,
        guardrails=simulator.guardrails,
        recommender=SavedRecommender(simulator.recommender.kind, simulator.recommender.arrays()),
        learned=learned,
        manifest=manifest,
    )


def _network(
    algo: str, data: Logged, settings: Any, seed: int, run: Run | None
) -> tuple[NetworkPolicy, dict[str, np.ndarray]]:
    """An agent of `agents.offline`, exported, and what training in the simulator could go on
    from."""
    from agents import offline
    from agents.continuing import learned_by
    from agents.export import exported

    with one_thread():
        network = getattr(offline, algo)(data, settings, seed, run)
    example = data.some(np.arange(min(len(data.action), 2)))
    # A clone draws as the logging policy did; who learned values takes the best.
    temperature = 1.0 if algo == "clone" else None
    policy = exported(network, example, algo, temperature)
    return policy, {} if algo == "bcq" else learned_by(network)
