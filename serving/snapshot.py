"""A decision's snapshot: what the policy saw, its scores and the draw, to make it again from.

Arrays are kept without the padding that the decision had among others, which is put back before
the choice is computed: sums over rows of another length could differ in their last bit.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from mdp.actions import HOURS
from mdp.errors import BadArtifact
from mdp.observation import NAMES, Observation, View
from policies.base import Policy
from policies.composition import UNIFORMS, Factors, distribution

FORMAT = 1
_HEAD = struct.Struct("<BHHHHdd?")
USER, CANDIDATE, VARIANT, HOUR, PART = (len(names) for names in NAMES.values())


@dataclass(frozen=True)
class Snapshot:
    """One decision as the policy met it. K and V are the decision's own, without padding."""

    user: np.ndarray
    """Features (U,) float32."""
    candidates: np.ndarray
    """(K, C) float32"""
    variants: np.ndarray
    """(V, W) float32"""
    hours: np.ndarray
    """(24, H) float32"""
    pairs: np.ndarray
    """(K, V, P) float32"""
    action_mask: np.ndarray
    """(K + V + 24,) int8"""
    send_at: np.ndarray
    """Instant that each hour means (24,) int64."""
    hold: np.ndarray
    """Score () float64."""
    pair: np.ndarray
    """Scores (K, V) float64."""
    hour: np.ndarray
    """Scores (24,) float64."""
    draw: np.ndarray
    """Uniform numbers (`UNIFORMS`,) float64."""
    padded: tuple[int, int]
    """K and V with padding."""
    temperature: float | None
    floor: float

    def again(self) -> tuple[int, float]:
        """Flat action (of the padded lists) and propensity, recomputed from scores and draw."""
        K, V = self.padded
        factors = Factors(
            self.hold.reshape(1), _padded(self.pair, (K, V))[None], self.hour.reshape(1, HOURS)
        )
        parts = distribution(factors, self._mask(), self.temperature, self.floor)
        action = parts.drawn(self.draw.reshape(1, UNIFORMS))
        return int(action[0]), float(parts.probability(action)[0])

    def rescored(self, policy: Policy) -> float:
        """Largest difference of a policy's scores, of what is allowed, from those kept."""
        scores = policy.scores(self.observation())
        item, variant, hour = self._allowed()
        pairs = item[:, None] & variant
        k, v = self.pair.shape
        differences = (
            np.abs(scores.hold - self.hold),
            np.abs(scores.pair[0, :k, :v] - self.pair)[pairs],
            np.abs(scores.hour[0] - self.hour)[hour],
        )
        return max(float(part.max(initial=0.0)) for part in differences)

    def observation(self) -> Observation:
        """The observation, of one row, padded as it was."""
        K, V = self.padded
        return {
            "user": self.user[None],
            "candidates": _padded(self.candidates, (K, CANDIDATE))[None],
            "variants": _padded(self.variants, (V, VARIANT))[None],
            "hours": self.hours[None],
            "pairs": _padded(self.pairs, (K, V, PART))[None],
            "action_mask": self._mask(),
        }

    def _allowed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        k, v = self.pair.shape
        mask = self.action_mask.astype(bool)
        return mask[:k], mask[k : k + v], mask[k + v :]

    def _mask(self) -> np.ndarray:
        (K, V), (item, variant, hour) = self.padded, self._allowed()
        parts = (_padded(item, (K,)), _padded(variant, (V,)), hour)
        return np.concatenate(parts).astype(np.int8)[None]


def _padded(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The array with zeros behind it on every axis."""
    out = np.zeros(shape, array.dtype)
    out[tuple(slice(size) for size in array.shape)] = array
    return out


def taken(
    view: View,
    scores: Factors,
    draws: np.ndarray,
    policy: Policy,
    n: int,
    size: tuple[int, int],
) -> Snapshot:
    """The snapshot of decision `n`, of `size` candidates and variants.

    draws: (N, `UNIFORMS`) float64.
    """
    K, V = scores.pair.shape[1:]
    k, v = size
    observation = view.observation
    mask = observation["action_mask"][n]
    return Snapshot(
        user=observation["user"][n],
        candidates=observation["candidates"][n, :k],
        variants=observation["variants"][n, :v],
        hours=observation["hours"][n],
        pairs=observation["pairs"][n, :k, :v],
        action_mask=np.concatenate([mask[:k], mask[K : K + v], mask[K + V :]]),
        send_at=view.mask.send_at[n],
        hold=np.array(scores.hold[n], np.float64),
        pair=scores.pair[n, :k, :v],
        hour=scores.hour[n],
        draw=draws[n],
        padded=(K, V),
        temperature=policy.temperature,
        floor=policy.floor,
    )


def _shapes(k: int, v: int) -> dict[str, tuple[tuple[int, ...], type]]:
    return {
        "user": ((USER,), np.float32),
        "candidates": ((k, CANDIDATE), np.float32),
        "variants": ((v, VARIANT), np.float32),
        "hours": ((HOURS, HOUR), np.float32),
        "pairs": ((k, v, PART), np.float32),
        "action_mask": ((k + v + HOURS,), np.int8),
        "send_at": ((HOURS,), np.int64),
        "hold": ((), np.float64),
        "pair": ((k, v), np.float64),
        "hour": ((HOURS,), np.float64),
        "draw": ((UNIFORMS,), np.float64),
    }


def pack(snapshot: Snapshot) -> bytes:
    """The snapshot as bytes; `unpack` is the inverse."""
    k, v = snapshot.pair.shape
    temperature = 0.0 if snapshot.temperature is None else snapshot.temperature
    best = snapshot.temperature is None
    head = _HEAD.pack(FORMAT, k, v, *snapshot.padded, temperature, snapshot.floor, best)
    arrays = (
        np.ascontiguousarray(getattr(snapshot, name), dtype).tobytes()
        for name, (_, dtype) in _shapes(k, v).items()
    )
    return head + zlib.compress(b"".join(arrays), 1)


def unpack(data: bytes) -> Snapshot:
    """The snapshot that `pack` made bytes of; raises `BadArtifact` for other bytes."""
    try:
        form, k, v, K, V, temperature, floor, best = _HEAD.unpack_from(data)
        body = zlib.decompress(data[_HEAD.size :])
        arrays: dict[str, np.ndarray] = {}
        start = 0
        for name, (shape, dtype) in _shapes(k, v).items():
            size = int(np.prod(shape, dtype=int))
            arrays[name] = np.frombuffer(body, dtype, size, start).reshape(shape)
            start += arrays[name].nbytes
    except (struct.error, zlib.error, ValueError) as error:
        raise BadArtifact(f"this is no snapshot of a decision: {error}") from error
    if form != FORMAT or start != len(body):
        raise BadArtifact("the snapshot is of another version of pushwise")
    return Snapshot(**arrays, padded=(K, V), temperature=None if best else temperature, floor=floor)
