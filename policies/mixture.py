"""Two policies as one that draws between them at every decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mdp.observation import Observation
from policies.base import Policy
from policies.composition import Distribution, Factors


@dataclass(frozen=True, kw_only=True)
class Mixture(Policy):
    """π = (1 - m) · running + m · new, both with the mixture's exploration floor.

    Both see the same observation, so they must go with the same response model and reward.
    """

    running: Policy
    """What decides now."""
    new: Policy
    share: float
    """m, from 0 to 1: of the decisions, drawn anew for each."""
    name: str = "mixture"
    temperature: float | None = None
    """Of no meaning here: each has its own."""
    kind: ClassVar[str] = "mixture"

    def scores(self, observation: Observation) -> Factors:
        """The new policy's."""
        return self.new.scores(observation)

    def distribution_of(self, factors: Factors, observation: Observation) -> Distribution:
        """Both distributions, by their shares."""
        (rest, running), (share, new) = components(self)
        parts = running.distribution(observation), new.distribution_of(factors, observation)
        return mixed(parts, (rest, share))


def components(policy: Policy) -> tuple[tuple[float, Policy], ...]:
    """Shares and policies that a policy draws between; of one that is no mixture itself, whole."""
    if not isinstance(policy, Mixture):
        return ((1.0, policy),)
    return (
        (1.0 - policy.share, replace(policy.running, floor=policy.floor)),
        (policy.share, replace(policy.new, floor=policy.floor)),
    )


@dataclass(frozen=True)
class Mixed(Distribution):
    """Distributions by their shares; what is in the fields of a plain one are the marginals."""

    parts: tuple[Distribution, ...]
    shares: tuple[float, ...]

    def probability(self, actions: np.ndarray) -> np.ndarray:
        """Exact probabilities (N,) of flat actions (N,): the parts', by their shares."""
        return np.sum([m * part.probability(actions) for part, m in self._pairs()], axis=0)

    def expectation(self, values: np.ndarray) -> np.ndarray:
        """Mean (N,) of a number for every send (N, K, V, 24): the parts', by their shares."""
        return np.sum([m * part.expectation(values) for part, m in self._pairs()], axis=0)

    def drawn(self, u: np.ndarray) -> np.ndarray:
        """Flat actions (N,) by uniform numbers (N, `UNIFORMS`)."""
        which, rest = self.picked(u)
        actions = np.stack([part.drawn(rest) for part in self.parts])
        return actions[which, np.arange(len(which))]

    def picked(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which part decides (N,) int64, and the uniform numbers it draws by (N, `UNIFORMS`).

        The first number picks; its place within the part's share is uniform again.
        """
        edges = np.concatenate([[0.0], np.cumsum(self.shares)])
        which = np.searchsorted(edges[1:-1], u[:, 0], side="right")
        rest = u.copy()
        rest[:, 0] = (u[:, 0] - edges[which]) / np.maximum(np.array(self.shares)[which], 1e-300)
        return which, rest

    def _pairs(self) -> list[tuple[Distribution, float]]:
        return list(zip(self.parts, self.shares, strict=True))


def mixed(parts: Sequence[Distribution], shares: Sequence[float]) -> Mixed:
    """Distributions of the same decisions, by their shares, which sum to 1."""
    weights = np.stack([m * part.send for part, m in zip(parts, shares, strict=True)])
    send = weights.sum(0)
    inner = weights / np.where(send > 0, send, 1.0)
    last = parts[-1]
    return Mixed(
        send,
        np.einsum("pn,pnm->nm", inner, np.stack([part.pair for part in parts])),
        np.einsum("pn,pnh->nh", inner, np.stack([part.hour for part in parts])),
        last.floor,
        last.masked,
        tuple(parts),
        tuple(shares),
    )
