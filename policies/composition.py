"""From factor scores to a decision: masking, softmax, exploration, and exact propensities.

A send's score is `pair[k, v] + hour[h]`, so a softmax over all 1 + K·V·24 actions factorises:
its normaliser is exp(hold) + Σ exp(pair) · Σ exp(hour). Nothing here builds the flat actions but
`flat_probabilities`, which tests and small batches use.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdp.actions import HOURS, checked, encode
from mdp.errors import BadArtifact
from policies.composing import (
    REDRAWN_SHARE,
    draw_base,
    explore,
    mask_scores,
    mix,
    scale_scores,
    share_out,
    weigh_base,
)

UNIFORMS = 5
"""Random numbers that a decision takes."""


@dataclass(frozen=True)
class Factors:
    """Scores of N decisions, float64; what is masked may have any finite score."""

    hold: np.ndarray
    """(N,)"""
    pair: np.ndarray
    """(N, K, V)"""
    hour: np.ndarray
    """(N, 24)"""


@dataclass(frozen=True)
class Masked:
    """Scores with -inf where masked, and the best send of each decision."""

    hold: np.ndarray
    """(N,)"""
    pair: np.ndarray
    """(N, K·V)"""
    hour: np.ndarray
    """(N, 24)"""
    mask: np.ndarray
    """Allowed items, variants and hours (N, K + V + 24) bool."""
    items: int
    """K"""
    sendable: np.ndarray
    """Whether any send is allowed (N,) bool."""
    best: np.ndarray
    """Item, variant and hour of the best send (3, N) int64; 0 where no send is allowed."""

    @property
    def allowed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Allowed items (N, K), variants (N, V) and hours (N, 24), bool."""
        return split_mask(self.mask, self.items)


def split_mask(action_mask: np.ndarray, K: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Allowed items (N, K), variants (N, V), hours (N, 24) of an `action_mask` (N, K + V + 24)."""
    allowed = action_mask.astype(bool)
    return allowed[:, :K], allowed[:, K:-HOURS], allowed[:, -HOURS:]


def masked(factors: Factors, action_mask: np.ndarray) -> Masked:
    """Apply the mask (N, K + V + 24) to scores; raises `BadArtifact` where they are not finite."""
    N, K, V = factors.pair.shape
    scores = factors.hold, factors.pair, factors.hour
    hold, pair, hour = (np.array(part, np.float64, order="C") for part in scores)
    parts = Masked(
        hold,
        pair.reshape(N, K * V),
        hour,
        np.array(action_mask, np.bool_, order="C"),
        K,
        np.empty(N, np.bool_),
        np.empty((3, N), np.int64),
    )
    wrong = mask_scores(
        parts.hold, parts.pair, parts.hour, parts.mask, K, parts.sendable, parts.best
    )
    if wrong:
        raise BadArtifact(
            f"a policy gives {('hold', 'pair', 'hour')[wrong - 1]} scores that are not finite, so "
            "no propensity is known: train it again"
        )
    return parts


@dataclass(frozen=True)
class Distribution:
    """π of N decisions as its parts: hold or send, then a pair and an hour independently, mixed
    with exploration. All float64."""

    send: np.ndarray
    """Probability that the base sends (N,)."""
    pair: np.ndarray
    """Base's pair, given a send (N, K·V)."""
    hour: np.ndarray
    """Base's hour, given a send (N, 24)."""
    floor: float
    """Share of the exploration mixture."""
    masked: Masked

    @property
    def _counts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        item, variant, hour = (np.maximum(part.sum(1), 1) for part in self.masked.allowed)
        return item, variant, hour

    def probability(self, actions: np.ndarray) -> np.ndarray:
        """Exact probabilities (N,) of flat actions (N,); 0 for a masked one."""
        parts, actions = self.masked, np.array(actions, np.int64)
        checked(actions, parts.items, parts.allowed[1].shape[1])
        out = self._base(actions)
        base = self.send, out
        mix(actions, self.floor, base, parts.mask, parts.items, parts.sendable, parts.best, out)
        return out

    def expectation(self, values: np.ndarray) -> np.ndarray:
        """Mean (N,) float64 under π of a number for every send (N, K, V, 24); a hold's is 0."""
        N, K, V, _ = values.shape
        item, variant, hour = self.masked.allowed
        if not K or not V:
            return np.zeros(N)
        legal = item[:, :, None, None] & variant[:, None, :, None] & hour[:, None, None, :]
        values = np.where(legal, values, 0.0)
        base = self._base_expectation(values)
        items, variants, hours = self._counts
        rows, (k, v, h) = np.arange(N), self.masked.best
        explore = REDRAWN_SHARE * (
            values[rows, :, v, h].sum(1) / items
            + values[rows, k, :, h].sum(1) / variants
            + values[rows, k, v].sum(1) / hours
            + values.sum((1, 2, 3)) / (items * variants * hours)
        )
        mixed = (1 - self.floor) * base + self.floor * explore
        return np.where(self.masked.sendable, mixed, 0.0)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Flat actions (N,) int64. Takes `UNIFORMS` numbers a decision, whatever is drawn."""
        return self.drawn(rng.random((len(self.send), UNIFORMS)))

    def drawn(self, u: np.ndarray) -> np.ndarray:
        """Flat actions (N,) int64 by uniform numbers (N, `UNIFORMS`) from [0, 1)."""
        parts, u = self.masked, np.array(u, np.float64, order="C")
        out = np.zeros(len(u), np.int64)
        if self.pair.shape[1]:
            base = self._base_drawn(u)
            explore(u, self.floor, base, parts.mask, parts.items, parts.sendable, parts.best, out)
        return out

    def _base(self, actions: np.ndarray) -> np.ndarray:
        """Base's probability (N,) of flat actions (N,); a hold's is any."""
        out = np.empty(len(actions))
        weigh_base(self.send, self.pair, self.hour, actions, out)
        return out

    def _base_expectation(self, values: np.ndarray) -> np.ndarray:
        """Mean (N,) under the base of a number for every send (N, K, V, 24)."""
        pair = self.pair.reshape(values.shape[:3])
        return self.send * np.einsum("nkvh,nkv,nh->n", values, pair, self.hour, optimize=True)

    def _base_drawn(self, u: np.ndarray) -> np.ndarray:
        """Flat actions (N,) that the base draws."""
        out = np.empty(len(u), np.int64)
        draw_base(self.send, self.pair, self.hour, u, out)
        return out


def _softmax(parts: Masked, temperature: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of pairs (N, K·V) and hours (N, 24), given a send, and of any send (N,)."""
    N, pairs = parts.pair.shape
    powers, top, less = np.empty((N, pairs + HOURS)), np.empty((2, N)), np.empty(N)
    scale_scores(parts.pair, parts.hour, temperature, powers, top)
    np.exp(powers, powers)
    total = np.empty((2, N))
    powers[:, :pairs].sum(1, out=total[0])
    powers[:, pairs:].sum(1, out=total[1])
    log_sum = top + np.log(np.maximum(total, 1e-300))
    pair, hour = np.empty((N, pairs)), np.empty((N, HOURS))
    hold = parts.hold / temperature
    share_out(powers, total, log_sum, hold, parts.sendable, pair, hour, less)
    return pair, hour, 1.0 / (1.0 + np.exp(less))


def distribution(
    factors: Factors, action_mask: np.ndarray, temperature: float | None, floor: float
) -> Distribution:
    """π = (1 - floor) · base + floor · explore.

    temperature: of the base's softmax; None for a base that takes the best action, ties to hold.
    """
    parts = masked(factors, action_mask)
    N, pairs = parts.pair.shape
    if temperature is None:
        pair, hour = np.zeros((N, pairs)), np.zeros((N, HOURS))
        if pairs:
            rows = np.arange(N)
            best_pair = parts.pair.argmax(1)
            pair[rows, best_pair] = hour[rows, parts.best[2]] = 1.0
            score = parts.pair[rows, best_pair] + parts.hour[rows, parts.best[2]]
            send = (parts.sendable & (score > parts.hold)).astype(np.float64)
        else:
            send = np.zeros(N)
    else:
        pair, hour, send = _softmax(parts, temperature)
    return Distribution(send, pair, hour, floor, parts)


def best(factors: Factors, action_mask: np.ndarray) -> np.ndarray:
    """Flat actions (N,) int64 with the highest score among those allowed."""
    greedy = distribution(factors, action_mask, None, 0.0)
    k, v, h = greedy.masked.best
    return encode(np.where(greedy.send > 0, k, -1), v, h, factors.pair.shape[2])


def flat_probabilities(parts: Distribution) -> np.ndarray:
    """All probabilities (N, 1 + K·V·24) float64, which sum to 1."""
    (N, K), V = parts.masked.allowed[0].shape, parts.masked.allowed[1].shape[1]
    size = 1 + K * V * HOURS
    columns = [parts.probability(np.full(N, action)) for action in range(size)]
    return np.stack(columns, 1)
