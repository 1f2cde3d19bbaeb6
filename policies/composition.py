"""From factor scores to a decision: masking, softmax, exploration, and exact propensities.

A send's score is `pair[k, v] + hour[h]`, so a softmax over all 1 + K·V·24 actions factorises:
its normaliser is exp(hold) + Σ exp(pair) · Σ exp(hour). Nothing here builds the flat actions but
`flat_probabilities`, which tests and small batches use.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdp.actions import HOLD, HOURS, decode, encode
from mdp.errors import BadArtifact

HOLD_SHARE, REDRAWN_SHARE = 0.5, 0.125
"""Of the exploration mixture: hold; and each of item, variant, hour redrawn, and any send."""
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
    allowed: tuple[np.ndarray, np.ndarray, np.ndarray]
    """Allowed items (N, K), variants (N, V) and hours (N, 24), bool."""
    sendable: np.ndarray
    """Whether any send is allowed (N,) bool."""
    best: tuple[np.ndarray, np.ndarray, np.ndarray]
    """Item, variant and hour of the best send (N,) int64; 0 where no send is allowed."""


def split_mask(action_mask: np.ndarray, K: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Allowed items (N, K), variants (N, V), hours (N, 24) of an `action_mask` (N, K + V + 24)."""
    allowed = action_mask.astype(bool)
    return allowed[:, :K], allowed[:, K:-HOURS], allowed[:, -HOURS:]


def masked(factors: Factors, action_mask: np.ndarray) -> Masked:
    """Apply the mask (N, K + V + 24) to scores; raises `BadArtifact` where they are not finite."""
    N, K, V = factors.pair.shape
    for name in ("hold", "pair", "hour"):
        if not np.isfinite(getattr(factors, name)).all():
            raise BadArtifact(
                f"a policy gives {name} scores that are not finite, so no propensity is known: "
                "train it again"
            )
    item, variant, hour = split_mask(action_mask, K)
    pairs = (item[:, :, None] & variant[:, None, :]).reshape(N, K * V)
    pair = np.where(pairs, factors.pair.reshape(N, K * V), -np.inf)
    hours = np.where(hour, factors.hour, -np.inf)
    best_pair = pair.argmax(1) if K * V else np.zeros(N, np.int64)
    return Masked(
        hold=factors.hold,
        pair=pair,
        hour=hours,
        allowed=(item, variant, hour),
        sendable=pairs.any(1) & hour.any(1),
        best=(best_pair // max(V, 1), best_pair % max(V, 1), hours.argmax(1)),
    )


def _softmax(scores: np.ndarray, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, M) and log-sum-exp (N,); rows of -inf give zeros and -inf."""
    if not scores.shape[1]:
        return scores.copy(), np.full(len(scores), -np.inf)
    scaled = scores / temperature
    top = scaled.max(1)
    finite = np.where(np.isfinite(top), top, 0.0)
    powers = np.exp(scaled - finite[:, None])
    total = powers.sum(1)
    with np.errstate(divide="ignore"):
        return powers / np.where(total > 0, total, 1.0)[:, None], finite + np.log(total)


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
        N, K = self.masked.allowed[0].shape
        V = self.masked.allowed[1].shape[1]
        k, v, h = decode(actions, K, V)
        rows, sent = np.arange(N), actions != HOLD
        can = self.masked.sendable
        base_hold = np.where(can, 1.0 - self.send, 1.0)
        hold = (1 - self.floor) * base_hold + self.floor * np.where(can, HOLD_SHARE, 1.0)
        if not K or not V:
            return np.where(sent, 0.0, hold)
        k, v, h = np.maximum(k, 0), np.maximum(v, 0), np.maximum(h, 0)
        item, variant, hour = self.masked.allowed
        legal = item[rows, k] & variant[rows, v] & hour[rows, h]
        base = self._base(k * V + v, h)
        items, variants, hours = self._counts
        same = [own == best for own, best in zip((k, v, h), self.masked.best, strict=True)]
        explore = REDRAWN_SHARE * (
            (same[1] & same[2]) / items
            + (same[0] & same[2]) / variants
            + (same[0] & same[1]) / hours
            + 1.0 / (items * variants * hours)
        )
        send = (1 - self.floor) * base + self.floor * explore
        return np.where(sent, np.where(can & legal, send, 0.0), hold)

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
        item, variant, _ = self.masked.allowed
        N, K, V = len(item), item.shape[1], variant.shape[1]
        if not K or not V:
            return np.zeros(N, np.int64)
        exploring = u[:, 0] < self.floor
        sends, pair, h = self._base_drawn(u)
        chosen = pair // V, pair % V, h
        if exploring.any():
            self._redraw(chosen, np.flatnonzero(exploring), u)
        sends = np.where(exploring, u[:, 1] >= HOLD_SHARE, sends) & self.masked.sendable
        return encode(np.where(sends, chosen[0], -1), *chosen[1:], V)

    def _redraw(self, chosen: tuple[np.ndarray, ...], rows: np.ndarray, u: np.ndarray) -> None:
        """Put what exploration sends into the items, variants and hours (N,) of decisions `rows`:
        the best ones, with a factor or all of them drawn afresh."""
        # The second number, past the half that holds, says which factor is redrawn.
        branch = np.floor((u[rows, 1] - HOLD_SHARE) / REDRAWN_SHARE).astype(np.int64)
        for slot, (allowed, best) in enumerate(
            zip(self.masked.allowed, self.masked.best, strict=True)
        ):
            redrawn = _pick(allowed[rows].astype(np.float64), u[rows, 2 + slot])
            afresh = (branch == slot) | (branch >= 3)
            chosen[slot][rows] = np.where(afresh, redrawn, best[rows])

    def _base(self, pair: np.ndarray, hour: np.ndarray) -> np.ndarray:
        """Base's probability (N,) of sends of pairs (N,) at hours (N,)."""
        rows = np.arange(len(pair))
        return self.send * self.pair[rows, pair] * self.hour[rows, hour]

    def _base_expectation(self, values: np.ndarray) -> np.ndarray:
        """Mean (N,) under the base of a number for every send (N, K, V, 24)."""
        pair = self.pair.reshape(values.shape[:3])
        return self.send * np.einsum("nkvh,nkv,nh->n", values, pair, self.hour, optimize=True)

    def _base_drawn(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Whether the base sends, and its pairs and hours, (N,) each; a hold's are any."""
        return u[:, 1] < self.send, _pick(self.pair, u[:, 2]), _pick(self.hour, u[:, 3])


def _pick(weights: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Column (N,) int64 drawn with probability proportional to weights (N, M), by u (N,)."""
    total = np.cumsum(weights, 1)
    target = u * total[:, -1]
    place = (total <= target[:, None]).sum(1)
    # Rounding may push the target to the end: fall back on the last column with any weight.
    last = weights.shape[1] - 1 - (weights[:, ::-1] > 0).argmax(1)
    return np.minimum(place, last)


def distribution(
    factors: Factors, action_mask: np.ndarray, temperature: float | None, floor: float
) -> Distribution:
    """π = (1 - floor) · base + floor · explore.

    temperature: of the base's softmax; None for a base that takes the best action, ties to hold.
    """
    parts = masked(factors, action_mask)
    N, pairs = parts.pair.shape
    rows = np.arange(N)
    if temperature is None:
        pair, hour = np.zeros((N, pairs)), np.zeros((N, HOURS))
        if pairs:
            best_pair = parts.pair.argmax(1)
            pair[rows, best_pair] = hour[rows, parts.best[2]] = 1.0
            score = parts.pair[rows, best_pair] + parts.hour[rows, parts.best[2]]
            send = (parts.sendable & (score > parts.hold)).astype(np.float64)
        else:
            send = np.zeros(N)
    else:
        pair, pair_total = _softmax(parts.pair, temperature)
        hour, hour_total = _softmax(parts.hour, temperature)
        difference = np.where(
            parts.sendable, pair_total + hour_total - parts.hold / temperature, -np.inf
        )
        with np.errstate(over="ignore"):
            send = 1.0 / (1.0 + np.exp(-difference))
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
