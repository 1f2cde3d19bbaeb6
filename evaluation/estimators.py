"""Off-policy estimators: what a target policy would earn per decision, from another one's log.

Notation: row i has reward r, propensity p of the logged action under the logging policy, π under
the target policy, weight w = π / p, and where there is a reward model, q = its expected reward of
the logged action and v = Σ_a π(a) q(a). Every estimator is a ratio of two sums over rows, which is
what the bootstrap resamples; each function here returns the two terms of every row.

All assume that p is the true propensity, that rewards of a row depend on that row's action only,
and (but for `dm`) that every action which the target may take could have been logged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.sample import Sample
from mdp.errors import BadSetting

Terms = tuple[np.ndarray, np.ndarray]
"""Numerator and denominator of every row, (n,) float64 each; the estimate is sum over sum."""


def logged(sample: Sample) -> Terms:
    """The logging policy's own mean reward, (1/n) Σ r: what the target is compared with."""
    return sample.reward, np.ones_like(sample.reward)


def ips(sample: Sample) -> Terms:
    """Inverse propensity scoring, (1/n) Σ w r.

    Unbiased, with a variance that grows with the weights. Horvitz & Thompson (1952), "A
    generalization of sampling without replacement from a finite universe".
    """
    return sample.weights * sample.reward, np.ones_like(sample.reward)


def snips(sample: Sample) -> Terms:
    """Self-normalised inverse propensity scoring, Σ w r / Σ w.

    Its bias vanishes as 1/n; stays within the rewards' range and is unmoved by a constant added
    to them. Swaminathan & Joachims (2015), "The self-normalized estimator for counterfactual
    learning".
    """
    return sample.weights * sample.reward, sample.weights


def clipped(sample: Sample, largest: float) -> Terms:
    """IPS with weights clipped from above, (1/n) Σ min(w, c) r.

    Less variance for a bias: where rewards are not negative, it is too low by what was clipped.
    Ionides (2008), "Truncated importance sampling".
    """
    return np.minimum(sample.weights, largest) * sample.reward, np.ones_like(sample.reward)


def dm(sample: Sample) -> Terms:
    """Direct method, (1/n) Σ v: what the reward model says, unchecked by the rewards.

    Needs `v_target`. As biased as the model is; no propensities enter.
    """
    _, v = _predictions(sample, "dm")
    return v, np.ones_like(v)


def dr(sample: Sample) -> Terms:
    """Doubly robust, (1/n) Σ v + w (r - q).

    Needs `q_logged` and `v_target`. Unbiased with true propensities whatever the model, and less
    variable than IPS where the model predicts the rewards. Dudík, Langford & Li (2011), "Doubly
    robust policy evaluation and learning".
    """
    q, v = _predictions(sample, "dr")
    return v + sample.weights * (sample.reward - q), np.ones_like(v)


def model_gap(sample: Sample) -> Terms:
    """What `dr` adds to `ips`, (1/n) Σ v - w q: a mean of 0 where v is q's mean under the target
    policy and the weights are right. Needs `q_logged` and `v_target`."""
    q, v = _predictions(sample, "dr")
    return v - sample.weights * q, np.ones_like(v)


def _predictions(sample: Sample, name: str) -> Terms:
    if sample.q_logged is None or sample.v_target is None:
        raise BadSetting(
            f"estimator {name} needs a reward model's predictions, and the table lacks q_logged or "
            f"v_target: add both columns or leave {name} out of --estimators"
        )
    return sample.q_logged, sample.v_target


PLAIN: dict[str, Callable[[Sample], Terms]] = {"ips": ips, "snips": snips, "dm": dm, "dr": dr}
PARAMETRIC: dict[str, Callable[[Sample, float], Terms]] = {"clipped": clipped}
WITHOUT_MODEL = "ips,snips,clipped:10"
WITH_MODEL = "ips,snips,clipped:10,dm,dr"


@dataclass(frozen=True)
class Estimator:
    """An estimator by name, with its parameter where it has one."""

    label: str
    """As it was asked for, and as results name it."""
    name: str
    """ips, snips, clipped, dm or dr"""
    parameter: float | None = None
    """Of `clipped`: the largest weight, above 0."""

    def terms(self, sample: Sample) -> Terms:
        """Numerator and denominator of every row."""
        if self.parameter is None:
            return PLAIN[self.name](sample)
        return PARAMETRIC[self.name](sample, self.parameter)


def parse(specification: str) -> tuple[Estimator, ...]:
    """The estimators of a text such as `ips,snips,clipped:10`, in either case; raises
    `BadSetting`."""
    found: list[Estimator] = []
    for text in (part.strip() for part in specification.split(",")):
        estimator = _parse_one(text)
        if estimator not in found:
            found.append(estimator)
    return tuple(found)


def _parse_one(text: str) -> Estimator:
    name, colon, parameter = text.lower().partition(":")
    if name in PLAIN and not colon:
        return Estimator(text, name)
    if name not in PARAMETRIC:
        known = ", ".join([*PLAIN, *(f"{name}:NUMBER" for name in PARAMETRIC)])
        raise BadSetting(f"there is no estimator {text!r}: use {known}")
    try:
        value = float(parameter)
    except ValueError:
        value = np.nan
    if not (np.isfinite(value) and value > 0):
        raise BadSetting(f"estimator {text!r} needs a number above 0, such as {name}:10")
    return Estimator(text, name, value)


def default_estimators(sample: Sample) -> Sequence[Estimator]:
    """All that the sample has the columns for."""
    return parse(WITH_MODEL if sample.has_model else WITHOUT_MODEL)
