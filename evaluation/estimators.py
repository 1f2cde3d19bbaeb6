"""Off-policy estimators: what a target policy would earn per decision, from another one's log.

Notation: row i has reward r, propensity p of the logged action under the logging policy, π under
the target policy, weight w = π / p, and where there is a reward model, q = its expected reward of
the logged action and v = Σ_a π(a) q(a). Every estimator is a ratio of two sums over rows (`sndr` is
two such ratios added up), which is what intervals need; each function returns the rows' terms.

All assume that p is the true propensity, that rewards of a row depend on that row's action only,
and (but for `dm`) that every action which the target may take could have been logged. Definitions
are those of obp 0.5.7 (Saito et al. 2021, "Open Bandit Dataset and Pipeline").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evaluation.sample import Sample
from mdp.errors import BadSetting


@dataclass(frozen=True, eq=False)
class Terms:
    """What every row adds to an estimate, Σ top / Σ bottom + mean of offset."""

    top: np.ndarray
    """(n,) float64"""
    bottom: np.ndarray | None = None
    """(n,) float64; None: 1 each"""
    offset: np.ndarray | None = None
    """(n,) float64; None: 0 each"""

    @property
    def value(self) -> float:
        """The estimate; NaN where there is nothing to divide by."""
        total = float(len(self.top)) if self.bottom is None else float(self.bottom.sum())
        ratio = float(self.top.sum()) / total if total > 0 else float("nan")
        return ratio if self.offset is None else ratio + float(self.offset.mean())


Shrink = Callable[[np.ndarray, float], np.ndarray]


def clip(weights: np.ndarray, largest: float) -> np.ndarray:
    """min(w, c). Ionides (2008), "Truncated importance sampling"."""
    return np.minimum(weights, largest)


def switch(weights: np.ndarray, threshold: float) -> np.ndarray:
    """w where it is at most τ, else 0: the model alone speaks there. Wang, Agarwal & Dudík (2017),
    "Optimal and adaptive off-policy evaluation in contextual bandits"."""
    return np.where(weights <= threshold, weights, 0.0)


def optimistic(weights: np.ndarray, strength: float) -> np.ndarray:
    """λ w / (w² + λ). Su et al. (2020), "Doubly robust off-policy evaluation with shrinkage"."""
    if np.isinf(strength):
        return weights
    return strength * weights / (weights * weights + strength)


def subgaussian(weights: np.ndarray, strength: float) -> np.ndarray:
    """w / (1 - λ + λ w), λ from 0 to 1. Metelli, Russo & Restelli (2021), "Subgaussian and
    differentiable importance sampling for off-policy evaluation and learning"."""
    return weights / (1.0 - strength + strength * weights)


def logged(sample: Sample) -> Terms:
    """The logging policy's own mean reward, (1/n) Σ r: what the target is compared with."""
    return Terms(sample.reward)


def ips(sample: Sample, weights: np.ndarray | None = None) -> Terms:
    """Inverse propensity scoring, (1/n) Σ w r; of other weights (n,) where they are given.

    Unbiased, with a variance that grows with the weights. Horvitz & Thompson (1952), "A
    generalization of sampling without replacement from a finite universe".
    """
    return Terms((sample.weights if weights is None else weights) * sample.reward)


def snips(sample: Sample, weights: np.ndarray | None = None) -> Terms:
    """Self-normalised inverse propensity scoring, Σ w r / Σ w.

    Its bias vanishes as 1/n; stays within the rewards' range and is unmoved by a constant added
    to them. Swaminathan & Joachims (2015), "The self-normalized estimator for counterfactual
    learning".
    """
    weights = sample.weights if weights is None else weights
    return Terms(weights * sample.reward, weights)


def dm(sample: Sample) -> Terms:
    """Direct method, (1/n) Σ v: what the reward model says, unchecked by the rewards.

    Needs `v_target`. As biased as the model is; no propensities enter.
    """
    return Terms(predictions(sample, "dm")[1])


def dr(sample: Sample, weights: np.ndarray | None = None) -> Terms:
    """Doubly robust, (1/n) Σ v + w (r - q); with shrunken weights (n,) where they are given.

    Needs `q_logged` and `v_target`. Unbiased with true propensities whatever the model, and less
    variable than IPS where the model predicts the rewards. Dudík, Langford & Li (2011), "Doubly
    robust policy evaluation and learning".
    """
    q, v = predictions(sample, "dr")
    return Terms(v + (sample.weights if weights is None else weights) * (sample.reward - q))


def sndr(sample: Sample) -> Terms:
    """Self-normalised doubly robust, (1/n) Σ v + Σ w (r - q) / Σ w. Thomas & Brunskill (2016),
    "Data-efficient off-policy policy evaluation for reinforcement learning"."""
    q, v = predictions(sample, "sndr")
    return Terms(sample.weights * (sample.reward - q), sample.weights, v)


def mips(sample: Sample) -> Terms:
    """Marginalised inverse propensity scoring, (1/n) Σ w(e) r, over features e of the action.

    Needs `features` or `marginal_weight`. Unbiased where the action matters to the reward through
    e only. Saito & Joachims (2022), "Off-policy evaluation for large action spaces via embeddings".
    """
    return ips(sample, _marginal(sample, "mips"))


def snmips(sample: Sample) -> Terms:
    """Self-normalised `mips`, Σ w(e) r / Σ w(e), with the same joint weight over all features."""
    return snips(sample, _marginal(sample, "snmips"))


def model_gap(sample: Sample) -> Terms:
    """What `dr` adds to `ips`, (1/n) Σ v - w q: a mean of 0 where v is q's mean under the target
    policy and the weights are right. Needs `q_logged` and `v_target`."""
    q, v = predictions(sample, "dr")
    return Terms(v - sample.weights * q)


def predictions(sample: Sample, name: str) -> tuple[np.ndarray, np.ndarray]:
    """q of the logged action and v under the target (n,) float64 each; raises `BadSetting`, naming
    the estimator, where the sample lacks them."""
    if sample.q_logged is None or sample.v_target is None:
        raise BadSetting(
            f"estimator {name} needs a reward model's predictions, and the table lacks q_logged or "
            f"v_target: add both columns or leave {name} out of --estimators"
        )
    return sample.q_logged, sample.v_target


def _marginal(sample: Sample, name: str) -> np.ndarray:
    if sample.marginal is None:
        raise BadSetting(
            f"estimator {name} needs features of the actions, and the table has none: add columns "
            f"item, variant or hour (or marginal_weight), or leave {name} out of --estimators"
        )
    return sample.marginal
