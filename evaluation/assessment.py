"""Assessment: estimates, diagnostics and verdict of one target policy on one sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from evaluation.collected import Collected, choose, collect
from evaluation.diagnostics import (
    Coverage,
    Diagnostics,
    effective_size,
    heaviest_share,
    histogram,
)
from evaluation.intervals import LEVEL, PLAIN, Analytic, Interval, Intervals
from evaluation.overlap import overlap
from evaluation.sample import Sample
from evaluation.specification import Estimator
from evaluation.tally import Tally
from evaluation.verdict import GATES, Estimate, Gates, Verdict, judge, leading
from mdp.errors import BadSetting

if TYPE_CHECKING:
    from evaluation.days import Days
    from evaluation.outlook import Outlook

ONE_DECISION = (
    "values are per decision, in the states that the logging policy led to: what a policy's own "
    "sends do to users over the days that follow (fatigue, unsubscribes, wear-out) is not in them"
)
ESTIMATED_HERE = "propensities were not logged and are estimated from the log, on other users"
SAYS_ESTIMATED = (
    "propensities are not logged but estimated (log.json says so), and errors in them bias what "
    "follows"
)
_CHECK_LEVEL = 0.99
"""Of the intervals that tell whether weights and predictions are right: 1 % false alarms each."""


@dataclass(frozen=True)
class Pair:
    """What the logging policy had of something, and what the target would have."""

    logged: Interval
    target: Interval


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
    warning: str | None = None
    """What a reader must know before anything else."""
    notes: tuple[str, ...] = ()
    """What a reader must know to use the numbers."""
    measures: dict[str, Pair] = field(default_factory=dict)
    """What else than the reward: opens, clicks, revenue (self-normalised)."""
    segments: dict[str, dict[str, dict[str, Pair]]] = field(default_factory=dict)
    """Reward and measures by segment, its value and the measure (self-normalised)."""
    policy_hash: str | None = None
    """The saved policy's; None for a table."""
    days: Days | None = None
    """The policy over a user's days, where that was asked for."""
    outlook: Outlook | None = None
    """What is certified and what would tell, where the verdict leaves it open."""
    tally: Tally | None = None
    """Counts of weights and propensities, for the picture."""
    weights: np.ndarray | None = None
    """Importance weights (n,) float64; None where the rows were read in batches."""


def assess(
    sample: Sample,
    name: str,
    estimators: Sequence[Estimator] = (),
    coverage: Coverage | None = None,
    notes: Sequence[str] = (),
    how: Intervals = PLAIN,
    gates: Gates = GATES,
    comparisons: int = 1,
) -> Assessment:
    """Estimate, diagnose and judge. No estimators: those that most readers need.

    comparisons: how many policies are compared with the logging one; the verdict's interval is
    widened (Bonferroni) so that all verdicts together are wrong in 5 % at most. Raises `BadSetting`
    for an estimator that needs columns which the sample lacks.
    """
    if comparisons < 1:
        raise BadSetting(f"{comparisons} policies are compared: use 1 at least")
    chosen = choose(sample, estimators, how.spread)
    collected = collect(sample, chosen, sample.user, sample.users)
    found = conclude(collected, name, coverage, notes, how, gates, comparisons)
    return replace(found, weights=sample.weights)


def conclude(
    found: Collected,
    name: str,
    coverage: Coverage | None = None,
    notes: Sequence[str] = (),
    how: Intervals = PLAIN,
    gates: Gates = GATES,
    comparisons: int = 1,
) -> Assessment:
    """`assess` from what was collected."""
    from evaluation.outlook import outlook

    judged = judge_collected(found, name, coverage, notes, how, gates, comparisons)
    if judged.verdict.answer != "cannot_tell":
        return judged
    return replace(judged, outlook=outlook(found, coverage, how, gates))


def judge_collected(
    found: Collected,
    name: str,
    coverage: Coverage | None,
    notes: Sequence[str],
    how: Intervals,
    gates: Gates,
    comparisons: int,
) -> Assessment:
    """The same without what a log that can't tell still allows."""
    drawn = _Drawn(found.places, how.of(found.sums))
    estimates = tuple(_estimate(each, drawn, found.tally, comparisons) for each in found.estimators)
    base = drawn.interval("logged")
    diagnostics = _diagnose(found, estimates, drawn, coverage)
    measures, segments = _pairs(found, drawn)
    return Assessment(
        name=name,
        verdict=judge(base.value, estimates, diagnostics, gates, comparisons),
        rows=found.tally.rows,
        users=found.users,
        logged=base,
        estimates=estimates,
        diagnostics=diagnostics,
        notes=(*_notes(found, diagnostics), ONE_DECISION, *notes),
        measures=measures,
        segments=segments,
        tally=found.tally,
    )


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Intervals of what was collected, by name."""

    places: Mapping[str, int]
    drawn: Analytic

    def interval(self, which: str, less: str | None = None, level: float = LEVEL) -> Interval:
        other = None if less is None else self.places[less]
        return self.drawn.interval(self.places[which], other, level)


def _estimate(each: Estimator, drawn: _Drawn, count: Tally, comparisons: int) -> Estimate:
    """A biased estimator's intervals also hold those of the unbiased one that it is measured
    against: what clipping or a wrong model moves it by is error too. What an unbiased one decides
    by is as wide as if rewards were as noisy on large weights as elsewhere: a rare loss that the
    few rows of large weight have not met is no proof that there is none."""
    tested = 1 - (1 - LEVEL) / comparisons

    def three(which: str) -> tuple[Interval, Interval, Interval]:
        difference, decisive = (drawn.interval(which, "logged", x) for x in (LEVEL, tested))
        return drawn.interval(which), difference, decisive

    found = three(f"estimator {each.label}")
    if each.checked_by is not None:
        beside = three(each.checked_by)
        found = (
            found[0].joined(beside[0]),
            found[1].joined(beside[1]),
            found[2].joined(beside[2]),
        )
    else:
        noise = count.noise(each.name in ("dr", "sndr"))
        half, middle = NormalDist().inv_cdf((1 + tested) / 2) * noise, found[2].value
        found = (*found[:2], found[2].joined(Interval(middle, middle - half, middle + half)))
    return Estimate(each.label, *found)


def _diagnose(
    found: Collected, estimates: Sequence[Estimate], drawn: _Drawn, coverage: Coverage | None
) -> Diagnostics:
    count, places, pulls = found.tally, found.places, found.sums.pulls()
    lead = leading(estimates)
    first = estimates[0] if lead is None else lead
    pull = np.abs(pulls[:, places[f"estimator {first.estimator}"]] - pulls[:, places["logged"]])
    size = count.effective_size
    held = found.sums.columns[:, found.sums.layout[places["weight"]][0][0]]
    same = count.least_reward == count.largest_reward
    return Diagnostics(
        rows=count.rows,
        users=found.users,
        mean_weight=drawn.interval("weight", level=_CHECK_LEVEL),
        max_weight=count.max_weight,
        effective_sample_size=size,
        effective_share=size / count.rows,
        effective_users=effective_size(pull) if pull.any() else float(found.users),
        heaviest_users=heaviest_share(held),
        zero_target=count.zeros / count.rows,
        certain=count.certain / count.rows,
        constant_reward=count.least_reward if same else None,
        model_gap=drawn.interval("gap", level=_CHECK_LEVEL) if "gap" in places else None,
        reward_drift=_drift(drawn, "reward"),
        weight_drift=_drift(drawn, "weight"),
        propensities=histogram(count),
        overlap=overlap(found.held),
        coverage=coverage,
    )


def _drift(drawn: _Drawn, which: str) -> Interval | None:
    if f"{which} first" not in drawn.places:
        return None
    return drawn.interval(f"{which} second", f"{which} first", _CHECK_LEVEL)


def _pairs(
    found: Collected, drawn: _Drawn
) -> tuple[dict[str, Pair], dict[str, dict[str, dict[str, Pair]]]]:
    measures: dict[str, Pair] = {}
    segments: dict[str, dict[str, dict[str, Pair]]] = {}
    for each in found.shown:
        pair = Pair(drawn.drawn.interval(each.logged), drawn.drawn.interval(each.target))
        if each.segment is None or each.level is None:
            measures[each.measure] = pair
        else:
            levels = segments.setdefault(each.segment, {})
            levels.setdefault(each.level, {})[each.measure] = pair
    return measures, segments


def _notes(found: Collected, diagnostics: Diagnostics) -> list[str]:
    said = [
        f"{each.label} took {each.parameter:.4g}, chosen by SLOPE; its interval takes the choice "
        "as given"
        for each in found.estimators
        if each.tuned and each.parameter is not None
    ]
    drift = diagnostics.reward_drift
    if drift is not None and drift.excludes(0.0):
        said.append(
            f"the mean reward of the log's second half is {drift.value:+.4g} off the first's, 99 % "
            f"interval {drift.low:+.4g} to {drift.high:+.4g}: what is true of this log may not be "
            "true of the days to come"
        )
    return said


def with_estimated(found: Assessment, calibration: str) -> Assessment:
    """The assessment of a log that kept no propensities: numbers by estimated ones, no verdict."""
    reason = (
        "the log has no propensities (log.json says `propensities: none`), and those that were "
        "estimated are right only if its policy looked at nothing but what the estimate looks at, "
        "which no check can show: log the probability of each decision"
    )
    reasons = found.verdict.reasons if found.verdict.answer == "cannot_tell" else ()
    return replace(
        found,
        verdict=Verdict("cannot_tell", (reason, *reasons)),
        warning=f"{ESTIMATED_HERE}: {calibration}",
        outlook=None,
    )
