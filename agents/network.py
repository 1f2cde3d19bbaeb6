"""The network behind every learned policy: factor scores that start as a threshold on greedy.

A decision's worth is written as an advantage over nothing, in units of a typical best send:

    send(k, v, h) = pair[k, v] + hour[h]          hold

The fitted model's one-step prediction goes through a skip connection; what is learned is added to
it: weights, functions of the user's state, on the features of pairs, items, variants and hours,
and the price of a send (`hold`), which stands for fatigue, wear-out and lost subscribers. The
weights of all corrections start at zero, so an untrained network is fitted greedy with a constant
threshold. Nothing depends on the numbers of candidates and variants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mdp.actions import HOURS
from mdp.observation import CANDIDATE, HOUR, NAMES, USER, VARIANT, Observation
from mdp.prediction import PARTS
from policies.composition import split_mask

VALUE, HOUR_VALUE = PARTS.index("value"), HOUR.index("value")
MASKED = -1e9
"""Score of what is masked: finite, so that gradients are."""
INPUTS = (*NAMES, "action_mask")
"""The arrays of an observation, in the order that the exported graph takes them."""


@dataclass(frozen=True)
class Scaling:
    """Centre and scale of features, fixed before training and stored with the network."""

    center: dict[str, np.ndarray]
    """By array of the observation, one number a feature, float32."""
    scale: dict[str, np.ndarray]
    """Likewise; features that never change have 1."""
    unit: float
    """Predicted reward of a typical best send, currency units: advantages are multiples of it."""


def fit_scaling(observations: Sequence[Observation]) -> Scaling:
    """Scaling from observations of the simulator; only allowed items, variants and hours count."""
    rows: dict[str, list[np.ndarray]] = {name: [] for name in NAMES}
    best: list[np.ndarray] = []
    for seen in observations:
        item, variant, hour = split_mask(seen["action_mask"], seen["pairs"].shape[1])
        rows["user"].append(seen["user"])
        rows["candidates"].append(seen["candidates"][item])
        rows["variants"].append(seen["variants"][variant])
        rows["hours"].append(seen["hours"][hour])
        pairs = item[:, :, None] & variant[:, None, :]
        rows["pairs"].append(seen["pairs"][pairs])
        value = np.where(pairs, seen["pairs"][..., VALUE], -np.inf)
        top = value.reshape(len(value), -1).max(1, initial=-np.inf)
        best.append(top[np.isfinite(top)])
    joined = {name: np.concatenate(parts) for name, parts in rows.items()}
    scale = {name: values.std(0) for name, values in joined.items()}
    unit = np.abs(np.concatenate(best)).mean() if sum(map(len, best)) else 0.0
    return Scaling(
        {name: values.mean(0).astype(np.float32) for name, values in joined.items()},
        {name: np.where(s > 1e-6, s, 1.0).astype(np.float32) for name, s in scale.items()},
        float(unit) if unit > 1e-6 else 1.0,
    )


@dataclass(frozen=True)
class Advantages:
    """Worth of a decision's parts relative to one another, in units (tensors)."""

    hold: Tensor
    """(N,)"""
    pair: Tensor
    """(N, K, V); `MASKED` where not allowed"""
    hour: Tensor
    """(N, 24); `MASKED` where not allowed"""
    sendable: Tensor
    """Whether any send is allowed (N,) bool"""


class FactorNetwork(nn.Module):
    """Advantages of all actions of N decisions, and the state's value."""

    unit: Tensor
    """Currency of one unit of advantage ()."""
    value_unit: Tensor
    """Currency of one unit of value ()."""

    def __init__(
        self, scaling: Scaling, threshold: float, value_unit: float = 1.0, hidden: int = 64
    ) -> None:
        """threshold: predicted one-step reward that a send must exceed at the start, currency.
        value_unit: standard deviation of discounted returns, currency."""
        super().__init__()
        for name in NAMES:
            self.register_buffer(f"{name}_center", torch.as_tensor(scaling.center[name]))
            self.register_buffer(f"{name}_scale", torch.as_tensor(scaling.scale[name]))
        self.register_buffer("unit", torch.tensor(scaling.unit, dtype=torch.float32))
        self.register_buffer("value_unit", torch.tensor(value_unit, dtype=torch.float32))
        self.threshold = nn.Parameter(torch.tensor(threshold / scaling.unit, dtype=torch.float32))
        self.trust = nn.Parameter(torch.zeros(()))  # log of the skip connection's weight
        inputs = len(USER) + len(PARTS) + 1
        self.trunk = nn.Sequential(
            nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh()
        )
        self._sizes = [len(PARTS), len(CANDIDATE), len(VARIANT), len(HOUR), 1]
        self.weights = nn.Linear(hidden, sum(self._sizes))
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        self.critic = nn.Sequential(
            nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh()
        )
        self.value = nn.Linear(hidden, 1)

    def forward(self, observation: dict[str, Tensor]) -> tuple[Advantages, Tensor]:
        """Advantages in units, and values (N,) in value units."""
        item, variant, hour = self._allowed(observation)
        pairs = item[:, :, None] & variant[:, None, :]
        value = observation["pairs"][..., VALUE]
        context, gap = self._context(observation, pairs, value, hour)
        own, of_item, of_variant, of_hour, price = torch.split(
            self.weights(self.trunk(context)), self._sizes, 1
        )
        trust = self.trust.exp() / self.unit
        pair = (
            trust * value
            + self._linear(observation, "pairs", own)
            + self._linear(observation, "candidates", of_item)[:, :, None]
            + self._linear(observation, "variants", of_variant)[:, None, :]
        )
        when = trust * gap + self._linear(observation, "hours", of_hour)
        sendable = pairs.flatten(1).any(1) & hour.any(1)
        advantages = Advantages(
            self.threshold + price[:, 0],
            torch.where(pairs, pair, MASKED),
            torch.where(hour, when, MASKED),
            sendable,
        )
        return advantages, self.value(self.critic(context))[:, 0]

    def context(self, observation: dict[str, Tensor]) -> Tensor:
        """What trunk and critic see of each decision (N, U + 7)."""
        item, variant, hour = self._allowed(observation)
        pairs = item[:, :, None] & variant[:, None, :]
        return self._context(observation, pairs, observation["pairs"][..., VALUE], hour)[0]

    def _allowed(self, observation: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        allowed = observation["action_mask"] > 0
        K = observation["candidates"].shape[1]
        return allowed[:, :K], allowed[:, K:-HOURS], allowed[:, -HOURS:]

    def _context(
        self, observation: dict[str, Tensor], pairs: Tensor, value: Tensor, hour: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What the user's state and the best send look like (N, U + 7), and what each hour falls
        short of the best (N, 24)."""
        flat = torch.where(pairs, value, MASKED).flatten(1)
        place = flat.argmax(1)[:, None, None].expand(-1, 1, len(PARTS))
        parts = self._scaled(observation, "pairs").flatten(1, 2).gather(1, place)[:, 0]
        by_hour = observation["hours"][..., HOUR_VALUE]
        top = torch.where(hour, by_hour, MASKED).amax(1, keepdim=True)
        can = pairs.flatten(1).any(1, keepdim=True) & hour.any(1, keepdim=True)
        flag = can.to(parts.dtype)
        context = torch.cat([self._scaled(observation, "user"), parts * flag, flag], 1)
        return context.clamp(-8.0, 8.0), torch.where(hour, by_hour - top, 0.0)

    def _scaled(self, observation: dict[str, Tensor], name: str) -> Tensor:
        center, scale = getattr(self, f"{name}_center"), getattr(self, f"{name}_scale")
        return (observation[name] - center) / scale

    def _linear(self, observation: dict[str, Tensor], name: str, weights: Tensor) -> Tensor:
        """Inner products over the last axis of a user's own weights (N, F) and scaled features."""
        scaled = self._scaled(observation, name)
        for _ in range(scaled.dim() - 2):
            weights = weights.unsqueeze(1)
        return (scaled * weights).sum(-1)


def best_send(advantages: Advantages) -> Tensor:
    """Advantage of the best allowed send (N,); `MASKED` or less where there is none."""
    return advantages.pair.flatten(1).amax(1) + advantages.hour.amax(1)


class Soft(nn.Module):
    """Logits of a stochastic policy from advantages, for PPO.

    P(send) = sigmoid(a · (best send - hold)); given a send, pair and hour are each drawn from a
    softmax at sharpness b. Written as factor scores whose softmax over all actions is that, so
    composing them needs nothing but `policies.composition`. Were hold's advantage its logit, the
    many near-best sends together would outweigh it.
    """

    sharpness: Tensor
    """Factor on both a and b ()."""

    def __init__(self, network: FactorNetwork, send: float = 8.0, choice: float = 50.0) -> None:
        super().__init__()
        self.network = network
        self.log_send = nn.Parameter(torch.tensor(float(np.log(send))))
        self.log_choice = nn.Parameter(torch.tensor(float(np.log(choice))))
        self.register_buffer("sharpness", torch.ones(()))

    def forward(self, observation: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scores hold (N,), pair (N, K, V) and hour (N, 24), and values (N,) in value units."""
        advantages, values = self.network(observation)
        send = self.sharpness * self.log_send.exp()
        choice = self.sharpness * self.log_choice.exp()
        # Relative to the best, which changes no probability and keeps float32's digits.
        pair = choice * (advantages.pair - advantages.pair.amax((1, 2), keepdim=True))
        hour = choice * (advantages.hour - advantages.hour.amax(1, keepdim=True))
        margin = send * (best_send(advantages) - advantages.hold)
        total = pair.flatten(1).logsumexp(1) + hour.logsumexp(1)
        hold = torch.where(advantages.sendable, total - margin, 0.0)
        return hold, pair, hour, values


class Scores(nn.Module):
    """What is exported: an observation's arrays in, scores hold, pair and hour out."""

    def __init__(self, network: nn.Module) -> None:
        """network: a `Soft`, or one that gives what `FactorNetwork` gives."""
        super().__init__()
        self.network = network

    def forward(
        self,
        user: Tensor,
        candidates: Tensor,
        variants: Tensor,
        hours: Tensor,
        pairs: Tensor,
        action_mask: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Scores hold (N,), pair (N, K, V) and hour (N, 24) float32."""
        arrays = (user, candidates, variants, hours, pairs, action_mask)
        observation = dict(zip(INPUTS, arrays, strict=True))
        if isinstance(self.network, Soft):
            hold, pair, hour, _ = self.network(observation)
            return hold, pair, hour
        advantages, _ = self.network(observation)
        return advantages.hold, advantages.pair, advantages.hour


def tensors(observation: Observation) -> dict[str, Tensor]:
    """The observation's arrays as tensors that share their memory."""
    return {name: torch.as_tensor(observation[name]) for name in INPUTS}
