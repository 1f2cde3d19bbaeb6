"""What TensorBoard shows of a policy's decisions and of the network that makes them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from agents.network import FactorNetwork, Soft
from mdp.actions import HOURS, decode
from mdp.observation import Observation
from mdp.reward import PARTS
from simulator.payment import Step


@dataclass
class Watch:
    """Adds up what pushes were sent over a rollout, and what they brought."""

    parts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    """Drawn reward by part, over all users."""
    hours: np.ndarray = field(default_factory=lambda: np.zeros(HOURS))
    """Pushes by local hour (24,)."""
    variants: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """Pushes by variant slot (V,)."""
    opened: float = 0.0
    clicked: float = 0.0
    users: int = 0

    def __call__(self, observation: Observation, step: Step) -> None:
        """One day of N users: what was seen, and what it brought."""
        K, V = observation["pairs"].shape[1:3]
        _, variant, hour = decode(step.executed[step.sent], K, V)
        self.users = len(step.reward)
        self.hours += np.bincount(hour, minlength=HOURS)
        self.variants = np.bincount(variant, minlength=V) + (
            self.variants if self.variants.size else np.zeros(V)
        )
        self.opened += float(step.opened.sum())
        self.clicked += float(step.clicked.sum())
        for name, values in step.parts.items():
            self.parts[name] += float(values.sum())

    def curves(self) -> dict[str, float]:
        """Values by the name of their curve: reward's parts per user, rates per push, and the
        shares of hours and variants."""
        sends = max(float(self.hours.sum()), 1.0)
        return (
            {f"reward/{name}": total / max(self.users, 1) for name, total in self.parts.items()}
            | {
                "eval/opens_per_send": self.opened / sends,
                "eval/clicks_per_send": self.clicked / sends,
            }
            | {f"hours/{hour:02}": float(n) / sends for hour, n in enumerate(self.hours)}
            | {f"variants/{v}": float(n) / sends for v, n in enumerate(self.variants)}
        )


def health(network: FactorNetwork | Soft) -> dict[str, float]:
    """Values by the name of their curve: the skip connection's weight, the constant threshold in
    units, how sure PPO's policy is, and the norms of the layers."""
    plain = network.network if isinstance(network, Soft) else network
    out = {
        "network/trust": float(plain.trust.exp().detach()),
        "network/threshold": float(plain.threshold.detach()),
    }
    if isinstance(network, Soft):
        out["network/sureness_of_sending"] = float(network.log_send.exp().detach())
        out["network/sureness_of_choice"] = float(network.log_choice.exp().detach())
    layers = {"trunk": plain.trunk, "corrections": plain.weights, "critic": plain.critic}
    for name, layer in layers.items():
        squares = [float(p.detach().square().sum()) for p in layer.parameters()]
        out[f"network/norm_of_{name}"] = sum(squares) ** 0.5
    return out
