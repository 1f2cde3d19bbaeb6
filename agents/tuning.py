"""Searching hyper-parameters: Ray Tune, with Optuna's search and early stopping by ASHA.

L. Li et al., A System for Massively Parallel Hyperparameter Tuning, 2020. T. Akiba et al., Optuna,
2019. Each trial is a training of its own; trials that are behind the others at a judgement stop.
Ray keeps the search in a folder (its own files, pickles among them), from which it goes on.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from agents.algorithms import algorithm_of
from agents.cluster import running
from agents.judging import Judgement
from agents.provenance import versions
from agents.runs import Run
from agents.training import ends_of, train
from mdp.errors import BadSetting, NotEnoughData
from simulator.description import Simulator
from simulator.saved import simulator_hash

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


GRACE = 2
"""Judgements before which no trial is stopped."""
SEARCH = "search"
"""Ray's own folder in that of a search."""


@dataclass(frozen=True)
class Trial:
    """One training."""

    settings: dict[str, float]
    value: float
    """Per user in the judges' episodes, at its best judgement."""
    judgements: int
    """How far it came: all its parts where it was not stopped early."""


def judgements_of(algo: str, steps: int | None = None) -> int:
    """Of a trial that is not stopped early; steps: as for `tune`."""
    return len(ends_of(_default(algo, steps)))


def _default(algo: str, steps: int | None) -> Any:
    settings = algorithm_of(algo).default_settings()
    return settings if steps is None else replace(settings, steps=steps)


def tune(
    simulator: Simulator,
    algo: str,
    trials: int = 16,
    seed: int = 0,
    steps: int | None = None,
    at_once: int | None = None,
    run: Path | None = None,
    resume: bool = False,
    report: Callable[[Trial], None] | None = None,
) -> list[Trial]:
    """Trials, the best first; the settings' defaults are one of them.

    steps: user-days of a trial that is not stopped. at_once: most trials at a time, each on one
    core; default: as many as there are cores. run: folder for the search. resume: go on with the
    search in the folder; trials that had not ended begin again. report: is told each trial that is
    better than those that ended before. Ctrl-C ends the search with what it has found so far.
    Raises `BadSetting` for an algorithm that has nothing to search, and where Ray does not start,
    and `BadInput` for a folder that holds something else.
    """
    if algo not in SPACES:
        raise BadSetting(f"{algo} has nothing to tune; choose among {', '.join(SPACES)}")
    import optuna
    from ray import tune as ray_tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    default = _default(algo, steps)
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

    class Best(ray_tune.Callback):
        """Tells each trial that ends as the best so far, and how far the search has come."""

        value = -float("inf")
        ended = 0

        def on_trial_complete(
            self, iteration: int, trials: Sequence[Any], trial: Any, **info: Any
        ) -> None:
            self.ended += 1
            ended = _trial(trial.config, trial.last_result)
            if ended is None:
                return
            if ended.value > self.value:
                self.value = ended.value
                if report is not None:
                    report(ended)
            print(
                f"{self.ended} of {number} trials ended: value {ended.value:.3f} after "
                f"{ended.judgements} of {parts} judgements, best {self.value:.3f}",
                file=sys.stderr,
                flush=True,
            )

        def get_state(self) -> dict[str, float]:
            return {"value": self.value, "ended": self.ended}

        def set_state(self, state: dict[str, float]) -> None:
            self.value, self.ended = state["value"], int(state.get("ended", 0))

    # Its own tables and loggers would bury what is said at the end.
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    number = trials
    what = {"algorithm": algo, "trials": trials, "seed": seed, "settings": asdict(default)}
    what |= {"simulator_hash": simulator_hash(simulator), "versions": versions()}
    parts = judgements_of(algo, steps)
    with _folder(run, what, resume) as place, running():
        learns = ray_tune.with_resources(
            ray_tune.with_parameters(trial, simulator=simulator), {"cpu": 1}
        )
        where = str(place / SEARCH)
        if resume and ray_tune.Tuner.can_restore(where):
            tuner = ray_tune.Tuner.restore(where, learns, restart_errored=True, param_space=space)
        else:
            tuner = ray_tune.Tuner(
                learns,
                param_space=space,
                tune_config=ray_tune.TuneConfig(
                    metric="value",
                    mode="max",
                    num_samples=trials,
                    max_concurrent_trials=at_once,
                    search_alg=OptunaSearch(points_to_evaluate=[first], seed=seed),
                    scheduler=ASHAScheduler(
                        max_t=max(parts, GRACE), grace_period=GRACE, reduction_factor=2
                    ),
                ),
                run_config=ray_tune.RunConfig(
                    name=SEARCH, storage_path=str(place), verbose=0, callbacks=[Best()]
                ),
            )
        with redirect_stdout(sys.stderr):  # where Ray's words don't mix with the result
            found = tuner.fit()
    ended = [
        _trial(each.config, each.metrics)
        for each in (found[n] for n in range(len(found)))
        if each.error is None
    ]
    out = [each for each in ended if each is not None]
    if not out:
        why = f": {found.errors}" if found.errors else ", as the search was stopped before"
        raise NotEnoughData(f"none of {trials} trials came to a judgement{why}")
    return sorted(out, key=lambda each: -each.value)


def _trial(settings: dict[str, float] | None, said: dict[str, Any] | None) -> Trial | None:
    """What Ray says of a trial; None where it came to no judgement."""
    if settings is None or said is None or "value" not in said:
        return None
    return Trial(dict(settings), said["value"], said["training_iteration"])


@contextmanager
def _folder(run: Path | None, what: dict[str, Any], resume: bool) -> Iterator[Path]:
    """Where the search is kept: the folder given, or one for as long as the search takes."""
    if run is not None:
        Run.begun(run, what, resume)
        yield run.resolve()
        return
    with tempfile.TemporaryDirectory() as place:
        yield Path(place)
