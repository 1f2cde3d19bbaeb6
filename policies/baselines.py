"""Policies that need no training: what a learned policy has to beat."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from mdp.actions import HOURS
from mdp.observation import HOUR, USER, Observation
from mdp.prediction import PARTS
from policies.base import Policy
from policies.composition import Factors, split_mask

_VALUE, _HOUR_VALUE = PARTS.index("value"), HOUR.index("value")
_ACTIVITY = HOUR.index("activity")
_SINCE_SEND, _SEND_IN = USER.index("days_since_send"), HOUR.index("send_in_days")


def shape_of(observation: Observation) -> tuple[int, int, int]:
    """N, K, V of an observation."""
    N, K, V = observation["pairs"].shape[:3]
    return N, K, V


@dataclass(frozen=True, kw_only=True)
class Hold(Policy):
    """Never sends."""

    name: str = "hold"
    temperature: float | None = None
    kind: ClassVar[str] = "rule"

    def scores(self, observation: Observation) -> Factors:
        """Hold above all."""
        N, K, V = shape_of(observation)
        return Factors(np.ones(N), np.zeros((N, K, V)), np.zeros((N, HOURS)))


@dataclass(frozen=True, kw_only=True)
class Random(Policy):
    """Holds with a given probability, else any allowed send alike."""

    hold: float = 0.5
    """Probability of a hold, strictly between 0 and 1."""
    name: str = "random"
    temperature: float | None = 1.0
    kind: ClassVar[str] = "rule"

    def scores(self, observation: Observation) -> Factors:
        """Log-odds of a hold against the number of allowed sends."""
        N, K, V = shape_of(observation)
        sizes = [part.sum(1) for part in split_mask(observation["action_mask"], K)]
        sends = np.maximum(np.prod(sizes, axis=0), 1)
        odds = np.log(self.hold / (1.0 - self.hold))
        return Factors(odds + np.log(sends), np.zeros((N, K, V)), np.zeros((N, HOURS)))


@dataclass(frozen=True, kw_only=True)
class Greedy(Policy):
    """Sends what a response model predicts to be worth most now, if worth more than a threshold.

    The threshold stands for what a send costs later: fatigue, wear-out, a lost subscriber.
    """

    threshold: float = 0.0
    """Predicted one-step reward that a send must exceed, currency units."""
    name: str = "greedy"
    temperature: float | None = None
    kind: ClassVar[str] = "greedy"

    def scores(self, observation: Observation) -> Factors:
        """Predicted one-step rewards."""
        pair, hour = predicted(observation)
        return Factors(np.full(len(pair), self.threshold), pair, hour)


def predicted(observation: Observation) -> tuple[np.ndarray, np.ndarray]:
    """The model's one-step reward as scores: pairs (N, K, V) at the best hour, and what each hour
    (N, 24) falls short of it; float64."""
    pair = observation["pairs"][..., _VALUE].astype(np.float64)
    value = observation["hours"][..., _HOUR_VALUE].astype(np.float64)
    allowed = split_mask(observation["action_mask"], pair.shape[1])[2]
    top = np.where(allowed, value, -np.inf).max(1)
    return pair, value - np.where(np.isfinite(top), top, 0.0)[:, None]


@dataclass(frozen=True, kw_only=True)
class StaticRule(Policy):
    """The recommender's first allowed item with one variant at one hour, every n-th day: what a
    shop does by hand."""

    variant: int = 0
    """Slot of the variant."""
    hour: int = 19
    """Hour of the day on the user's clock."""
    every_days: float = 2.0
    """Days between two sends."""
    name: str = "static rule"
    temperature: float | None = None
    kind: ClassVar[str] = "rule"

    def scores(self, observation: Observation) -> Factors:
        """1 for each of variant and hour that is the rule's; due users send if both are."""
        N, K, V = shape_of(observation)
        pair = np.zeros((N, K, V)) - np.arange(K)[:, None] / (K + 1.0)
        pair[:, :, np.arange(V) == self.variant] += 1.0
        hour = np.zeros((N, HOURS))
        hour[:, self.hour] = 2.0
        since = np.expm1(observation["user"][:, _SINCE_SEND].astype(np.float64))
        until = observation["hours"][:, self.hour, _SEND_IN]
        due = since + until >= self.every_days - 0.05
        return Factors(np.where(due, 2.0, 9.0), pair, hour)


@dataclass(frozen=True, kw_only=True)
class Popular(Policy):
    """The recommender's first allowed item with the first allowed variant, at the hour at which the
    user has been most active, whenever a send is allowed: a shop's usual automation."""

    name: str = "popular"
    temperature: float | None = None
    kind: ClassVar[str] = "rule"

    def scores(self, observation: Observation) -> Factors:
        """Slots in order, hours by the user's activity; any send above a hold."""
        N, K, V = shape_of(observation)
        pair = -np.arange(K * V, dtype=np.float64).reshape(K, V) / (K * V + 1.0)
        hour = observation["hours"][..., _ACTIVITY].astype(np.float64)
        return Factors(np.full(N, -2.0), np.broadcast_to(pair, (N, K, V)), hour)


@dataclass(frozen=True, kw_only=True)
class Table(Policy):
    """Sends with a fixed probability, then draws item rank, variant and hour by weights, as many
    shops' rules do; weights are renormalised over what is allowed."""

    send: float = 0.5
    """Probability of a send where one is allowed, between 0 and 1."""
    items: np.ndarray = field(default_factory=lambda: np.ones(1))
    """Weight of each item slot (K,); slots past the end weigh as the last one."""
    variants: np.ndarray = field(default_factory=lambda: np.ones(1))
    """Weight of each variant slot (V,); slots past the end weigh as the last one."""
    hours: np.ndarray = field(default_factory=lambda: np.ones(HOURS))
    """Weight of each hour (24,)."""
    name: str = "logging"
    temperature: float | None = 1.0
    kind: ClassVar[str] = "table"

    def scores(self, observation: Observation) -> Factors:
        """Log weights; hold's score makes the odds of a send come out."""
        N, K, V = shape_of(observation)
        item, variant = _log_weights(self.items, K), _log_weights(self.variants, V)
        pair = np.broadcast_to(item[:, None] + variant[None, :], (N, K, V))
        hour = np.broadcast_to(_log_weights(self.hours, HOURS), (N, HOURS))
        allowed = split_mask(observation["action_mask"], K)
        weights = (np.exp(item), np.exp(variant), np.exp(hour[0]))
        total = [(mask * w).sum(1) for mask, w in zip(allowed, weights, strict=True)]
        with np.errstate(divide="ignore"):
            odds = np.clip(np.log(1.0 - self.send) - np.log(self.send), -1e4, 1e4)
        hold = odds + sum(np.log(np.maximum(part, 1e-300)) for part in total)
        return Factors(hold, pair, hour)


def _log_weights(weights: np.ndarray, size: int) -> np.ndarray:
    """Log of weights for `size` slots (size,) float64; a weight of 0 is a tiny one."""
    weights = np.asarray(weights, np.float64)
    rows = np.minimum(np.arange(size), len(weights) - 1)
    return np.log(np.maximum(weights[rows], 1e-300))
