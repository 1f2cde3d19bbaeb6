"""Searching hyper-parameters: Ray Tune, with Optuna's search and early stopping by ASHA.

L. Li et al., A System for Massively Parallel Hyperparameter Tuning, 2020. T. Akiba et al., Optuna,
2019. Each trial is a training of its own; trials that are behind the others at a judgement stop.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace

from agents.algorithms import algorithm_of
from agents.cluster import running
from agents.judging import Judgement
from agents.training import PARTS, train
from mdp.errors import BadSetting, NotEnoughData
from simulator.description import Simulator

SPACES: dict[str, dict[str, tuple[float, float]]] = {
    "ppo": {
        "learning_rate": (3e-5, 3e-3),
        "gae_lambda": (0.8, 0.98),
        "clip": (0.08, 0.3),
        "target_kl": (0.005, 0.1),
    },
    "dqn": {
        "learning_rate": (3e-6, 3e-4),
        "critic_rate": (3e-4, 3e-3),
        "tau": (0.003, 0.05),
        "explore": (0.05, 0.3),
    },
}
"""Algorithm → setting → lowest and highest value tried, spread evenly over their logarithms. What
says what is wanted (discount, budgets) is not searched: values under another are not comparable."""


@dataclass(frozen=True)
class Trial:
    """One training."""

    settings: dict[str, float]
    value: float
    """Per user in the judges' episodes, at its best judgement."""
    judgements: int
    """How far it came: `PARTS` where it was not stopped early."""


def tune(
    simulator: Simulator,
    algo: str,
    trials: int = 16,
    seed: int = 0,
    steps: int | None = None,
    at_once: int | None = None,
) -> list[Trial]:
    """Trials, the best first; the settings' defaults are one of them.

    steps: user-days of a trial that is not stopped. at_once: most trials at a time, each on one
    core; default: as many as there are cores. Raises `BadSetting` for an algorithm that has nothing
    to search, and where Ray does not start.
    """
    if algo not in SPACES:
        raise BadSetting(f"{algo} has nothing to tune; choose among {', '.join(SPACES)}")
    import optuna
    from ray import tune as ray_tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    default = algorithm_of(algo).default_settings()
    if steps is not None:
        default = replace(default, steps=steps)
    space = {name: ray_tune.loguniform(*ends) for name, ends in SPACES[algo].items()}
    first = {name: getattr(default, name) for name in space}

    def trial(config: dict[str, float], simulator: Simulator) -> None:
        import torch

        torch.set_num_threads(1)

        values: list[float] = []

        def report(found: Judgement) -> None:
            values.append(found.value)
            ray_tune.report({"value": max(values)})

        train(simulator, algo, seed, replace(default, **config), report=report)

    # Its own tables and loggers would bury what is said at the end.
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with running(), tempfile.TemporaryDirectory() as place:
        found = ray_tune.Tuner(
            ray_tune.with_resources(
                ray_tune.with_parameters(trial, simulator=simulator), {"cpu": 1}
            ),
            param_space=space,
            tune_config=ray_tune.TuneConfig(
                metric="value",
                mode="max",
                num_samples=trials,
                max_concurrent_trials=at_once,
                search_alg=OptunaSearch(points_to_evaluate=[first], seed=seed),
                scheduler=ASHAScheduler(max_t=PARTS, grace_period=2, reduction_factor=2),
            ),
            run_config=ray_tune.RunConfig(name=algo, storage_path=place, verbose=0),
        ).fit()
    out = [
        Trial(each.config, each.metrics["value"], each.metrics["training_iteration"])
        for each in (found[n] for n in range(len(found)))
        if each.error is None and each.config is not None and each.metrics is not None
    ]
    if not out:
        raise NotEnoughData(f"none of {trials} trials came to a judgement: {found.errors}")
    return sorted(out, key=lambda each: -each.value)
