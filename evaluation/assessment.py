"""Assessment: estimates, diagnostics and verdict of one target policy on one sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.diagnostics import Coverage, Diagnostics, diagnose, pull_of
from evaluation.estimators import Estimator, default_estimators, logged, model_gap
from evaluation.intervals import REPLICATES, Interval, bootstrap
from evaluation.sample import Sample
from evaluation.verdict import GATES, Estimate, Gates, Verdict, judge, leading

ONE_DECISION = (
    "values are per decision, in the states that the logging policy led to: what a policy's own "
    "sends do to users over the days that follow (fatigue, unsubscribes, wear-out) is not in them"
)
_CHECK_LEVEL = 0.99
"""Of the intervals that tell whether weights and predictions are right: 1 % false alarms each."""


@dataclass(frozen=True, eq=False)
class Assessment:
    """What a log says of one policy."""

    name: str
    """The policy's, or the table's."""
    verdict: Verdict
    rows: int
    users: int
    logged: Interval | None
    """The logging policy's mean reward."""
    estimates: tuple[Estimate, ...] = ()
    """Empty where nothing can be estimated."""
    diagnostics: Diagnostics | None = None
    notes: tuple[str, ...] = ()
    """What a reader must know to use the numbers."""
    weights: np.ndarray | None = None
    """Importance weights (n,) float64, for the picture."""


def assess(
    sample: Sample,
    name: str,
    estimators: Sequence[Estimator] = (),
    coverage: Coverage | None = None,
    notes: Sequence[str] = (),
    seed: int = 0,
    replicates: int = REPLICATES,
    gates: Gates = GATES,
) -> Assessment:
    """Estimate, diagnose and judge. No estimators: all that the sample has the columns for.

    Raises `BadSetting` for an estimator that needs columns which the sample lacks.
    """
    chosen = tuple(estimators) or tuple(default_estimators(sample))
    ones = np.ones(len(sample.reward))
    terms = [logged(sample), (sample.weights, ones), *(each.terms(sample) for each in chosen)]
    if sample.has_model:
        terms.append(model_gap(sample))
    drawn = bootstrap(terms, sample.user, seed, replicates)
    estimates = tuple(
        Estimate(each.label, drawn.interval(i), drawn.interval(i, less=0))
        for i, each in enumerate(chosen, 2)
    )
    base = drawn.interval(0)
    lead = leading(estimates)
    pull = pull_of(sample, *terms[2 if lead is None else 2 + estimates.index(lead)])
    weight = drawn.interval(1, level=_CHECK_LEVEL)
    gap = drawn.interval(len(terms) - 1, level=_CHECK_LEVEL) if sample.has_model else None
    diagnostics = diagnose(sample, weight, pull, gap, coverage)
    return Assessment(
        name=name,
        verdict=judge(base.value, estimates, diagnostics, gates),
        rows=len(sample.reward),
        users=sample.users,
        logged=base,
        estimates=estimates,
        diagnostics=diagnostics,
        notes=(ONE_DECISION, *notes),
        weights=sample.weights,
    )


def without_propensities(name: str, reward: np.ndarray, users: int) -> Assessment:
    """The assessment of a log of rewards (n,) whose propensities are not known."""
    reason = (
        "the log has no propensities (log.json says `propensities: none`), and without them no "
        "estimate can be checked against its rewards: log the probability of each decision"
    )
    mean = float(np.mean(reward)) if len(reward) else float("nan")
    return Assessment(
        name=name,
        verdict=Verdict("cannot_tell", (reason,)),
        rows=len(reward),
        users=users,
        logged=Interval(mean, float("nan"), float("nan")),
    )
