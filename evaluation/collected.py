"""Sums over users of all that an assessment needs; those of batches add up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from evaluation.estimators import Terms, dr, ips, logged, model_gap
from evaluation.overlap import Held, held, together
from evaluation.sample import Measure, Sample
from evaluation.specification import Estimator, default_estimators
from evaluation.sums import Sums, sums_of
from evaluation.tally import Tally, tally
from ingestion.spread import Spread, in_turn

REWARD = "reward per decision"


@dataclass(frozen=True)
class Shown:
    """Something that a report shows of both policies."""

    measure: str
    segment: str | None
    """What the users are parted by; None: of all users."""
    level: str | None
    """Which part."""
    logged: int
    """Its place among the sums."""
    target: int
    """Its place among the sums, self-normalised."""


@dataclass(frozen=True, eq=False)
class Collected:
    """What was summed up of a sample."""

    estimators: tuple[Estimator, ...]
    places: Mapping[str, int]
    """Where each named estimate is among the sums."""
    sums: Sums
    tally: Tally
    users: int
    per_day: float | None = None
    """Decisions a day, where times are known."""
    shown: tuple[Shown, ...] = ()
    held: Held = field(default_factory=dict)
    """What each item, variant and hour holds."""

    def __add__(self, other: Collected) -> Collected:
        return replace(
            self,
            sums=replace(self.sums, columns=self.sums.columns + other.sums.columns),
            tally=self.tally + other.tally,
            held=together(self.held, other.held),
        )


def choose(
    sample: Sample, estimators: Sequence[Estimator], spread: Spread = in_turn
) -> tuple[Estimator, ...]:
    """The estimators, with the numbers that SLOPE chooses on this sample; default: those that most
    readers need."""
    chosen = tuple(estimators) or default_estimators(sample)
    if not any(estimator.tuned for estimator in chosen):
        return chosen
    return tuple(spread(_resolved, sample, chosen))


def _resolved(sample: Sample, estimator: Estimator) -> Estimator:
    return estimator.resolved(sample)


def collect(
    sample: Sample,
    estimators: tuple[Estimator, ...],
    cluster: np.ndarray,
    clusters: int,
    measures_by_segment: bool = True,
) -> Collected:
    """Sum up a sample; cluster: (n,) int64 in 0 … clusters - 1, the same for a user's rows.

    measures_by_segment: whether segments show more than their reward."""
    named = _named(sample, estimators)
    terms = list(named.values())
    shown = []
    for measure, segment, level, pair in _shown(sample, measures_by_segment):
        shown.append(Shown(measure, segment, level, len(terms), len(terms) + 1))
        terms += pair
    return Collected(
        estimators,
        {name: place for place, name in enumerate(named)},
        sums_of(terms, cluster, clusters),
        tally(sample),
        clusters,
        sample.per_day,
        tuple(shown),
        held(sample),
    )


def _named(sample: Sample, estimators: tuple[Estimator, ...]) -> dict[str, Terms]:
    """Estimators, what they are compared with, and what is checked."""
    n = len(sample.reward)
    late = (np.arange(n) >= n / 2) if sample.late is None else sample.late
    second, first = late.astype(np.float64), (~late).astype(np.float64)
    named = {
        "logged": logged(sample),
        "weight": Terms(sample.weights),
        "ips": ips(sample),
        "reward first": Terms(sample.reward * first, first),
        "reward second": Terms(sample.reward * second, second),
        "weight first": Terms(sample.weights * first, first),
        "weight second": Terms(sample.weights * second, second),
    }
    for each in estimators:
        named[f"estimator {each.label}"] = each.terms(sample)
    if sample.has_model:
        named["dr"], named["gap"] = dr(sample), model_gap(sample)
    return named


def _shown(
    sample: Sample, by_segment: bool
) -> Iterator[tuple[str, str | None, str | None, tuple[Terms, Terms]]]:
    """Measures of all users, then reward and measures by segment."""
    for name, measure in sample.measures.items():
        yield name, None, None, _both(measure, sample.weights, None)
    everything = {REWARD: Measure(sample.reward), **(sample.measures if by_segment else {})}
    for segment, labels in sample.segments.items():
        for code, level in enumerate(labels.names):
            own = (labels.codes == code).astype(np.float64)
            for name, measure in everything.items():
                yield name, segment, level, _both(measure, sample.weights, own)


def _both(measure: Measure, weights: np.ndarray, own: np.ndarray | None) -> tuple[Terms, Terms]:
    """A measure under both policies, of some rows."""
    top, bottom = measure.top, measure.bottom
    if own is not None:
        top, bottom = top * own, own if bottom is None else bottom * own
    below = weights if bottom is None else weights * bottom
    return Terms(top, bottom), Terms(weights * top, below)
