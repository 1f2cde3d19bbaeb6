"""Linear bandits: a linear model of a send's reward, and what its uncertainty is good for.

    reward of send (k, v, h) = θ · [1, user, candidate k, variant v, pair (k, v), hour h],   hold: 0

over the features of the observation, standardised. The sum splits into a part of the pair and one
of the hour, so both bandits score factors as every other policy does. They look one step ahead:
what a send costs later is not in their reward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mdp.actions import HOLD, HOURS, decode
from mdp.observation import CANDIDATE, HOUR, USER, VARIANT, Observation
from mdp.prediction import PARTS
from policies.base import Policy
from policies.baselines import shape_of
from policies.composition import Distribution, Factors, Masked, masked, split_mask

SIZES = (1, len(USER), len(CANDIDATE), len(VARIANT), len(PARTS), len(HOUR))
"""Numbers of features in the order in which θ weighs them; the first is the constant."""
OF_PAIR, FEATURES = sum(SIZES[:-1]), sum(SIZES)
_VALUE = HOUR.index("value")
_CLIP = 8.0
_TOGETHER = 128
"""Decisions that all draws of θ score at a time."""


def pair_features(observation: Observation) -> np.ndarray:
    """Raw features of each pair (N, K, V, `OF_PAIR`) float64, the constant first."""
    N, K, V = shape_of(observation)
    parts = (
        np.ones((N, 1, 1, 1)),
        observation["user"][:, None, None, :],
        observation["candidates"][:, :, None, :],
        observation["variants"][:, None, :, :],
        observation["pairs"],
    )
    out = [np.broadcast_to(part, (N, K, V, part.shape[-1])) for part in parts]
    return np.concatenate(out, -1).astype(np.float64)


def hour_features(observation: Observation) -> np.ndarray:
    """Raw features of each hour (N, 24, H) float64: the observation's, but what a model predicts
    is counted from the best allowed hour, which is the one that pairs are predicted at."""
    out = observation["hours"].astype(np.float64)
    allowed = split_mask(observation["action_mask"], observation["candidates"].shape[1])[2]
    top = np.where(allowed, out[..., _VALUE], -np.inf).max(1, keepdims=True)
    out[..., _VALUE] -= np.where(np.isfinite(top), top, 0.0)
    return out


@dataclass(frozen=True, kw_only=True)
class Linear(Policy):
    """A linear model of a send's reward with a normal posterior; subclasses say what to do."""

    center: np.ndarray
    """Of the features (`FEATURES`,) float64; the constant's is 0."""
    scale: np.ndarray
    """Likewise; the constant's is 1."""
    mean: np.ndarray
    """Posterior mean of θ (`FEATURES`,) float64, currency units."""
    temperature: float | None = None
    kind: ClassVar[str] = "linear"

    def standardised(self, observation: Observation) -> tuple[np.ndarray, np.ndarray]:
        """Features of pairs (N, K·V, `OF_PAIR`) and of hours (N, 24, H), as θ weighs them."""
        pair, hour = pair_features(observation), hour_features(observation)
        pair = (pair - self.center[:OF_PAIR]) / self.scale[:OF_PAIR]
        hour = (hour - self.center[OF_PAIR:]) / self.scale[OF_PAIR:]
        N, K, V, _ = pair.shape
        return pair.clip(-_CLIP, _CLIP).reshape(N, K * V, OF_PAIR), hour.clip(-_CLIP, _CLIP)

    def scores(self, observation: Observation) -> Factors:
        """Mean rewards."""
        N, K, V = shape_of(observation)
        pair, hour = self.standardised(observation)
        return Factors(
            np.zeros(N),
            (pair @ self.mean[:OF_PAIR]).reshape(N, K, V),
            hour @ self.mean[OF_PAIR:],
        )


@dataclass(frozen=True, kw_only=True)
class LinearUCB(Linear):
    """LinUCB: the mean plus `alpha` standard deviations. A send's deviation is taken as that of
    its pair plus that of its hour, which is never less than that of both together, so the bound
    holds. L. Li, W. Chu, J. Langford, R. Schapire, A Contextual-Bandit Approach to Personalized
    News Article Recommendation, 2010."""

    covariance: np.ndarray
    """Posterior covariance of θ (`FEATURES`, `FEATURES`) float64."""
    alpha: float = 1.0
    """Standard deviations added; below 0 it is a lower bound, which doubts what the log seldom
    tried."""
    name: str = "linucb"

    def scores(self, observation: Observation) -> Factors:
        """Upper confidence bounds."""
        mean = super().scores(observation)
        pair, hour = self.standardised(observation)
        of_pair = _deviation(pair, self.covariance[:OF_PAIR, :OF_PAIR])
        of_hour = _deviation(hour, self.covariance[OF_PAIR:, OF_PAIR:])
        return Factors(
            mean.hold,
            mean.pair + self.alpha * of_pair.reshape(mean.pair.shape),
            mean.hour + self.alpha * of_hour,
        )


def _deviation(features: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Standard deviations (N, M) of a linear form's values at features (N, M, F)."""
    return np.sqrt(np.maximum(((features @ covariance) * features).sum(-1), 0.0))


@dataclass(frozen=True, kw_only=True)
class LinearThompson(Linear):
    """Linear Thompson sampling from a fixed table of draws of θ, any of which decides with the
    same probability: what an action's propensity is can be counted. S. Agrawal, N. Goyal, Thompson
    Sampling for Contextual Bandits with Linear Payoffs, 2013."""

    table: np.ndarray
    """Draws of θ from its posterior (M, `FEATURES`) float64."""
    name: str = "thompson"

    def distribution_of(self, factors: Factors, observation: Observation) -> Distribution:
        """The draws' votes, mixed with exploration around the mean's best send."""
        parts = masked(factors, observation["action_mask"])
        starts = range(0, len(parts.sendable), _TOGETHER)
        votes = np.concatenate(
            [self._votes(_rows(observation, start)) for start in starts]
            or [np.zeros((0, len(self.table)), np.int64)]
        )
        return Votes.of(parts, votes, self.floor)

    def _votes(self, observation: Observation) -> np.ndarray:
        """Each draw's best flat action (N, M) int64; ties to hold."""
        N, K, V = shape_of(observation)
        draws = len(self.table)
        if not N or not K or not V:
            return np.zeros((N, draws), np.int64)
        item, variant, allowed = split_mask(observation["action_mask"], K)
        legal = (item[:, :, None] & variant[:, None, :]).reshape(N, K * V)
        pair, hour = self.standardised(observation)
        pairs = np.where(legal[..., None], pair @ self.table[:, :OF_PAIR].T, -np.inf)
        hours = np.where(allowed[..., None], hour @ self.table[:, OF_PAIR:].T, -np.inf)
        best, when = pairs.argmax(1), hours.argmax(1)
        return np.where(pairs.max(1) + hours.max(1) > 0.0, 1 + best * HOURS + when, HOLD)


def _rows(observation: Observation, start: int) -> Observation:
    """`_TOGETHER` decisions of an observation."""
    return {name: array[start : start + _TOGETHER] for name, array in observation.items()}


@dataclass(frozen=True)
class Votes(Distribution):
    """π of N decisions whose base is one of M flat actions, each as likely as the others."""

    votes: np.ndarray
    """(N, M) int64"""

    @classmethod
    def of(cls, parts: Masked, votes: np.ndarray, floor: float) -> Votes:
        """The distribution of votes (N, M) int64 among what is allowed."""
        # Marginals, for those who look; what the votes say together is in `votes`.
        sends = np.maximum((votes != HOLD).sum(1), 1)[:, None]
        N, pairs = parts.pair.shape
        pair, hour = np.zeros((N, pairs)), np.zeros((N, HOURS))
        row, draw = np.nonzero(votes != HOLD)
        place = votes[row, draw] - 1
        np.add.at(pair, (row, place // HOURS), 1.0)
        np.add.at(hour, (row, place % HOURS), 1.0)
        send = (votes != HOLD).mean(1)
        return cls(send, pair / sends, hour / sends, floor, parts, votes)

    def _base(self, actions: np.ndarray) -> np.ndarray:
        return (self.votes == actions[:, None]).mean(1)

    def _base_expectation(self, values: np.ndarray) -> np.ndarray:
        flat = np.concatenate([np.zeros((len(values), 1)), values.reshape(len(values), -1)], 1)
        return np.take_along_axis(flat, self.votes, 1).mean(1)

    def _base_drawn(self, u: np.ndarray) -> np.ndarray:
        draws = self.votes.shape[1]
        draw = np.minimum((u[:, 1] * draws).astype(np.int64), draws - 1)
        return self.votes[np.arange(len(u)), draw]


def sent_features(observation: Observation, actions: np.ndarray) -> np.ndarray:
    """Raw features (N, `FEATURES`) float64 of sends, as flat actions (N,), none of them a hold."""
    _, K, V = shape_of(observation)
    k, v, h = decode(actions, K, V)
    rows = np.arange(len(actions))
    parts = (
        np.ones((len(rows), 1)),
        observation["user"],
        observation["candidates"][rows, k],
        observation["variants"][rows, v],
        observation["pairs"][rows, k, v],
        hour_features(observation)[rows, h],
    )
    return np.concatenate(parts, 1).astype(np.float64)
