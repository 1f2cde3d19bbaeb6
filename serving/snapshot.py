"""A decision's snapshot: what the policy saw, its scores and the draw, to make it again from.

Arrays are kept without the padding that the decision had among others, which is put back before
the choice is computed: sums over rows of another length could differ in their last bit.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from mdp.actions import HOURS
from mdp.errors import BadArtifact
from mdp.observation import NAMES, Observation, View
from policies.bandits import Votes
from policies.base import Policy
from policies.composition import UNIFORMS, Factors, distribution
from policies.mixture import components, mixed

FORMAT, WITHOUT_REMOVED, WITHOUT_PARTS = 3, 2, 1
"""The second one did not know what was removed, the third neither mixtures nor votes."""
CODEC = pa.Codec("lz4")
NO_MODEL = -2
_HEAD = struct.Struct("<BHHHHdd?b")
_PART = struct.Struct("<BddH")
_REMOVED = struct.Struct("<I")
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
    reasons: np.ndarray
    """`Reason` of each item, variant and hour (K + V + 24,) uint8; 0 where it is allowed."""
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
    best_hour: int
    """The response model's best allowed hour; -1 for none, `NO_MODEL` without a model."""
    padded: tuple[int, int]
    """K and V with padding."""
    temperature: float | None
    floor: float
    part: int = 0
    """Which of the policies of a mixture decided; 0 for one that is no mixture."""
    share: float = 1.0
    """Of the decisions, that policy's."""
    beside: float = 0.0
    """What the others add to the propensity."""
    votes: np.ndarray | None = None
    """Flat actions (of the padded lists) that a policy draws one of (M,) int64; None for one that
    draws from its scores."""
    removed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What was taken off the lists before the policy saw them: `items` and `variants`, reason by
    id; those alone of which there are any."""

    def again(self) -> tuple[int, float]:
        """Flat action (of the padded lists) and propensity, recomputed from scores and draw."""
        K, V = self.padded
        factors = Factors(
            self.hold.reshape(1), _padded(self.pair, (K, V))[None], self.hour.reshape(1, HOURS)
        )
        parts = distribution(factors, self._mask(), self.temperature, self.floor)
        if self.votes is not None:
            parts = Votes.of(parts.masked, self.votes[None], self.floor)
        action = parts.drawn(self.draw.reshape(1, UNIFORMS))
        return int(action[0]), float(self.share * parts.probability(action)[0] + self.beside)

    def rescored(self, policy: Policy) -> float:
        """Largest difference of a policy's scores, of what is allowed, from those kept."""
        scores = components(policy)[self.part][1].scores(self.observation())
        item, variant, hour = (part == 0 for part in self.factors())
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

    def factors(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Reasons of items (K,), variants (V,) and hours (24,) uint8."""
        k, v = self.pair.shape
        return self.reasons[:k], self.reasons[k : k + v], self.reasons[k + v :]

    def _mask(self) -> np.ndarray:
        (K, V), (item, variant, hour) = self.padded, (part == 0 for part in self.factors())
        parts = (_padded(item, (K,)), _padded(variant, (V,)), hour)
        return np.concatenate(parts).astype(np.int8)[None]


def _padded(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The array with zeros behind it on every axis."""
    out = np.zeros(shape, array.dtype)
    out[tuple(slice(size) for size in array.shape)] = array
    return out


@dataclass(frozen=True)
class Turns:
    """N draws of a policy, or of those that a mixture draws between."""

    actions: np.ndarray
    """Flat actions (N,) int64."""
    propensity: np.ndarray
    """(N,) float64"""
    parts: tuple[tuple[float, Policy], ...]
    """Shares and policies."""
    scores: tuple[Factors, ...]
    """Each policy's."""
    which: np.ndarray
    """Whose turn it was (N,) int64."""
    draws: np.ndarray
    """Uniform numbers that it drew by (N, `UNIFORMS`) float64."""
    chance: tuple[np.ndarray, ...]
    """What each policy adds to the propensity (N,) float64."""
    sendable: np.ndarray
    """Whether guardrails leave any send (N,) bool."""
    votes: tuple[np.ndarray | None, ...]
    """Each policy's (N, M), see `Snapshot.votes`."""


def taken_in_turns(policy: Policy, observation: Observation, u: np.ndarray) -> Turns:
    """Draw by uniform numbers (N, `UNIFORMS`)."""
    parts = components(policy)
    scores = tuple(part.scores(observation) for _, part in parts)
    chances = [
        part.distribution_of(own, observation) for own, (_, part) in zip(scores, parts, strict=True)
    ]
    if len(parts) == 1:
        which, draws, actions = np.zeros(len(u), np.int64), u, chances[0].drawn(u)
    else:
        which, draws = mixed(chances, [share for share, _ in parts]).picked(u)
        actions = np.stack([each.drawn(draws) for each in chances])[which, np.arange(len(u))]
    chance = tuple(
        share * each.probability(actions) for (share, _), each in zip(parts, chances, strict=True)
    )
    votes = tuple(each.votes if isinstance(each, Votes) else None for each in chances)
    sendable = chances[0].masked.sendable
    propensity = reduce(np.add, chance)
    return Turns(actions, propensity, parts, scores, which, draws, chance, sendable, votes)


@lru_cache(maxsize=256)
def _record(k: int, v: int, votes: int) -> np.dtype[Any]:
    """The arrays of one snapshot as they lie one after the other; votes: how many, 0 for none."""
    parts: list[tuple[str, type, tuple[int, ...]]] = [
        ("user", np.float32, (USER,)),
        ("candidates", np.float32, (k, CANDIDATE)),
        ("variants", np.float32, (v, VARIANT)),
        ("hours", np.float32, (HOURS, HOUR)),
        ("pairs", np.float32, (k, v, PART)),
        ("reasons", np.uint8, (k + v + HOURS,)),
        ("send_at", np.int64, (HOURS,)),
        ("hold", np.float64, ()),
        ("pair", np.float64, (k, v)),
        ("hour", np.float64, (HOURS,)),
        ("draw", np.float64, (UNIFORMS,)),
    ]
    return np.dtype(([("votes", np.int64, (votes,))] if votes else []) + parts)


def packed(
    view: View,
    turns: Turns,
    sizes: Sequence[tuple[int, int]],
    removed: Mapping[int, Mapping[str, Mapping[str, str]]] = MappingProxyType({}),
) -> list[bytearray]:
    """The snapshots of N decisions as bytes, which `unpack` reads; sizes: each one's K and V;
    removed: by number, see `Snapshot.removed`, of those of which there is any.

    Those of one size and of one policy are packed together.
    """
    alike: dict[tuple[tuple[int, int], int], list[int]] = defaultdict(list)
    for n, (size, part) in enumerate(zip(sizes, turns.which.tolist(), strict=True)):
        alike[size, part].append(n)
    out = [bytearray()] * len(sizes)
    for (size, part), rows in alike.items():
        for n, (head, body) in zip(rows, _packed(view, turns, rows, size, part), strict=True):
            more = orjson.dumps(removed[n]) if n in removed else b""
            whole = CODEC.compress(bytes(body) + more if more else body, asbytes=True)
            # No `bytes`: SQLite's driver looks long for a way to adapt these.
            out[n] = bytearray().join((*head, _REMOVED.pack(len(more)), whole))
    return out


def _packed(
    view: View, turns: Turns, rows: list[int], size: tuple[int, int], part: int
) -> Iterator[tuple[tuple[bytes, ...], memoryview]]:
    """Heads in parts, and arrays, of decisions `rows`, which one policy made among K and V."""
    k, v = size
    (share, policy), scores, votes = turns.parts[part], turns.scores[part], turns.votes[part]
    seen, mask = view.observation, view.mask
    chosen = slice(None) if len(rows) == len(turns.which) else rows
    body = np.empty(len(rows), _record(k, v, 0 if votes is None else votes.shape[1]))
    body["user"], body["hours"] = seen["user"][chosen], seen["hours"][chosen]
    body["candidates"] = seen["candidates"][chosen, :k]
    body["variants"] = seen["variants"][chosen, :v]
    body["pairs"] = seen["pairs"][chosen, :k, :v]
    reasons = body["reasons"]
    reasons[:, :k], reasons[:, k : k + v] = mask.item[chosen, :k], mask.variant[chosen, :v]
    reasons[:, k + v :], body["send_at"] = mask.hour[chosen], mask.send_at[chosen]
    body["hold"], body["hour"] = scores.hold[chosen], scores.hour[chosen]
    body["pair"], body["draw"] = scores.pair[chosen, :k, :v], turns.draws[chosen]
    if votes is not None:
        body["votes"] = votes[chosen]
    data, width = memoryview(body.view(np.uint8)), body.itemsize  # type: ignore[arg-type]
    if view.prediction is None:
        hours = np.full(len(turns.which), NO_MODEL, np.int8).tobytes()
    else:
        hours = view.prediction.best_hour.astype(np.int8).tobytes()
    greedy, temperature = policy.temperature is None, policy.temperature or 0.0
    sizes = FORMAT, k, v, *scores.pair.shape[1:]
    # What is the same for all; each one's best hour comes between.
    head = _HEAD.pack(*sizes, temperature, policy.floor, greedy, 0)[:-1]
    drawn = 0 if votes is None else votes.shape[1]
    tail = _PART.pack(part, share, 0.0, drawn)
    others = [chance for number, chance in enumerate(turns.chance) if number != part]
    beside = reduce(np.add, others).tolist() if others else []
    for place, n in enumerate(rows):
        if beside:
            tail = _PART.pack(part, share, beside[n], drawn)
        yield (head, hours[n : n + 1], tail), data[place * width : (place + 1) * width]


def unpack(data: bytes | bytearray) -> Snapshot:
    """The snapshot that `packed` made bytes of; raises `BadArtifact` for other bytes."""
    try:
        form, k, v, K, V, temperature, floor, best, best_hour = _HEAD.unpack_from(data)
        part, more, start = (0, 1.0, 0.0, 0), 0, _HEAD.size
        if form in (FORMAT, WITHOUT_REMOVED):
            part, start = _PART.unpack_from(data, start), start + _PART.size
        if form == FORMAT:
            (more,), start = _REMOVED.unpack_from(data, start), start + _REMOVED.size
        record = _record(k, v, part[3])
        size = record.itemsize + more
        body = CODEC.decompress(data[start:], size, asbytes=True)
    except (struct.error, OSError, ValueError) as error:
        raise BadArtifact(f"this is no snapshot of a decision: {error}") from error
    if form not in (FORMAT, WITHOUT_REMOVED, WITHOUT_PARTS) or len(body) != size:
        raise BadArtifact("the snapshot is of another version of pushwise, or was cut off")
    one = np.frombuffer(body, record, 1)
    return Snapshot(
        **{name: np.array(one[name][0]) for name in record.names or ()},
        best_hour=best_hour,
        padded=(K, V),
        temperature=None if best else temperature,
        floor=floor,
        part=part[0],
        share=part[1],
        beside=part[2],
        removed=orjson.loads(body[record.itemsize :]) if more else {},
    )
